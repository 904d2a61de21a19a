from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import TaskDeferred
from support.connections import Connections
from support.truth import live

from airflow_provider_toggl.hooks.toggl import TogglHook
from airflow_provider_toggl.sandbox.server import RunningSandbox
from airflow_provider_toggl.transfers.reconcile import TogglReconcileOperator
from airflow_provider_toggl.transfers.toggl_to_sql import TogglToSqlOperator

pytestmark = pytest.mark.airflow


@pytest.fixture
def warehouse(sandbox: RunningSandbox, connections: Connections) -> Path:
    """The warehouse of the default connections, which are set."""
    connections.toggl(sandbox)
    return connections.duckdb()


def run(operator: Any, index: int = -1) -> Any:
    """Run a task to its end or until it defers; return what it kept for later then."""
    task = SimpleNamespace(dag_id="many", task_id="load", run_id="noon", map_index=index, try_number=1, max_tries=0)
    run = SimpleNamespace(start_date=datetime.now(timezone.utc), clear_number=0)
    try:
        operator.execute({"ti": task, "dag_run": run})
    except TaskDeferred as deferred:
        return deferred.kwargs
    return None


@pytest.mark.parametrize(
    "operator",
    [
        lambda: TogglToSqlOperator(task_id="load", stream="time_entries", page_size=20),
        lambda: TogglReconcileOperator(task_id="load", page_size=20, since="2026-01-01"),
    ],
    ids=["pull", "reconcile"],
)
def test_a_task_that_waits_keeps_its_summary_and_has_released_the_warehouse(
    sandbox: RunningSandbox, warehouse: Path, operator: Any
):
    sandbox.set(quota_enforced=True, organization_quota=2)
    kept = run(operator())
    assert (kept["summary"]["pages"], kept["summary"]["deferrals"]) == (2, 1)
    assert len(live(warehouse, "time_entries")) == 40


def test_mapped_tasks_have_shares_of_their_own_and_keep_them_while_they_wait(sandbox: RunningSandbox, warehouse: Path):
    sandbox.set(quota_enforced=True, organization_quota=3)
    assert run(TogglToSqlOperator(task_id="load", stream="tags"), index=0) is None
    assert run(TogglToSqlOperator(task_id="load", stream="time_entries", page_size=20), index=1) is not None
    shares = TogglHook("toggl_default").get_conn().shares()
    assert {share.task: (share.taken, share.wanted) for share in shares} == {
        "many/load/noon/0": (1, 0),
        "many/load/noon/1": (2, None),
    }
