"""What is done in the triggerer when the deadline of a DAG run has passed."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from airflow_provider_toggl.core import metrics
from airflow_provider_toggl.core.log_fields import log_line
from airflow_provider_toggl.hooks import telemetry

log = logging.getLogger(__name__)


async def tell_late(context: Mapping[str, Any] | None = None, **about: Any) -> None:
    """Log and count that a run is not done in time: a callback for Airflow's ``AsyncCallback``.

    ``toggl.freshness.late`` is what an alert rule can watch; to tell people, give a notifier of Airflow's instead.

    :param context: what Airflow tells of the run.
    :param about: said in the line, as what was to be done.
    """
    telemetry.connect()
    run: Mapping[str, Any] = (context or {}).get("dag_run") or {}
    dag_id = run.get("dag_id") or "unknown"
    metrics.LATE_RUNS.add(dag=dag_id)
    said = "; ".join(f"{name}: {value}" for name, value in about.items())
    run_id = run.get("dag_run_id")
    told = {"by": "deadline", "dag_id": dag_id, "run_id": run_id}
    log_line(log, "Run %s of DAG %s is not done in time. %s", run_id, dag_id, said, level=logging.ERROR, **told)
