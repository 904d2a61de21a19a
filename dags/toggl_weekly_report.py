"""Draw hours and amounts by week, utilization, budgets, margins and approvals, as pictures and a page, at each change.

Reads the warehouse of ``toggl_sync_to_duckdb`` and ``toggl_on_change``, and costs no request to Toggl. Needs the extra
``report``, and the ID of the workspace in the environment variable ``TOGGL_WORKSPACE_ID``; without the variable Airflow
shows an import error. Utilization needs the stream ``workspace_users``, margins need ``workspaces`` and ``rates``, and
approvals need ``timesheets``: what is not loaded is left out, with the reason on the page. The files are in
``TOGGL_REPORT_FOLDER``, or in ``$AIRFLOW_HOME/toggl/reports``.
"""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pendulum
from airflow.sdk import dag, task

from airflow_provider_toggl.assets import toggl_asset
from airflow_provider_toggl.hooks.settings import airflow_home
from airflow_provider_toggl.hooks.warehouse import DEFAULT_CONN_ID, open_warehouse

WORKSPACE = int(os.environ["TOGGL_WORKSPACE_ID"])
FOLDER = os.environ.get("TOGGL_REPORT_FOLDER")
WEEKS = 12
STREAMS = ("time_entries", "projects", "clients", "workspace_users", "rates", "timesheets")
entries, projects, clients, members, rates, timesheets = (toggl_asset(WORKSPACE, stream) for stream in STREAMS)


# --8<-- [start:report]
@dag(
    dag_id="toggl_weekly_report",
    description="Hours, amounts, utilization, budgets, margins and approvals.",
    # Not partitioned: one run draws all that changed. An extra or a missing run does no harm.
    schedule=(entries | projects | clients | members | rates | timesheets),
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 3, "retry_delay": timedelta(seconds=30)},
    tags=["toggl"],
)
def toggl_weekly_report() -> None:
    """Build the DAG."""

    @task
    def draw() -> list[str]:
        """Draw the latest weeks; return the paths of the files."""
        from airflow_provider_toggl.report.chart import draw_png  # noqa: PLC0415 - not needed to parse the DAG
        from airflow_provider_toggl.report.page import build_page  # noqa: PLC0415 - as above
        from airflow_provider_toggl.report.pictures import build_pictures, draw_pictures  # noqa: PLC0415 - as above
        from airflow_provider_toggl.report.weeks import build_report  # noqa: PLC0415 - as above

        with open_warehouse(DEFAULT_CONN_ID, schema="toggl") as target:
            report = build_report(target, WORKSPACE, WEEKS)
            pictures = build_pictures(target, WORKSPACE, report)
        folder = Path(FOLDER or Path(airflow_home()) / "toggl" / "reports")
        folder.mkdir(parents=True, exist_ok=True)
        chart, page = folder / "weekly.png", folder / "weekly.html"
        draw_png(report, chart)
        page.write_text(build_page(report, pictures), "utf-8")
        return [str(path) for path in (chart, page, *draw_pictures(pictures, folder))]

    draw()


toggl_weekly_report()
# --8<-- [end:report]
