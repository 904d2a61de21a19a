from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import TaskDeferred
from support.connections import WEBHOOK_SECRET, Connections, all_logs
from support.truth import entry_differences, live, rows

from airflow_provider_toggl.assets import toggl_asset
from airflow_provider_toggl.core import errors
from airflow_provider_toggl.hooks.activity import approve_mass_deletion
from airflow_provider_toggl.hooks.health import read_health
from airflow_provider_toggl.sandbox.server import RunningSandbox
from airflow_provider_toggl.transfers.reconcile import TogglReconcileOperator
from airflow_provider_toggl.transfers.toggl_to_sql import TogglToSqlOperator
from airflow_provider_toggl.triggers.waiting import TogglWaitTrigger

pytestmark = pytest.mark.airflow


@pytest.fixture
def warehouse(sandbox: RunningSandbox, connections: Connections) -> Path:
    """The warehouse of the default connections, with all entries in it, five of which are deleted since."""
    connections.toggl(sandbox)
    path = connections.duckdb()
    TogglToSqlOperator(task_id="load", stream="time_entries").execute(context())
    sandbox.advance(10)
    sandbox.mutate(seed=1, n=5, kinds=["delete_entry"])
    return path


def load_with_asset(sandbox: RunningSandbox) -> Any:
    """Load the time entries; return their asset, to which all of that is reported."""
    asset = toggl_asset(sandbox.workspace_id, "time_entries")
    found = context(outlet_events={asset: SimpleNamespace(extra={})})
    TogglToSqlOperator(task_id="load", stream="time_entries", outlets=[asset]).execute(found)
    return asset


def context(**more: Any) -> Any:
    """Return what a task gets: here it needs its run's start only."""
    return {"dag_run": SimpleNamespace(start_date=datetime.now(timezone.utc)), **more}


def reconcile(**options: Any) -> dict[str, Any]:
    """Run a task of a new run to its end."""
    return TogglReconcileOperator(task_id="reconcile", **options).execute(context())


def reconcile_as(run_id: str, try_number: int, **options: Any) -> dict[str, Any]:
    """Run a try, of at most two, of a task of a run."""
    ti = SimpleNamespace(dag_id="dag", task_id="reconcile", run_id=run_id, try_number=try_number, max_tries=1)
    return TogglReconcileOperator(task_id="reconcile", settle=0, **options).execute(context(ti=ti))


def test_what_was_deleted_is_marked_and_the_summary_is_returned_for_xcom(sandbox: RunningSandbox, warehouse: Path):
    with all_logs() as lines:
        summary = reconcile()
    for secret in (sandbox.token, WEBHOOK_SECRET):
        assert [line for line in [*lines, json.dumps(summary)] if secret in line] == []
    assert entry_differences(warehouse, sandbox.url) == []
    assert json.loads(json.dumps(summary)) == summary
    assert (summary["deleted"], summary["entries"], summary["by_ids"]) == (5, 115, True)
    (state,) = rows(warehouse, "SELECT * FROM toggl.sync_state WHERE scope LIKE '%/reconcile'")
    assert state["watermark"].isoformat().replace("+00:00", "Z") == summary["watermark"]
    assert json.loads(state["cursor"])["verified"][0]["entries"] == 115


def test_a_reconciliation_with_keep_history_keeps_versions_from_then_on(sandbox: RunningSandbox, warehouse: Path):
    reconcile()
    assert rows(warehouse, "SELECT * FROM toggl.time_entry_changes") == []
    sandbox.advance(10)
    sandbox.mutate(seed=2, n=3, kinds=["delete_entry"])
    reconcile(keep_history=True)
    gone = {row["id"] for row in sandbox.truth("time_entries") if row["deleted_at"]}
    found = rows(warehouse, "SELECT DISTINCT time_entry_id FROM toggl.time_entry_changes WHERE kind = 'absent'")
    assert len(found) == 8
    assert {row["time_entry_id"] for row in found} <= gone


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"since": "2099-01-01"}, "in the future"),
        ({"since": "2026-02-01", "until": "2026-01-01"}, "until .* is before since"),
        ({"warehouse_conn_id": "nowhere_at_all"}, "There is no connection 'nowhere_at_all'"),
    ],
)
def test_arguments_that_cannot_be_are_refused(warehouse: Path, options: dict[str, Any], words: str):
    with pytest.raises(errors.ConfigurationError, match=words):
        reconcile(**options)


