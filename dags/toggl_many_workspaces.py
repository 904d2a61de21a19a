"""Load several workspaces, also of several tokens: one mapped task for each workspace and stream.

The DAG's parameter lists the arguments of each task: ``toggl_conn_id``, ``workspace_id`` and ``schema``, as far as they
differ from the defaults. Workspaces in one lane of the quota share it fairly.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pendulum
from airflow.sdk import DAG, Param, task

from airflow_provider_toggl.transfers.toggl_to_sql import TogglToSqlOperator

STREAMS = ("time_entries", "projects", "clients")

with DAG(
    dag_id="toggl_many_workspaces",
    description="Time entries, projects and clients of several workspaces in DuckDB.",
    schedule="@hourly",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=1)},
    params={"workspaces": Param([{"toggl_conn_id": "toggl_default"}], type="array", items={"type": "object"})},
    tags=["toggl"],
):

    @task
    def workspaces(params: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        """Return the arguments of each mapped task."""
        return list((params or {})["workspaces"])

    arguments = workspaces()
    for stream in STREAMS:
        # --8<-- [start:expand]
        TogglToSqlOperator.partial(task_id=f"load_{stream}", stream=stream).expand_kwargs(arguments)
        # --8<-- [end:expand]
