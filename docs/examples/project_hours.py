"""Hours of the last 30 days by project: one mapped task per project, with TaskFlow."""

from __future__ import annotations

from typing import Any

import pendulum
from airflow.sdk import dag, get_current_context, task

from airflow_provider_toggl.hooks.warehouse import read_df
from airflow_provider_toggl.transfers.toggl_to_sql import TogglToSqlOperator

PROJECTS = """
    select project_id as id, project_name as name, sum(hours) as hours
    from time_entry_facts
    where project_id is not null and local_date >= current_date - 30
    group by project_id, project_name
    having sum(hours) > 0
    order by project_id
"""


@dag(schedule="@daily", start_date=pendulum.datetime(2026, 1, 1, tz="UTC"), catchup=False, max_active_runs=1)
def toggl_project_hours() -> None:
    """Load, list the projects, and run one task for each."""
    loaded = [
        TogglToSqlOperator(task_id=f"load_{stream}", stream=stream)
        for stream in ("projects", "clients", "time_entries")
    ]

    # --8<-- [start:expand]
    @task
    def list_projects() -> list[dict[str, Any]]:
        return read_df(PROJECTS).to_dict("records")

    @task(map_index_template="{{ project_name }}", max_active_tis_per_dagrun=4)
    def report(project: dict[str, Any]) -> str:
        get_current_context()["project_name"] = project["name"]
        return f"{project['name']}: {project['hours']:.2f} h"

    projects = list_projects()
    loaded >> projects
    report.expand(project=projects)
    # --8<-- [end:expand]


toggl_project_hours()
