"""A DAG that runs for each end of an entry; another file has the same name with another filter."""

from __future__ import annotations

from airflow.sdk import DAG
from noting import note

from airflow_provider_toggl.assets import toggl_events

with DAG("watch_ends", schedule=toggl_events("ends", 4502339761, transition="stopped"), max_active_runs=1):
    note()
