"""Prove every night that the warehouse has the time entries that Toggl has, and repair what differs.

Needs connection ``toggl_default`` and a warehouse that ``toggl_sync_to_duckdb`` or ``toggl_on_change`` keeps. A year in
which nothing has changed costs three requests, and the lists that entries point at one or two each.
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
# What entries point at comes first: an entry that had a deleted tag is read again, since nothing else tells of it.
LISTS = ("tags", "projects", "clients", "tasks", "users", "project_users")

with DAG(
    dag_id="toggl_reconcile",
    description="The warehouse's time entries, proved to be Toggl's.",
    schedule="@daily",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=1)},
    params={
        "allow_mass_absence": Param(
            False, type="boolean", description="Many entries are missing at once, and they were really deleted."
        )
    },
    tags=["toggl"],
):
    reconcile = TogglReconcileOperator(
        task_id="reconcile",
        allow_mass_absence="{{ params.allow_mass_absence }}",
        # A list that the plan lacks is skipped, and does not keep this from running.
        trigger_rule="none_failed",
        workspace_id=WORKSPACE,
        outlets=[toggl_asset(WORKSPACE, "time_entries")] if WORKSPACE else [],
    )
    for stream in LISTS:
        TogglToSqlOperator(task_id=f"land_{stream}", stream=stream, workspace_id=WORKSPACE) >> reconcile
# --8<-- [end:reconcile]
