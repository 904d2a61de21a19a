"""Hourly: the time entries of a workspace as Parquet files in a folder, and from them the hours of each day."""

from __future__ import annotations

import os

import pendulum
from airflow.sdk import DAG, task

from airflow_provider_toggl.assets import toggl_files_asset
from airflow_provider_toggl.hooks.files import read_files, remove_unpublished_files
from airflow_provider_toggl.transfers.toggl_to_files import TogglToFilesOperator

# Or "s3://my_aws_connection@my-bucket/toggl".
PATH = os.environ.get("TOGGL_FILES", "/var/lib/airflow/toggl/files")
ENTRIES = toggl_files_asset(PATH, "time_entries")

with DAG("toggl_files", schedule="@hourly", start_date=pendulum.datetime(2026, 1, 1, tz="UTC"), catchup=False):
    TogglToFilesOperator(
        task_id="time_entries", path=PATH, stream="time_entries", outlets=[ENTRIES], max_active_tis_per_dag=1
    )

with DAG("toggl_files_hours", schedule=[ENTRIES], start_date=pendulum.datetime(2026, 1, 1, tz="UTC"), catchup=False):

    @task
    def hours() -> float:
        """Return the hours of all entries."""
        rows = read_files(PATH, "time_entries")
        return sum(seconds or 0 for seconds in rows["duration"].to_pylist()) / 3600

    @task
    def clean_up() -> list[str]:
        """Delete what interrupted tasks left."""
        return remove_unpublished_files(PATH, "time_entries")

    hours() >> clean_up()
