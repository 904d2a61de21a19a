"""A DAG that runs for each stop of an entry of one project; another file has one that runs for something else."""

from __future__ import annotations

from airflow.sdk import DAG
from noting import note

from airflow_provider_toggl.assets import toggl_events

STOPS = toggl_events("stops", 4502339761, project_id=[8, 9], transition="stopped")

with DAG("watch_stops", schedule=STOPS, max_active_runs=1):
    note()
