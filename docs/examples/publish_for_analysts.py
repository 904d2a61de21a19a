"""Publish the loaded data as Parquet files, which can be read while the DuckDB file is being written."""

from __future__ import annotations

import os
from pathlib import Path

import pendulum
from airflow.sdk import dag, task

from airflow_provider_toggl.assets import toggl_asset
from airflow_provider_toggl.hooks.warehouse import DEFAULT_CONN_ID, open_warehouse

WORKSPACE = os.environ["TOGGL_WORKSPACE_ID"]
VIEWS = ("time_entry_facts", "projects", "clients", "users")


# --8<-- [start:publish]
def publish(folder: Path, warehouse_conn_id: str = DEFAULT_CONN_ID, schema: str = "toggl") -> list[Path]:
    """Write one file per view, all showing the same moment, and replace the old files."""
    folder.mkdir(parents=True, exist_ok=True)
    with open_warehouse(warehouse_conn_id, schema=schema) as warehouse, warehouse.transaction() as session:
        for view in VIEWS:
            session.run(f"copy (from {view}) to '{folder / view}.part' (format parquet)")
    return [Path(f"{folder / view}.part").rename(folder / f"{view}.parquet") for view in VIEWS]


@dag(
    dag_id="toggl_publish_for_analysts",
    schedule=[toggl_asset(WORKSPACE, "time_entries")],
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    tags=["toggl"],
)
def toggl_publish_for_analysts() -> None:
    """Build the DAG."""

    @task
    def write() -> list[str]:
        """Publish, and return the files."""
        return [str(path) for path in publish(Path(os.environ.get("TOGGL_PUBLISH_FOLDER", "/srv/toggl")))]

    write()


toggl_publish_for_analysts()
# --8<-- [end:publish]
