"""Check the loaded tables every day with Airflow's SQL check operators.

Needs a connection to the warehouse whose type has a hook: ``postgres``, ``sqlite``, ``mysql``, ... or ``duckdb`` with
``pip install airflow-provider-duckdb``. Costs no request to Toggl.
"""

from __future__ import annotations

import os
from datetime import timedelta

import pendulum
from airflow.providers.common.sql.operators.sql import SQLColumnCheckOperator, SQLTableCheckOperator
from airflow.sdk import DAG

# --8<-- [start:checks]
WAREHOUSE = os.environ.get("TOGGL_WAREHOUSE_CONN_ID", "duckdb_default")

with DAG(
    dag_id="toggl_checks",
    description="SQL checks on the loaded tables.",
    schedule="@daily",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    # Only one process at a time can open a DuckDB file: checks run one by one, and are retried if a load is running.
    max_active_tasks=1,
    default_args={"conn_id": WAREHOUSE, "retries": 5, "retry_delay": timedelta(seconds=30)},
    tags=["toggl"],
):
    SQLColumnCheckOperator(
        task_id="columns",
        table="toggl.live_time_entries",
        column_mapping={
            "id": {"unique_check": {"equal_to": 0}},
            "user_id": {"null_check": {"equal_to": 0}},
            "updated_at": {"null_check": {"equal_to": 0}},
            "duration": {"min": {"geq_to": 0}},
        },
    )
    # Counts, because an aggregate over no rows would pass.
    SQLTableCheckOperator(
        task_id="entries",
        table="toggl.live_time_entries",
        checks={
            "no_entry_begins_before_2006": {
                "check_statement": "count(CASE WHEN \"start\" < '2006-01-01' THEN 1 END) = 0",
            },
            "each_project_is_loaded": {
                "check_statement": "count(CASE WHEN project_id NOT IN (SELECT id FROM toggl.projects) THEN 1 END) = 0",
            },
        },
    )
    SQLTableCheckOperator(
        task_id="nothing_was_rejected",
        table="toggl.rejected_records",
        checks={"none": {"check_statement": "count(*) = 0"}},
    )
# --8<-- [end:checks]
