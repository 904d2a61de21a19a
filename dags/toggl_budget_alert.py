"""Warn once when the time tracked in a project passes 80 % of its estimate, seconds after the entry.

Runs when ``toggl_on_change`` has loaded an entry, or ``toggl_sync_to_duckdb`` an entry or an estimate. It reads their
warehouse, and costs no request to Toggl. Needs the ID of the workspace in the environment variable
``TOGGL_WORKSPACE_ID``; without the variable Airflow shows an import error. Estimates need a paid plan of Toggl.
Projects that recur are left out, because their estimate is for a period.

A new estimate is a new budget, so it is warned of again. Which warnings were sent is in the table ``budget_warnings``
beside Toggl's tables. The statements are for DuckDB and PostgreSQL.
"""

from __future__ import annotations

import logging
import os
from datetime import timedelta
from typing import Any

import pendulum
from airflow.sdk import BaseNotifier, dag, get_current_context, task

from airflow_provider_toggl.assets import toggl_asset
from airflow_provider_toggl.hooks.warehouse import open_warehouse

WORKSPACE = int(os.environ["TOGGL_WORKSPACE_ID"])
WAREHOUSE = os.environ.get("TOGGL_WAREHOUSE_CONN_ID", "duckdb_default")
entries, projects = (toggl_asset(WORKSPACE, stream) for stream in ("time_entries", "projects"))

# --8<-- [start:budget]
SHARE = float(os.environ.get("TOGGL_BUDGET_SHARE", "0.8"))
# Names are values of the template and not parts of it, because people may write anything into them.
MESSAGE = "{{ project.name }}: {{ project.percent }} % of {{ project.budget_hours }} h are used up."

CREATE = "create table if not exists budget_warnings (project_id bigint not null, estimated_seconds bigint not null)"
FIND = """
    select project.id, project.name, project.estimated_seconds, cast(sum(entry.duration) as bigint) as tracked_seconds
    from projects as project
        join live_time_entries as entry on entry.project_id = project.id
        left join budget_warnings as sent
            on sent.project_id = project.id and sent.estimated_seconds = project.estimated_seconds
    where project.active and project.estimated_seconds > 0 and not coalesce(project.recurring, false)
        and sent.project_id is null
    group by project.id, project.name, project.estimated_seconds
    having sum(entry.duration) >= ? * project.estimated_seconds
    order by project.id
"""


class LogNotifier(BaseNotifier):
    """Writes to the task's log. Use a notifier of a provider instead: for Slack, e-mail, Teams, ..."""

    template_fields = ("message",)

    def __init__(self, message: str) -> None:
        super().__init__()
        self.message = message

    def notify(self, context: Any) -> None:
        """Write the message."""
        logging.getLogger(__name__).warning(self.message)


@dag(
    dag_id="toggl_budget_alert",
    description="A warning when a project passes a share of its estimate.",
    schedule=(entries | projects),
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    # Two runs at a time would both warn.
    max_active_runs=1,
    default_args={"retries": 3, "retry_delay": timedelta(seconds=10)},
    tags=["toggl"],
)
def toggl_budget_alert() -> None:
    """Build the DAG."""

    @task
    def find() -> list[dict[str, Any]]:
        """Return the projects to warn of."""
        with open_warehouse(WAREHOUSE, schema="toggl") as warehouse:
            with warehouse.transaction() as transaction:
                transaction.run(CREATE)
            found = warehouse.query(FIND, [SHARE]).to_pylist()
        return [
            {
                **project,
                "percent": round(100 * project["tracked_seconds"] / project["estimated_seconds"]),
                "budget_hours": round(project["estimated_seconds"] / 3600),
            }
            for project in found
        ]

    @task(map_index_template="{{ project.name }}", max_active_tis_per_dagrun=1)
    def warn(project: dict[str, Any]) -> None:
        """Send the warning, then remember it. A failure between both sends it again, and none is lost."""
        context = get_current_context()
        context["project"] = project  # type: ignore[typeddict-unknown-key]
        # Called here and not by on_success_callback, because a failure of that is not retried.
        LogNotifier(MESSAGE)(context)
        with open_warehouse(WAREHOUSE, schema="toggl") as warehouse, warehouse.transaction() as transaction:
            transaction.run("insert into budget_warnings values (?, ?)", [project["id"], project["estimated_seconds"]])

    warn.expand(project=find())


toggl_budget_alert()
# --8<-- [end:budget]
