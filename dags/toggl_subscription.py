"""Declare the webhook subscription of a workspace, and correct it every hour if it differs.

Needs connection ``toggl_default`` with ``webhook_secret`` and ``webhook_callback_url``, and a receiver at that address.
Costs one request an hour if nothing differs. Enables the subscription again if Toggl has disabled it.
"""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.sdk import DAG

from airflow_provider_toggl.operators.subscriptions import TogglEnsureSubscriptionOperator

# --8<-- [start:ensure]
with DAG(
    dag_id="toggl_subscription",
    description="The webhook subscription of a Toggl workspace, as declared.",
    schedule="@hourly",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=1)},
    tags=["toggl"],
):
    TogglEnsureSubscriptionOperator(
        task_id="ensure",
        description="airflow",
        # The free plan allows three filters. "*:*" stands for all events.
        filters=["time_entry:created", "time_entry:updated", "time_entry:deleted"],
    )
# --8<-- [end:ensure]
