"""Operators are executed by Airflow, by hand and in tests: whatever the context is, none of them breaks on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock, Mock

import pytest
from support.connections import Connections
from support.fixtures import connections

from airflow_provider_toggl.operators.quota_deferral import attempt_key
from airflow_provider_toggl.sandbox.server import RunningSandbox, start_sandbox
from airflow_provider_toggl.sandbox.settings import Settings
from airflow_provider_toggl.task_context import RunningTask, find_run, find_task, run_started

pytestmark = pytest.mark.airflow

__all__ = ["connections"]

STARTED = datetime(2026, 11, 28, 6, tzinfo=timezone.utc)


def instance(**fields: Any) -> SimpleNamespace:
    given = {"dag_id": "d", "task_id": "t", "run_id": "r", "map_index": -1, "try_number": 1, "max_tries": 0, **fields}
    return SimpleNamespace(**given)


#: Contexts of which nothing can be known, and what must be read of others.
WITHOUT_A_TASK: dict[str, Callable[[], Any]] = {
    "none": lambda: None,
    "empty": dict,
    "mock": MagicMock,
    "task instance is None": lambda: {"ti": None, "dag_run": None},
    "task instance is a mock": lambda: {"ti": MagicMock(), "dag_run": MagicMock()},
    "all are mocks": lambda: {"ti": Mock(), "dag_run": Mock(), "run_id": "r", "data_interval_start": Mock()},
    "task instance without fields": lambda: {"ti": SimpleNamespace()},
    "task instance without run": lambda: {"ti": SimpleNamespace(dag_id="d", task_id="t")},
    "run only": lambda: {"dag_run": SimpleNamespace(start_date=STARTED)},
    "run without fields": lambda: {"dag_run": SimpleNamespace()},
}
WITH_A_TASK: dict[str, Callable[[], Any]] = {
    "without map index and tries": lambda: {"ti": SimpleNamespace(dag_id="d", task_id="t", run_id="r")},
    "None for numbers": lambda: {"ti": instance(map_index=None, try_number=None, max_tries=None)},
    "text for a number": lambda: {"ti": instance(try_number="2")},
    "no try yet": lambda: {"ti": instance(try_number=0)},
    "the other name": lambda: {"task_instance": instance()},
    "run with texts": lambda: {"ti": instance(), "dag_run": SimpleNamespace(start_date="2026-11-28", clear_number="1")},
    "run without zone": lambda: {"ti": instance(), "dag_run": SimpleNamespace(start_date=datetime(2026, 11, 28))},  # noqa: DTZ001
}


@pytest.mark.parametrize("context", WITHOUT_A_TASK)
def test_a_context_without_a_task_has_none_and_no_key(context: str) -> None:
    given = WITHOUT_A_TASK[context]()
    assert find_task(given) is None
    assert attempt_key(given) == ""
    assert run_started(given).tzinfo is timezone.utc


@pytest.mark.parametrize("context", WITH_A_TASK)
def test_missing_values_have_defaults(context: str) -> None:
    given = WITH_A_TASK[context]()
    task = find_task(given)
    assert task is not None
    assert (task.dag_id, task.task_id, task.run_id, task.map_index, task.try_number) == ("d", "t", "r", -1, 1)
    assert attempt_key(given)
    assert find_run(given).clear_number == 0


def test_a_context_of_airflow_is_read() -> None:
    run = SimpleNamespace(start_date=STARTED, run_after=STARTED, clear_number=3)
    context = {"ti": instance(map_index=4, try_number=5, max_tries=6), "dag_run": run}
    assert find_task(context) == RunningTask("d", "t", "r", 4, 5, 6)
    assert (find_run(context).start_date, find_run(context).run_after, find_run(context).clear_number) == (
        STARTED,
        STARTED,
        3,
    )


@pytest.fixture(scope="module")
def toggl() -> Iterator[RunningSandbox]:
    with start_sandbox(entries=20, days=5, settings=Settings(plan="starter", quota_enforced=False)) as running:
        yield running


def operators() -> dict[str, Callable[[], Any]]:
    """Return one operator of each base class that reads the context."""
    from airflow.sdk import Asset

    from airflow_provider_toggl.operators.catalog import TogglEnsureClientOperator
    from airflow_provider_toggl.operators.entries import TogglStartTimeEntryOperator
    from airflow_provider_toggl.operators.request import TogglRequestOperator
    from airflow_provider_toggl.operators.subscriptions import TogglListSubscriptionsOperator
    from airflow_provider_toggl.transfers.events_to_sql import TogglEventsToSqlOperator
    from airflow_provider_toggl.transfers.reconcile import TogglReconcileOperator
    from airflow_provider_toggl.transfers.toggl_to_sql import TogglToSqlOperator

    return {
        "pull": lambda: TogglToSqlOperator(task_id="t", stream="tags"),
        "pull with an outlet": lambda: TogglToSqlOperator(
            task_id="t", stream="tags", schema="other", outlets=[Asset("toggl://7000001/tags")]
        ),
        "reconcile": lambda: TogglReconcileOperator(task_id="t", since="2026-11-20"),
        "drain": lambda: TogglEventsToSqlOperator(task_id="t"),
        "write": lambda: TogglEnsureClientOperator(task_id="t", name="Client"),
        "start": lambda: TogglStartTimeEntryOperator(task_id="t", description="Started"),
        "request": lambda: TogglRequestOperator(
            task_id="t", endpoint="/api/v9/me", response_check=lambda answer, **context: isinstance(context, dict)
        ),
        "subscriptions": lambda: TogglListSubscriptionsOperator(task_id="t"),
    }


@pytest.mark.parametrize("operator", operators())
def test_every_operator_works_with_any_context(toggl: RunningSandbox, connections: Connections, operator: str) -> None:
    connections.toggl(toggl)
    for context in (*WITHOUT_A_TASK.values(), *WITH_A_TASK.values()):
        operators()[operator]().execute(context())


@pytest.mark.parametrize("look_back", [None, "data_interval", 60])
def test_a_sensor_pokes_with_any_context(toggl: RunningSandbox, connections: Connections, look_back: Any) -> None:
    from airflow_provider_toggl.sensors.events import TogglEventSensor

    connections.toggl(toggl)
    for context in (*WITHOUT_A_TASK.values(), *WITH_A_TASK.values()):
        assert not TogglEventSensor(task_id="t", look_back=look_back).poke(context()).is_done
