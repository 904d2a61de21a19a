"""Writes to Toggl that a test kills between the request and its answer, one in each DAG."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG

from airflow_provider_toggl.operators.catalog import TogglEnsureClientOperator
from airflow_provider_toggl.operators.entries import TogglCreateTimeEntryOperator, TogglStartTimeEntryOperator
from airflow_provider_toggl.operators.request import TogglRequestOperator

options: dict[str, Any] = {"schedule": None, "default_args": {"retries": 20, "retry_delay": timedelta(0)}}

with DAG(dag_id="act_create", **options) as act_create:
    TogglCreateTimeEntryOperator(task_id="act", start="2026-11-20T08:00:00Z", duration=60, description="{{ run_id }}")

with DAG(dag_id="act_start", **options) as act_start:
    TogglStartTimeEntryOperator(task_id="act", description="{{ run_id }}", tags=["airflow"])

with DAG(dag_id="act_client", **options) as act_client:
    TogglEnsureClientOperator(task_id="act", name="{{ run_id }}")

with DAG(dag_id="act_request", **options) as act_request:
    TogglRequestOperator(
        task_id="act",
        method="POST",
        endpoint="/api/v9/workspaces/{workspace_id}/tags",
        json={"name": "{{ run_id }}"},
    )
