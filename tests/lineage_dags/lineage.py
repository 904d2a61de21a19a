"""Loads time entries and events into a schema that a template names, and reads them with functions of this package."""

from __future__ import annotations

import os

from airflow.sdk import DAG, task

from airflow_provider_toggl.assets import toggl_asset
from airflow_provider_toggl.hooks.toggl import TogglHook
from airflow_provider_toggl.hooks.warehouse import read_df
from airflow_provider_toggl.transfers.events_to_sql import TogglEventsToSqlOperator
from airflow_provider_toggl.transfers.toggl_to_sql import TogglToSqlOperator

WORKSPACE = os.environ.get("TEST_WORKSPACE", "1")

with DAG(dag_id="lineage", schedule=None, params={"schema": "time"}) as lineage:
    schema = "{{ params.schema }}"
    load = TogglToSqlOperator(
        task_id="load", stream="time_entries", schema=schema, outlets=[toggl_asset(WORKSPACE, "time_entries")]
    )
    drain = TogglEventsToSqlOperator(task_id="drain", schema=schema)
    fail = TogglToSqlOperator(
        task_id="fail", stream="tags", schema=schema, toggl_conn_id="toggl_broken", workspace_id=WORKSPACE
    )

    # --8<-- [start:read]
    @task
    def read() -> int:
        """Return the number of entries and tags, which it reads from the warehouse and from Toggl."""
        entries = read_df("select * from time_entry_facts", schema="time", df_type="arrow")
        return len(entries) + sum(map(len, TogglHook().tags()))

    # --8<-- [end:read]

    load >> drain >> read() >> fail
