"""Which tasks read from Toggl again, and which continue: a run is one attempt of one task, not the DAG run."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import TaskDeferred
from support.connections import Connections
from support.truth import STREAMS

from airflow_provider_toggl.core import errors
from airflow_provider_toggl.operators.quota_deferral import attempt_key
from airflow_provider_toggl.sandbox.server import RunningSandbox
from airflow_provider_toggl.transfers.reconcile import TogglReconcileOperator
from airflow_provider_toggl.transfers.toggl_to_sql import TogglToSqlOperator

pytestmark = pytest.mark.airflow

RUN_STARTED = datetime(2026, 1, 1, tzinfo=timezone.utc)
READERS: dict[str, Callable[..., Any]] = {
    **{
        stream: lambda stream=stream, **more: TogglToSqlOperator(task_id="t", stream=stream, **more)
        for stream in STREAMS
    },
    "fixed range": partial(
        TogglToSqlOperator, task_id="t", stream="time_entries", incremental=False, since="2025-01-01"
    ),
    "whole list": partial(TogglToSqlOperator, task_id="t", stream="projects", incremental=False),
    "reconcile": partial(TogglReconcileOperator, task_id="t"),
}


@pytest.fixture(autouse=True)
def _warehouse(sandbox: RunningSandbox, connections: Connections) -> Path:
    connections.toggl(sandbox)
    return connections.duckdb()


def task(**changes: Any) -> dict[str, Any]:
    """Return the context of the first try of a task; its run has been going on for long."""
    ti = {"dag_id": "d", "task_id": "t", "run_id": "r", "map_index": -1, "try_number": 1, "max_tries": 2}
    run = {"start_date": RUN_STARTED, "clear_number": 0}
    ti |= {name: value for name, value in changes.items() if name in ti}
    run |= {name: value for name, value in changes.items() if name in run}
    return {"ti": SimpleNamespace(**ti), "dag_run": SimpleNamespace(**run)}


def asked(sandbox: RunningSandbox) -> int:
    return int(sandbox.requests()["total"])


ANOTHER_ATTEMPT: dict[str, dict[str, Any]] = {
    "a second task of the run": {"task_id": "again"},
    "the same try once more": {},
    "cleared while its run goes on": {"try_number": 2, "max_tries": 3, "clear_number": 1},
    "cleared while it ran": {"try_number": 2, "clear_number": 1},
    "cleared after its run ended": {
        "try_number": 2,
        "max_tries": 3,
        "clear_number": 1,
        "start_date": datetime(2026, 1, 2, tzinfo=timezone.utc),
    },
    "another map index": {"map_index": 1},
    "a backfill's run": {"run_id": "backfill__1"},
    "a run made again under its name": {"start_date": datetime(2026, 1, 3, tzinfo=timezone.utc)},
}


@pytest.mark.parametrize("reader", READERS)
def test_a_second_task_reads_from_toggl_and_a_retry_reads_only_what_is_left(sandbox: RunningSandbox, reader: str):
    TogglToSqlOperator(task_id="first", stream="time_entries").execute(task(task_id="first"))
    READERS[reader]().execute(task())
    before = asked(sandbox)
    READERS[reader]().execute(task(try_number=2))
    # Each reconciliation asks for the time zone of the token's owner.
    assert asked(sandbox) - before == (1 if reader == "reconcile" else 0)
    before = asked(sandbox)
    summary = READERS[reader]().execute(task(task_id="again"))
    assert asked(sandbox) - before == summary["requests"] >= (2 if reader == "reconcile" else 1)


@pytest.mark.parametrize("changes", ANOTHER_ATTEMPT.values(), ids=ANOTHER_ATTEMPT.keys())
def test_every_other_attempt_reads_from_toggl(sandbox: RunningSandbox, changes: dict[str, Any]):
    TogglToSqlOperator(task_id="t", stream="tags").execute(task())
    summary = TogglToSqlOperator(task_id="t", stream="tags").execute(task(**changes))
    assert summary["requests"] >= 1


def test_without_a_task_every_execution_reads_again(sandbox: RunningSandbox):
    for _ in range(2):
        before = asked(sandbox)
        TogglToSqlOperator(task_id="t", stream="tags").execute({})
        assert asked(sandbox) - before == 1


def pages_of(sandbox: RunningSandbox) -> list[tuple[str, int]]:
    """Return the first day and row of each page that was read."""
    calls = [one for one in sandbox.requests()["calls"] if one["status"] == 200]
    return [(one["body"]["start_date"], one["body"]["first_row_number"]) for one in calls]


def fresh_quota(sandbox: RunningSandbox, connections: Connections, state: Path, requests: int) -> None:
    """Let the next task send so many requests and no more, from another host."""
    sandbox.set(quota_enforced=True, organization_quota=requests, quota_window_seconds=1800)
    sandbox.reset_quota()
    connections.set_option("state_dir", str(state))


def test_a_retry_of_a_long_first_load_goes_on_at_the_next_page_also_on_another_host(
    sandbox: RunningSandbox, connections: Connections, tmp_path: Path
):
    for number in itertools.count(1):
        fresh_quota(sandbox, connections, tmp_path / f"host {number}", 2)
        operator = TogglToSqlOperator(task_id="t", stream="time_entries", page_size=20, deferrable=False)
        try:
            operator.execute(task(try_number=number, max_tries=99))
        except errors.QuotaExhausted:
            continue
        break
    assert number > 3
    assert len(pages_of(sandbox)) == len(set(pages_of(sandbox))) == 8


def test_a_deferral_and_a_retry_after_it_are_one_attempt_and_a_clear_ends_it(
    sandbox: RunningSandbox, connections: Connections, tmp_path: Path
):
    fresh_quota(sandbox, connections, tmp_path / "first host", 3)
    with pytest.raises(TaskDeferred) as deferred:
        TogglToSqlOperator(task_id="t", stream="time_entries", page_size=20).execute(task())
    fresh_quota(sandbox, connections, tmp_path / "second host", 2)
    resumed = TogglToSqlOperator(task_id="t", stream="time_entries", page_size=20, deferrable=False)
    with pytest.raises(errors.QuotaExhausted):
        resumed.resume(task(), None, **(deferred.value.kwargs or {}))
    sandbox.set(quota_enforced=False)
    connections.set_option("state_dir", str(tmp_path / "third host"))
    TogglToSqlOperator(task_id="t", stream="time_entries", page_size=20).execute(task(try_number=2))
    assert len(pages_of(sandbox)) == len(set(pages_of(sandbox))) == 8
    cleared = TogglToSqlOperator(task_id="t", stream="time_entries", page_size=20)
    assert cleared.execute(task(try_number=3, max_tries=4, clear_number=1))["requests"] >= 2


def test_what_another_task_reads_meanwhile_does_not_make_a_deferred_one_begin_again(
    sandbox: RunningSandbox, connections: Connections, tmp_path: Path
):
    fresh_quota(sandbox, connections, tmp_path / "first host", 3)
    with pytest.raises(TaskDeferred) as deferred:
        TogglToSqlOperator(task_id="t", stream="time_entries", page_size=20).execute(task())
    sandbox.set(quota_enforced=False)
    connections.set_option("state_dir", str(tmp_path / "second host"))
    TogglToSqlOperator(task_id="other", stream="time_entries", page_size=20).execute(task(task_id="other"))
    before = asked(sandbox)
    operator = TogglToSqlOperator(task_id="t", stream="time_entries", page_size=20)
    operator.resume(task(), None, **(deferred.value.kwargs or {}))
    assert asked(sandbox) == before


def test_only_retries_have_the_same_key():
    keys = [
        attempt_key(task(**changes)) for name, changes in ANOTHER_ATTEMPT.items() if name != "the same try once more"
    ]
    assert len({attempt_key(task()), *keys}) == len(keys) + 1
    assert attempt_key(task(try_number=2)) == attempt_key(task())
    assert attempt_key({}) == ""


# -- in a real run -----------------------------------------------------------------------------------------------------


@pytest.fixture
def twice(dag_file: Callable[[str, str], Any]) -> Any:
    """A DAG that reads streams several times in a run."""
    return dag_file("twice", (Path(__file__).parents[1] / "integration_dags" / "attempts.py").read_text())


# On 3.2, a run in this process takes many times as long.
@pytest.mark.newest
def test_each_task_of_a_run_and_each_mapped_one_asks_toggl(sandbox: RunningSandbox, twice: Any):
    for runs in (1, 2):
        assert twice.test().state == "success"
        paths = [call["path"] for call in sandbox.requests()["calls"]]
        assert sum(path.endswith("/tags") for path in paths) == 2 * runs
        assert sum(path.endswith("/clients") for path in paths) == runs
        assert sum(path.endswith("/summary/time_entries") for path in paths) >= 2 * runs
