"""Track in Toggl how long a run takes: start a timer, work, and stop the timer even if the work failed.

Needs connection ``toggl_default``. Costs four requests a run.
"""

from __future__ import annotations

import logging
from datetime import timedelta

import pendulum
from airflow.sdk import DAG, task

from airflow_provider_toggl.operators.entries import (
    TogglStartTimeEntryOperator,
    TogglStopTimeEntryOperator,
    TogglUpdateTimeEntryOperator,
)
from airflow_provider_toggl.operators.request import TogglRequestOperator

log = logging.getLogger(__name__)

with DAG(
    dag_id="toggl_track_run",
    description="The duration of a run as a time entry.",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    default_args={"retries": 3, "retry_delay": timedelta(seconds=10)},
    tags=["toggl"],
):
    # --8<-- [start:track]
    start = TogglStartTimeEntryOperator(task_id="start", description="{{ dag.dag_id }} {{ run_id }}", tags=["airflow"])

    @task
    def work() -> None:
        """Do the work."""
        log.info("Working.")

    stop = TogglStopTimeEntryOperator(
        task_id="stop", time_entry_id="{{ ti.xcom_pull('start')['id'] }}", trigger_rule="all_done"
    )
    mark = TogglUpdateTimeEntryOperator(
        task_id="mark",
        time_entry_id="{{ ti.xcom_pull('start')['id'] }}",
        changes={"tags": ["done"], "tag_action": "add"},
    )
    # --8<-- [end:track]
    # --8<-- [start:request]
    tags = TogglRequestOperator(
        task_id="tags",
        endpoint="/api/v9/workspaces/{workspace_id}/tags",
        query={"search": "airflow"},
        response_check=lambda answer: answer.status == 200,
        response_filter=lambda answer: [tag["name"] for tag in answer.json()],
    )
    # --8<-- [end:request]
    start >> work() >> stop >> mark >> tags
