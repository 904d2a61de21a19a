"""Report hours of the last 30 days by client and project, with pandas.

Reads the view ``time_entry_facts`` in the warehouse of ``toggl_sync_to_duckdb``. Costs no request to Toggl.
"""

from __future__ import annotations

import logging
from typing import Any

import pendulum
from airflow.sdk import dag, task

from airflow_provider_toggl.hooks.warehouse import read_df

log = logging.getLogger(__name__)

# --8<-- [start:read_df]
QUERY = """
    SELECT client_name, project_name, hours, amount, currency
    FROM time_entry_facts
    WHERE local_date >= current_date - 30 AND hours IS NOT NULL
"""


@dag(
    dag_id="toggl_hours_report",
    description="Hours of the last 30 days by client and project.",
    schedule="@daily",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    tags=["toggl"],
)
def toggl_hours_report() -> None:
    """Build the DAG."""

    @task
    def hours_by_project() -> list[dict[str, Any]]:
        """Sum hours by project, log them, and return the largest."""
        facts = read_df(QUERY)
        names = facts[["client_name", "project_name"]].fillna("(none)")
        report = (
            facts.assign(client=names["client_name"], project=names["project_name"])
            .groupby(["client", "project"], as_index=False)["hours"]
            .sum()
            .sort_values("hours", ascending=False)
            .round(2)
        )
        log.info("Hours of the last 30 days:\n%s", report.to_string(index=False))
        return [
            {"client": row.client, "project": row.project, "hours": float(row.hours)}
            for row in report.head(20).itertuples()
        ]

    hours_by_project()


toggl_hours_report()
# --8<-- [end:read_df]
