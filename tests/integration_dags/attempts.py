"""Streams that are read twice in a run, by mapped tasks, and by a task that is cleared while its run goes on."""

from __future__ import annotations

import os
from pathlib import Path

from airflow.sdk import DAG, task

from airflow_provider_toggl.transfers.reconcile import TogglReconcileOperator
from airflow_provider_toggl.transfers.toggl_to_sql import TogglToSqlOperator

with DAG(dag_id="twice", schedule=None) as twice:
    load = TogglToSqlOperator(task_id="load", stream="time_entries", report_lag=0)
    mapped = TogglToSqlOperator.partial(task_id="mapped").expand(stream=["tags", "tags", "clients"])
    (
        load
        >> mapped
        >> TogglReconcileOperator(task_id="compare", report_lag=0)
        >> TogglReconcileOperator(task_id="compare_again", report_lag=0)
        >> TogglToSqlOperator(task_id="load_again", stream="time_entries", report_lag=0)
    )

with DAG(dag_id="goes_on", schedule=None) as goes_on:
    TogglToSqlOperator(task_id="load", stream="time_entries", report_lag=0)
    TogglToSqlOperator(task_id="tags", stream="tags")

    @task.sensor(poke_interval=0.5, mode="poke")
    def go_on() -> bool:
        """Keep the run going until a test has what it wants."""
        return Path(os.environ["TEST_GO_ON"]).exists()

    go_on()
