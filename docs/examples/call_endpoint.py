"""Call your endpoint once for each stopped time entry of a project."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

import pendulum
import requests
from airflow.sdk import DAG, task

from airflow_provider_toggl.operators.events import TogglCommitEventsOperator
from airflow_provider_toggl.sensors.events import TogglEventSensor

ENDPOINT = os.environ.get("ENDPOINT", "http://localhost:8000/entry-stopped")
PROJECT = os.environ.get("TOGGL_PROJECT_ID", "1")

with DAG(
    dag_id="call_endpoint",
    schedule="@continuous",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    max_consecutive_failed_dag_runs=3,
    default_args={"retries": 3, "retry_delay": timedelta(seconds=10)},
):
    stopped = TogglEventSensor(
        task_id="stopped",
        project_id=PROJECT,
        transition="stopped",
        consumer="call_endpoint",
        look_back=timedelta(days=1),
        timeout=timedelta(days=7),
        # A week without a stop skips the run; failed runs would pause the DAG.
        soft_fail=True,
    )

    @task
    def call(event: dict[str, Any]) -> None:
        """Call the endpoint; the key lets it recognize a repeated call."""
        answer = requests.post(
            ENDPOINT,
            json={"time_entry_id": event["entity_id"], "workspace_id": event["workspace_id"]},
            headers={"Idempotency-Key": event["event_id"]},
            timeout=30,
        )
        answer.raise_for_status()

    done = TogglCommitEventsOperator(
        task_id="done", consumer="call_endpoint", seq="{{ ti.xcom_pull('stopped')['seq'] }}"
    )
    call(stopped.output) >> done  # type: ignore[arg-type]
