"""Loads all events of a store in small batches; each attempt records its process, so that a test can kill it."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG

from airflow_provider_toggl.core.sync import drain
from airflow_provider_toggl.transfers.events_to_sql import TogglEventsToSqlOperator

CONSUMER = "drained"


def begin(context: Any) -> None:
    """Make batches small, so that there are many moments to die at, and say which process runs the task."""
    drain.BATCH_EVENTS, drain.CHUNK = 60, 30
    ti = context["ti"]
    Path(os.environ["TEST_PIDS"], f"{ti.task_id}.{ti.try_number}.{os.getpid()}").touch()


with DAG(dag_id="drain_all", schedule=None):
    TogglEventsToSqlOperator(
        task_id="drain", consumer=CONSUMER, retries=50, retry_delay=timedelta(0), on_execute_callback=begin
    )
