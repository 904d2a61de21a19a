"""Bring every change of Toggl into the warehouse within seconds: webhook, event, DAG, row.

Needs webhooks (a subscription and the receiver), one connection, ``toggl_default``, and the ID of its workspace in the
environment variable ``TOGGL_WORKSPACE_ID``; without that Airflow shows an import error. Asks nothing of Toggl, so it
costs no request. Rows land in the file behind connection ``duckdb_default``, or in
``$AIRFLOW_HOME/toggl/warehouse.duckdb`` where there is none.

It runs every quarter of an hour as well: Airflow can lose a wake-up, and a warehouse may be away for longer than
retries last. The next run lands what is missing then, also in a quiet hour.
"""

from __future__ import annotations

import os
from datetime import timedelta

import pendulum
from airflow.sdk import DAG
from airflow.timetables.assets import AssetOrTimeSchedule
from airflow.timetables.trigger import CronTriggerTimetable

from airflow_provider_toggl.assets import toggl_asset, toggl_events
from airflow_provider_toggl.transfers.events_to_sql import TogglEventsToSqlOperator

# --8<-- [start:watcher]
WORKSPACE = os.environ["TOGGL_WORKSPACE_ID"]
# after=0: what came before the watcher's first start is landed by the first run.
changes = toggl_events("toggl_on_change", WORKSPACE, after=0)

with DAG(
    dag_id="toggl_on_change",
    description="Every change of Toggl in DuckDB within seconds.",
    schedule=AssetOrTimeSchedule(timetable=CronTriggerTimetable("*/15 * * * *", timezone="UTC"), assets=[changes]),
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    # One run drains all that there is; what comes meanwhile is for the next one.
    max_active_runs=1,
    default_args={"retries": 3, "retry_delay": timedelta(seconds=10)},
    tags=["toggl"],
):
    TogglEventsToSqlOperator(
        task_id="land_events",
        outlets=[toggl_asset(WORKSPACE, stream) for stream in ("time_entries", "projects", "clients")],
    )
# --8<-- [end:watcher]
