"""Loads the streams of a workspace with small pages, and records the processes of the tasks."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import airflow.sdk
from airflow.sdk import DAG

from airflow_provider_toggl.assets import toggl_asset
from airflow_provider_toggl.core.client.limits import leaky_bucket
from airflow_provider_toggl.transfers.toggl_to_sql import TogglToSqlOperator

STREAMS = ("time_entries", "projects", "clients", "tags", "tasks", "users", "project_users", "groups")


def record_process(context: Any) -> None:
    """Record the process of the task, for a test that kills it; the next try waits little for its last request."""
    folder = os.environ.get("TEST_PIDS")
    if folder:
        leaky_bucket.RESPONSE_TIMEOUT = 1.0
        ti = context["ti"]
        Path(folder, f"{ti.task_id}.{ti.try_number}.{os.getpid()}").touch()


WORKSPACE = os.environ.get("TEST_WORKSPACE", "1")
entries, days = toggl_asset(WORKSPACE, "time_entries"), toggl_asset(WORKSPACE, "days")

with DAG(dag_id="load_all", schedule=None) as load_all:
    for stream in STREAMS:
        TogglToSqlOperator(task_id=stream, stream=stream, page_size=200)

with DAG(dag_id="load_entries", schedule=None) as load_entries:
    TogglToSqlOperator(
        task_id="time_entries",
        stream="time_entries",
        page_size=200,
        outlets=[entries, days],
        max_partitions=3,
        retries=50,
        retry_delay=timedelta(0),
        on_execute_callback=record_process,
    )

if hasattr(airflow.sdk, "PartitionedAssetTimetable"):  # Airflow 3.3
    # --8<-- [start:partitions]
    from airflow.sdk import PartitionedAssetTimetable, StartOfWeekMapper, task

    with DAG(dag_id="each_day", schedule=PartitionedAssetTimetable(assets=days), max_active_runs=4) as each_day:

        @task
        def compute(dag_run: Any = None) -> str:
            """Compute the day again that the run is for."""
            return str(dag_run.partition_key)

        compute()

    # One run for all changed days of a week; its key is as "2026-11-23 (W48)".
    with DAG(
        dag_id="each_week",
        schedule=PartitionedAssetTimetable(
            assets=days, default_partition_mapper=StartOfWeekMapper(input_format="%Y-%m-%d")
        ),
    ) as each_week:
        compute()
    # --8<-- [end:partitions]
