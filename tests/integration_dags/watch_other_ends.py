"""A DAG with the name of another file and a filter of its own, which the parse of one file cannot see."""

from __future__ import annotations

from airflow.sdk import DAG
from noting import note

from airflow_provider_toggl.assets import toggl_events

with DAG("watch_other_ends", schedule=toggl_events("ends", 4502339761, entity="project"), max_active_runs=1):
    note()
