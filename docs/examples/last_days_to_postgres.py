"""The last 90 days of time entries in a PostgreSQL schema of their own."""

from __future__ import annotations

import pendulum
from airflow.sdk import DAG

from airflow_provider_toggl.transfers.toggl_to_sql import TogglToSqlOperator

with DAG(
    dag_id="toggl_last_days",
    schedule="@daily",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
):
    for stream in ("time_entries", "projects", "clients", "users"):
        TogglToSqlOperator(
            task_id=stream,
            stream=stream,
            warehouse_conn_id="warehouse",
            schema="timesheets",
            facts_timezone="Europe/Berlin",
            # Every run has run_after; a run that is triggered by hand may have no ds.
            since="{{ (dag_run.run_after - macros.timedelta(days=90)).date() }}" if stream == "time_entries" else None,
        )
