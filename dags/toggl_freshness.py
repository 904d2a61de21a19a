"""Alert when the warehouse falls behind Toggl, whatever the reason: a used-up quota, a paused DAG, a dead task.

Twice an hour a run waits until the loaded time entries are recent enough. If its deadline passes, the triggerer reports
it, without a worker. Costs no request to Toggl. Reads the warehouse of ``toggl_sync_to_duckdb``.
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta, timezone

import pendulum
from airflow.sdk import DAG, AsyncCallback, DeadlineAlert, DeadlineReference, task

from airflow_provider_toggl.hooks.warehouse import read_df
from airflow_provider_toggl.triggers.deadlines import report_late_run

# --8<-- [start:freshness]
OLDEST = timedelta(minutes=int(os.environ.get("TOGGL_FRESH_MINUTES", "90")))
DEADLINE = timedelta(seconds=int(os.environ.get("TOGGL_DEADLINE_SECONDS", "900")))
# All changes before the watermark are loaded. Of several workspaces this takes the one that is furthest behind; a
# scope with a slash is a part of a workspace.
QUERY = """
    SELECT min(watermark) AS loaded FROM sync_state
    WHERE stream = 'time_entries' AND scope NOT LIKE '%/%'
"""

with DAG(
    dag_id="toggl_freshness",
    description="An alert when the loaded time entries are too old.",
    schedule="*/30 * * * *",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    deadline=DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=DEADLINE,
        # Or a notifier, such as AsyncCallback(SlackWebhookNotifier, {"text": "..."}), importable in the triggerer.
        callback=AsyncCallback(report_late_run, {"wanted": f"time entries that are at most {OLDEST} old"}),
    ),
    tags=["toggl"],
):

    @task.sensor(poke_interval=60, timeout=25 * 60, mode="reschedule")
    def is_fresh() -> bool:
        """Return whether all changes up to a recent time are loaded."""
        loaded = read_df(QUERY, df_type="arrow")["loaded"][0].as_py()
        return loaded is not None and datetime.now(timezone.utc) - loaded <= OLDEST

    is_fresh()
# --8<-- [end:freshness]
