"""When a time entry of one project is stopped, create a task in another project.

Needs webhooks (a subscription and the receiver), connection ``toggl_default``, and a Toggl plan with tasks. Each run
waits for the next stop without a worker slot. No stop is missed or handled twice, and later edits of the entry start
nothing.
"""

from __future__ import annotations

import os
from datetime import timedelta

import pendulum
from airflow.sdk import DAG

from airflow_provider_toggl.operators.catalog import TogglEnsureProjectOperator, TogglEnsureTaskOperator
from airflow_provider_toggl.operators.events import TogglCommitEventsOperator
from airflow_provider_toggl.sensors.events import TogglEventSensor

# --8<-- [start:follow-up]
with DAG(
    dag_id="toggl_follow_up",
    description="A stopped entry of one project becomes a task in another.",
    schedule="@continuous",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    # An event that always fails would be tried again and again and use up the quota: Airflow pauses the DAG instead.
    max_consecutive_failed_dag_runs=3,
    default_args={"retries": 3, "retry_delay": timedelta(seconds=10)},
    tags=["toggl"],
):
    stopped = TogglEventSensor(
        task_id="stopped",
        project_id=os.environ.get("TOGGL_PROJECT_ID", "1"),
        # Add "logged" for entries that are created without a timer.
        transition="stopped",
        # Start after the last committed event; the first run looks back a day.
        consumer="toggl_follow_up",
        look_back=timedelta(days=1),
        timeout=timedelta(days=7),
    )
    project = TogglEnsureProjectOperator(task_id="project", name="Follow-ups")
    task = TogglEnsureTaskOperator(
        task_id="task",
        project_id="{{ ti.xcom_pull('project')['id'] }}",
        # The same name for each stop of one entry, so that a second stop finds the task that exists.
        name="Look through entry {{ ti.xcom_pull('stopped')['entity_id'] }}",
    )
    done = TogglCommitEventsOperator(
        task_id="done", consumer="toggl_follow_up", seq="{{ ti.xcom_pull('stopped')['seq'] }}"
    )
    stopped >> project >> task >> done
# --8<-- [end:follow-up]
