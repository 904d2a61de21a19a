from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest

from airflow_provider_toggl.core import log_fields

log = logging.getLogger("airflow_provider_toggl.test")


def test_a_line_has_its_text_and_its_fields(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO), log_fields.fields(workspace_id=7):
        log_fields.log_line(log, "%s rows.", 3, rows=3)
    (record,) = caplog.records
    assert record.getMessage() == "3 rows."
    assert (record.workspace_id, record.rows) == (7, 3)  # type: ignore[attr-defined]


def test_fields_are_bound_within_their_context() -> None:
    bound: dict[str, Any] = {}

    @contextmanager
    def bind(**named: Any) -> Iterator[None]:
        bound.update(named)
        yield
        for name in named:
            del bound[name]

    log_fields.bind_with(bind)
    try:
        with log_fields.fields(stream="tags"):
            assert bound == {"stream": "tags"}
            with log_fields.fields(pages=2):
                assert bound == {"stream": "tags", "pages": 2}
        assert bound == {}
    finally:
        log_fields.bind_with(nullcontext)


def test_no_field_hides_one_of_the_record_itself() -> None:
    own = vars(logging.makeLogRecord({})) | {"message": "", "asctime": "", "event": "", "level": "", "timestamp": ""}
    assert not own.keys() & log_fields.FIELDS.keys()
