from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_toggl.core.errors import ConfigurationError
from airflow_provider_toggl.transfers.stream_arguments import StreamReadingTask
from airflow_provider_toggl.transfers.toggl_to_files import TogglToFilesOperator
from airflow_provider_toggl.transfers.toggl_to_sql import TogglToSqlOperator

pytestmark = pytest.mark.airflow

OPERATORS: dict[type[StreamReadingTask], dict[str, Any]] = {
    TogglToSqlOperator: {},
    TogglToFilesOperator: {"path": "/files"},
}


@pytest.mark.parametrize("operator", OPERATORS)
def test_operators_of_a_stream_have_the_same_arguments(operator: type[StreamReadingTask]) -> None:
    assert set(StreamReadingTask.template_fields) <= set(operator.template_fields)
    task = operator(task_id="read", stream="time_entries", since="2026-01-01", windows_per_run=5, **OPERATORS[operator])
    task.parse_arguments()
    assert task.stream_arguments() == {"stream": "time_entries", "incremental": True, "windows_per_run": 5}
    with pytest.raises(ConfigurationError, match="also set incremental=False"):
        operator(task_id="read", stream="time_entries", until="2026-01-01", **OPERATORS[operator])
