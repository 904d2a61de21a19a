"""Load every change in Toggl into the warehouse within seconds, by webhooks.

Needs webhooks (a subscription and the receiver), connection ``toggl_default``, and the ID of its workspace in the
environment variable ``TOGGL_WORKSPACE_ID``; without the variable Airflow shows an import error. Costs no request to
Toggl. Rows are loaded into the file of connection ``duckdb_default``, or into ``$AIRFLOW_HOME/toggl/warehouse.duckdb``
if there is no such connection, or into the warehouse of the connection in ``TOGGL_WAREHOUSE_CONN_ID``.

It also runs every 15 minutes, because Airflow can lose an asset event, and the warehouse may be unavailable for longer
than the retries last. The next run loads what is missing.
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
WAREHOUSE = os.environ.get("TOGGL_WAREHOUSE_CONN_ID", "duckdb_default")
# after=0: the first run also loads events from before the watcher's first start.
changes = toggl_events("toggl_on_change", WORKSPACE, after=0)

with DAG(
    dag_id="toggl_on_change",
    description="Every change in Toggl in DuckDB within seconds.",
    schedule=AssetOrTimeSchedule(timetable=CronTriggerTimetable("*/15 * * * *", timezone="UTC"), assets=[changes]),
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    # One run loads all pending events. Events that come meanwhile are for the next run.
    max_active_runs=1,
    default_args={"retries": 3, "retry_delay": timedelta(seconds=10)},
    tags=["toggl"],
):
    TogglEventsToSqlOperator(
        task_id="load_events",
        warehouse_conn_id=WAREHOUSE,
        outlets=[toggl_asset(WORKSPACE, stream) for stream in ("time_entries", "projects", "clients")],
    )
# --8<-- [end:watcher]
