"""Keep Iceberg tables small and fast, and copy the view of facts into a table."""

from __future__ import annotations

import pendulum
from airflow.sdk import DAG

from airflow_provider_toggl.operators.iceberg import TogglIcebergFactsOperator, TogglIcebergMaintenanceOperator

with DAG(
    dag_id="toggl_iceberg",
    schedule="@hourly",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
):
    facts = TogglIcebergFactsOperator(task_id="facts", warehouse_conn_id="iceberg")
    facts >> TogglIcebergMaintenanceOperator(task_id="maintain", warehouse_conn_id="iceberg")
