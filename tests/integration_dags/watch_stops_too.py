"""A DAG with the name and the filter of another file: both run."""

from __future__ import annotations

from airflow.sdk import DAG
from noting import note

from airflow_provider_toggl.assets import toggl_events

STOPS = toggl_events("stops", "4502339761", project_id=[9, "8"], transition=["stopped"])

with DAG("watch_stops_too", schedule=STOPS, max_active_runs=1):
    note()
