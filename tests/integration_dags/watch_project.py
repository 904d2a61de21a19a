"""A DAG that runs for everything in one project; another file has one that runs for something else."""

from __future__ import annotations

from airflow.sdk import DAG
from noting import note

from airflow_provider_toggl.assets import toggl_events

with DAG("watch_project", schedule=toggl_events("project_8", 4502339761, project_id=8), max_active_runs=1):
    note()
