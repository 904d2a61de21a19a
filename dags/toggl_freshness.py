"""Have an alert when the warehouse falls behind Toggl, whatever the reason: a used-up quota, a paused DAG, a dead task.

Twice an hour a run waits until the time entries that are landed are young enough. One that still waits when its
deadline passes is told of by the triggerer, without a worker. Asks nothing of Toggl. Reads the warehouse that
``toggl_sync_to_duckdb`` lands in.
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
# What changed before is landed; of several workspaces, the one that is furthest behind. A scope with a slash is a part.
QUERY = """
    SELECT min(watermark) AS landed FROM sync_state
    WHERE stream = 'time_entries' AND scope NOT LIKE '%/%'
"""

with DAG(
    dag_id="toggl_freshness",
    description="An alert when the landed time entries are too old.",
    schedule="*/30 * * * *",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    deadline=DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=DEADLINE,
        # Or a notifier: AsyncCallback(SlackWebhookNotifier, {"text": "..."}). It must be importable in the triggerer.
        callback=AsyncCallback(report_late_run, {"wanted": f"time entries that are at most {OLDEST} old"}),
    ),
    tags=["toggl"],
):

    @task.sensor(poke_interval=60, timeout=25 * 60, mode="reschedule")
    def is_fresh() -> bool:
        """Whether everything is landed that changed until not long ago."""
        landed = read_df(QUERY, df_type="arrow")["landed"][0].as_py()
        return landed is not None and datetime.now(timezone.utc) - landed <= OLDEST

    is_fresh()
# --8<-- [end:freshness]
