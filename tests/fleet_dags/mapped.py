"""Loads the streams of a workspace into PostgreSQL, one mapped task each."""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_provider_toggl.transfers.toggl_to_sql import TogglToSqlOperator

with DAG(dag_id="mapped", schedule=None):
    TogglToSqlOperator.partial(task_id="load", warehouse_conn_id="warehouse", page_size=200).expand(
        stream=["time_entries", "projects", "clients", "tags", "users", "groups"]
    )
