"""Loads time entries of the workspaces that the variable ``BENCHMARK_WORKSPACES`` lists, one mapped task each."""

from __future__ import annotations

import json
import os

from airflow.sdk import DAG

from airflow_provider_toggl.transfers.toggl_to_sql import TogglToSqlOperator

with DAG(dag_id="many", schedule=None):
    TogglToSqlOperator.partial(
        task_id="load",
        stream="time_entries",
        warehouse_conn_id="warehouse",
        page_size=int(os.environ["BENCHMARK_PAGE_SIZE"]),
    ).expand_kwargs(json.loads(os.environ["BENCHMARK_WORKSPACES"]))
