"""Compare the warehouse's time entries with Toggl every night, and repair what differs.

Needs connection ``toggl_default`` and a warehouse of ``toggl_sync_to_duckdb`` or ``toggl_on_change``. A year without
changes costs three requests, and each list that entries refer to costs one or two.
"""

from __future__ import annotations

import os
from datetime import timedelta

import pendulum
from airflow.sdk import DAG, Param

from airflow_provider_toggl.assets import toggl_asset
from airflow_provider_toggl.transfers.reconcile import TogglReconcileOperator
from airflow_provider_toggl.transfers.toggl_to_sql import TogglToSqlOperator

# --8<-- [start:reconcile]
WORKSPACE = os.environ.get("TOGGL_WORKSPACE_ID")  # as in toggl_sync_to_duckdb
WAREHOUSE = os.environ.get("TOGGL_WAREHOUSE_CONN_ID", "duckdb_default")
# Lists come first: an entry whose tag was deleted is read again, because Toggl does not report that change.
LISTS = ("tags", "projects", "clients", "tasks", "users", "project_users")

with DAG(
    dag_id="toggl_reconcile",
    description="The warehouse's time entries, verified against Toggl.",
    schedule="@daily",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=1)},
    params={
        "allow_mass_absence": Param(
            False, type="boolean", description="Approve that many entries are missing because they were deleted."
        )
    },
    tags=["toggl"],
):
    reconcile = TogglReconcileOperator(
        task_id="reconcile",
        allow_mass_absence="{{ params.allow_mass_absence }}",
        # A list that the Toggl plan does not have is skipped, which must not skip this task.
        trigger_rule="none_failed",
        workspace_id=WORKSPACE,
        warehouse_conn_id=WAREHOUSE,
        outlets=[toggl_asset(WORKSPACE, "time_entries")] if WORKSPACE else [],
    )
    for stream in LISTS:
        load = TogglToSqlOperator(
            task_id=f"load_{stream}", stream=stream, workspace_id=WORKSPACE, warehouse_conn_id=WAREHOUSE
        )
        load >> reconcile
# --8<-- [end:reconcile]
