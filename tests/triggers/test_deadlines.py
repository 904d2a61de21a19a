from __future__ import annotations

import asyncio
import logging

import pytest
from support.measured import Recorder

from airflow_provider_toggl.core import metrics
from airflow_provider_toggl.triggers import deadlines

pytestmark = pytest.mark.airflow


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    recorder = Recorder()
    monkeypatch.setattr(deadlines.telemetry, "connect", lambda: metrics.send_to(recorder))
    return recorder


@pytest.mark.parametrize(
    ("context", "dag"),
    [({"dag_run": {"dag_id": "toggl_freshness", "dag_run_id": "r1"}}, "toggl_freshness"), (None, "unknown")],
)
def test_a_run_that_is_late_is_counted_and_said_with_what_was_wanted(
    recorder: Recorder, caplog: pytest.LogCaptureFixture, context: dict[str, dict[str, str]] | None, dag: str
) -> None:
    with caplog.at_level(logging.ERROR):
        asyncio.run(deadlines.tell_late(context=context, wanted="young entries"))
    metrics.send_to(None)
    assert recorder.of(metrics.LATE_RUNS) == [({"dag": dag}, 1)]
    assert [record.dag_id for record in caplog.records] == [dag]  # type: ignore[attr-defined]
    (line,) = [record.getMessage() for record in caplog.records]
    assert f"DAG {dag} is not done in time. wanted: young entries" in line