def test_many_missing_entries_fail_the_task_until_a_person_approves(
    sandbox: RunningSandbox, warehouse: Path, connections: Connections
):
    sandbox.mutate(seed=2, n=60, kinds=["delete_entry"])
    sandbox.set(plan="premium")
    with pytest.raises(errors.AbsenceRefused, match="allow_mass_absence"):
        reconcile()
    assert len(live(warehouse, "time_entries")) == 120
    assert reconcile(allow_mass_absence="True", settle=0)["deleted"] == 65


def test_an_approval_on_the_page_outlives_a_failed_try_and_is_used_up_by_a_finished_one(
    sandbox: RunningSandbox, warehouse: Path
):
    sandbox.mutate(seed=2, n=60, kinds=["delete_entry"])
    sandbox.set(plan="premium")
    approve_mass_deletion("toggl_default", sandbox.workspace_id, by="somebody")
    with pytest.raises(errors.ConfigurationError, match="nowhere_at_all"):
        reconcile(warehouse_conn_id="nowhere_at_all")
    assert reconcile(settle=0)["deleted"] == 65
    assert read_health("toggl_default").approvals == ()


def test_an_approval_is_for_one_run_which_keeps_it_until_its_last_try_fails(sandbox: RunningSandbox, warehouse: Path):
    sandbox.mutate(seed=2, n=60, kinds=["delete_entry"])
    sandbox.set(plan="premium")
    approve_mass_deletion("toggl_default", sandbox.workspace_id, by="somebody")
    absent = {"warehouse_conn_id": "nowhere_at_all"}
    with pytest.raises(errors.ConfigurationError):
        reconcile_as("first", 1, **absent)
    with pytest.raises(errors.AbsenceRefused):
        reconcile_as("second", 1)
    with pytest.raises(errors.ConfigurationError):
        reconcile_as("first", 2, **absent)
    assert read_health("toggl_default").approvals == (sandbox.workspace_id,)
    assert reconcile_as("second", 2)["deleted"] == 65
    assert read_health("toggl_default").approvals == ()


def test_a_used_up_quota_defers_and_what_was_done_is_not_done_again(
    sandbox: RunningSandbox, warehouse: Path, connections: Connections
):
    sandbox.set(summary_gives_ids=False)
    gone = {row["id"] for row in sandbox.truth("time_entries") if row["deleted_at"]}
    known = set(live(warehouse, "time_entries"))
    asset = load_with_asset(sandbox)
    whole = sandbox.requests()["total"]
    sandbox.set(quota_enforced=True, organization_quota=6, quota_window_seconds=1800)
    sandbox.reset_quota()
    options: dict[str, Any] = {"task_id": "reconcile", "page_size": 20, "outlets": [asset], "since": "2026-01-01"}
    event = SimpleNamespace(extra={})
    run = context(outlet_events={asset: event})
    operator = TogglReconcileOperator(**options)
    waits = 0
    with pytest.raises(TaskDeferred) as stopped:
        operator.execute(run)
    while True:
        waits += 1
        deferred = stopped.value
        assert isinstance(deferred.trigger, TogglWaitTrigger)
        assert deferred.trigger.moment > datetime.now(timezone.utc) + timedelta(minutes=20)
        kwargs = json.loads(json.dumps(deferred.kwargs))
        sandbox.reset_quota()
        connections.set_option("state_dir", str(warehouse.parent / f"another host {waits}"))
        try:
            with pytest.raises(TaskDeferred) as stopped:
                summary = TogglReconcileOperator(**options).resume_execution(deferred.method_name, kwargs, run)
        except pytest.fail.Exception:
            break
    assert entry_differences(warehouse, sandbox.url) == []
    assert (summary["deleted"], summary["deferrals"]) == (5, waits)
    assert waits >= 1
    assert summary["requests"] == sandbox.requests()["total"] - whole
    days = [
        (call["body"]["start_date"], call["body"]["end_date"], call["body"]["first_row_number"])
        for call in sandbox.requests()["calls"][whole:]
        if call["path"].endswith("search/time_entries") and call["status"] == 200 and "user_ids" in call["body"]
    ]
    assert len(days) == len(set(days))
    assert event.extra["ids"] == sorted(known & gone)
    assert event.extra["is_complete"]
    assert 1 <= len(event.extra["days"]) <= 5
