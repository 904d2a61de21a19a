from __future__ import annotations

import asyncio
import logging

import pytest
from support.metrics import Recorder

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
def test_a_late_run_is_counted_and_logged_with_the_details(
    recorder: Recorder, caplog: pytest.LogCaptureFixture, context: dict[str, dict[str, str]] | None, dag: str
) -> None:
    with caplog.at_level(logging.ERROR):
        asyncio.run(deadlines.report_late_run(context=context, wanted="young entries"))
    metrics.send_to(None)
    assert recorder.of(metrics.LATE_RUNS) == [({"dag": dag}, 1)]
    assert [record.dag_id for record in caplog.records] == [dag]  # type: ignore[attr-defined]
    (line,) = [record.getMessage() for record in caplog.records]
    assert f"DAG {dag} missed its deadline. wanted: young entries" in line
