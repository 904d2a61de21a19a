"""A callback for DAG runs that miss their deadline. It runs in the triggerer."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from airflow_provider_toggl.core import metrics
from airflow_provider_toggl.core.log_fields import log_line
from airflow_provider_toggl.hooks import telemetry

log = logging.getLogger(__name__)


async def report_late_run(context: Mapping[str, Any] | None = None, **details: Any) -> None:
    """Log and count a run that missed its deadline. Pass it to Airflow's ``AsyncCallback``.

    An alert rule can watch the metric ``toggl.freshness.late``. To notify people, use a notifier of Airflow instead.

    :param context: what Airflow passes about the run.
    :param details: appended to the log line, such as what the run should have achieved.
    """
    telemetry.connect()
    run: Mapping[str, Any] = (context or {}).get("dag_run") or {}
    dag_id = run.get("dag_id") or "unknown"
    metrics.LATE_RUNS.add(dag=dag_id)
    text = "; ".join(f"{name}: {value}" for name, value in details.items())
    run_id = run.get("dag_run_id")
    named = {"by": "deadline", "dag_id": dag_id, "run_id": run_id}
    log_line(log, "Run %s of DAG %s missed its deadline. %s", run_id, dag_id, text, level=logging.ERROR, **named)
