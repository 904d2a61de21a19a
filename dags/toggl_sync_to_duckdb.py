"""Load a Toggl workspace into DuckDB: everything at first, then the changes of each hour.

Needs connection ``toggl_default`` with the API token and ``workspace_id``. Rows are loaded into the file of connection
``duckdb_default``, or into ``$AIRFLOW_HOME/toggl/warehouse.duckdb`` if there is no such connection. The environment
variable ``TOGGL_WAREHOUSE_CONN_ID`` names another warehouse; with ``TOGGL_WORKSPACE_ID``, changes start other DAGs.
"""

from __future__ import annotations

import os
from datetime import timedelta

import pendulum
from airflow.sdk import DAG

from airflow_provider_toggl.assets import toggl_asset
from airflow_provider_toggl.transfers.toggl_to_sql import TogglToSqlOperator

# The names of assets contain the workspace, which must be known when the DAG is parsed. Assets and tasks use one
# variable, so that both have the same workspace. Without it tasks load the connection's, and update no asset.
WORKSPACE = os.environ.get("TOGGL_WORKSPACE_ID")
WAREHOUSE = os.environ.get("TOGGL_WAREHOUSE_CONN_ID", "duckdb_default")
# The streams that every plan has. Each other one costs at least a request: with all, a run would take nearly the whole
# quota of an hour of the free plan.
STREAMS = ("time_entries", "projects", "clients", "tags", "tasks", "users", "project_users", "groups")

with DAG(
    dag_id="toggl_sync_to_duckdb",
    description="All streams of a Toggl workspace in DuckDB, within the hourly quota.",
    schedule="@hourly",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    # While a run waits for the quota, another one would only wait behind it.
    max_active_runs=1,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=1)},
    tags=["toggl"],
):
    for stream in STREAMS:
        # The asset event says what changed. Without changes there is no event.
        TogglToSqlOperator(
            task_id=f"load_{stream}",
            stream=stream,
            workspace_id=WORKSPACE,
            warehouse_conn_id=WAREHOUSE,
            outlets=[toggl_asset(WORKSPACE, stream)] if WORKSPACE else [],
        )
