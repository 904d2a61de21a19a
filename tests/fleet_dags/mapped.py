"""Loads several workspaces and streams into PostgreSQL, one mapped task each."""

from __future__ import annotations

import os
from datetime import timedelta

from airflow.sdk import DAG

from airflow_provider_toggl.transfers.toggl_to_sql import TogglToSqlOperator

with DAG(
    dag_id="mapped",
    schedule=None,
    default_args={"retries": 5, "retry_delay": timedelta(seconds=1)},
):
    TogglToSqlOperator.partial(
        task_id="load", warehouse_conn_id="warehouse", page_size=int(os.environ.get("TEST_PAGE_SIZE", "200"))
    ).expand(stream=["time_entries", "projects", "clients", "tags", "users", "groups"])
