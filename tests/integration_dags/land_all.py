"""The streams of a workspace with small pages, and a trace of the processes that land them."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG

from airflow_provider_toggl.transfers.toggl_to_sql import TogglToSqlOperator

STREAMS = ("time_entries", "projects", "clients", "tags", "tasks", "users", "project_users", "groups")


def note_process(context: Any) -> None:
    """Write down which process runs the task, for a test that kills it."""
    folder = os.environ.get("TEST_PIDS")
    if folder:
        ti = context["ti"]
        Path(folder, f"{ti.task_id}.{ti.try_number}.{os.getpid()}").touch()


with DAG(dag_id="land_all", schedule=None) as land_all:
    for stream in STREAMS:
        TogglToSqlOperator(task_id=stream, stream=stream, page_size=200)

with DAG(dag_id="land_entries", schedule=None) as land_entries:
    TogglToSqlOperator(
        task_id="time_entries",
        stream="time_entries",
        page_size=200,
        retries=50,
        retry_delay=timedelta(0),
        on_execute_callback=note_process,
    )
