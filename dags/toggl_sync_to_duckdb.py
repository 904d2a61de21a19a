"""Keep a Toggl workspace in DuckDB: everything at first, then every hour what changed.

Needs one connection, ``toggl_default``, with the API token and ``workspace_id``. Rows land in the file behind
connection ``duckdb_default``, or in ``$AIRFLOW_HOME/toggl/warehouse.duckdb`` where there is none. To start other DAGs
when something has changed, set the environment variable ``TOGGL_WORKSPACE_ID`` for Airflow.
"""

from __future__ import annotations

import os
from datetime import timedelta

import pendulum
from airflow.sdk import DAG

from airflow_provider_toggl.assets import toggl_asset
from airflow_provider_toggl.transfers.toggl_to_sql import TogglToSqlOperator

# Assets have the workspace in their names, which must be known when the DAG is parsed. One variable for assets and
# tasks, so that both are of the same workspace; without it tasks load the connection's, and update no asset.
WORKSPACE = os.environ.get("TOGGL_WORKSPACE_ID")
STREAMS = ("time_entries", "projects", "clients", "tags", "tasks", "users", "project_users", "groups")

with DAG(
    dag_id="toggl_sync_to_duckdb",
    description="All streams of a Toggl workspace in DuckDB, within the hourly quota.",
    schedule="@hourly",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    # A run that waits for the quota is still that run; the next one would only wait behind it.
    max_active_runs=1,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=1)},
    tags=["toggl"],
):
    for stream in STREAMS:
        # An event of the asset says what changed; where nothing did, there is none.
        TogglToSqlOperator(
            task_id=f"land_{stream}",
            stream=stream,
            workspace_id=WORKSPACE,
            outlets=[toggl_asset(WORKSPACE, stream)] if WORKSPACE else [],
        )
