"""Check every day what was landed, with Airflow's own SQL checks.

Needs a connection to the warehouse whose type has a hook: ``postgres``, ``sqlite``, ``mysql``, ... or ``duckdb`` with
``pip install airflow-provider-duckdb``. Asks nothing of Toggl.
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
    description="SQL checks on the landed tables.",
    schedule="@daily",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    # A DuckDB file is one process's at a time: checks go one by one, and one that meets a landing is tried again.
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
    # Counts, because of no rows at all they say that it is well.
    SQLTableCheckOperator(
        task_id="entries",
        table="toggl.live_time_entries",
        checks={
            "no_entry_begins_before_2006": {
                "check_statement": "count(CASE WHEN \"start\" < '2006-01-01' THEN 1 END) = 0",
            },
            "each_project_is_landed": {
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
