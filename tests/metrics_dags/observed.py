"""All that is measured, in one run: subscribe and pull, wait and commit, drain, reconcile; and a watcher."""

from __future__ import annotations

from datetime import timedelta

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, chain

from airflow_provider_toggl.assets import toggl_events
from airflow_provider_toggl.operators.events import TogglCommitEventsOperator
from airflow_provider_toggl.operators.subscriptions import TogglEnsureSubscriptionOperator
from airflow_provider_toggl.sensors.events import TogglEventSensor
from airflow_provider_toggl.transfers.events_to_sql import TogglEventsToSqlOperator
from airflow_provider_toggl.transfers.reconcile import TogglReconcileOperator
from airflow_provider_toggl.transfers.toggl_to_sql import TogglToSqlOperator

WORKSPACE = 7000001

# Airflow fails a task that resumes before its scheduler has recorded the deferral.
AGAIN = {"retries": 2, "retry_delay": timedelta(0)}

with DAG(dag_id="observed", schedule=None, default_args=AGAIN):
    ensure = TogglEnsureSubscriptionOperator(task_id="ensure", description="observed")
    pull = TogglToSqlOperator(task_id="pull", stream="time_entries", page_size=200)
    wait = TogglEventSensor(task_id="wait", entity="time_entry", timeout=300)
    commit = TogglCommitEventsOperator(
        task_id="commit", consumer="by_hand", seq="{{ ti.xcom_pull(task_ids='wait')['seq'] }}"
    )
    drain = TogglEventsToSqlOperator(task_id="drain")
    reconcile = TogglReconcileOperator(task_id="reconcile")
    chain(ensure, pull, drain, reconcile)
    chain(wait, [commit, drain])

with DAG(dag_id="watched", schedule=toggl_events("observed", WORKSPACE, after=0)):
    EmptyOperator(task_id="nothing")
