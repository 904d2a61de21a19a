"""Wait within a DAG until a time entry of a project changes, then continue with that change.

Needs webhooks (a subscription and the receiver) and connection ``toggl_default``. The wait occupies no worker slot.
"""

from __future__ import annotations

import logging
import os
from datetime import timedelta
from typing import Any

import pendulum
from airflow.sdk import dag, task

from airflow_provider_toggl.operators.events import TogglCommitEventsOperator
from airflow_provider_toggl.sensors.events import TogglEventSensor

log = logging.getLogger(__name__)


@dag(
    dag_id="toggl_wait_for_project",
    description="Wait for a time entry of a project.",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    params={"project_id": int(os.environ.get("TOGGL_PROJECT_ID", "1"))},
    tags=["toggl"],
)
def toggl_wait_for_project() -> None:
    """Build the DAG."""
    # --8<-- [start:sensor]
    wait = TogglEventSensor(
        task_id="wait",
        entity="time_entry",
        action=["created", "updated"],
        project_id="{{ params.project_id }}",
        where={"stop": {"exists": True}},
        consumer="toggl_wait_for_project",
        timeout=timedelta(days=1),
    )
    # --8<-- [end:sensor]

    @task
    def handle(change: dict[str, Any]) -> None:
        """Use the change."""
        log.info("Time entry %s was %s at %s.", change["entity_id"], change["action"], change["created_at"])

    # --8<-- [start:commit]
    commit = TogglCommitEventsOperator(
        task_id="commit",
        consumer="toggl_wait_for_project",
        seq='{{ ti.xcom_pull("wait")["seq"] }}',
    )
    # --8<-- [end:commit]

    handle(wait.output) >> commit  # type: ignore[arg-type]


toggl_wait_for_project()
