"""Attempts of a task as Airflow makes them: each has a context of its own, and the task's state outlives them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from types import SimpleNamespace
from typing import Any

from airflow.sdk import BaseOperator

from airflow_provider_toggl.core.errors import ApiError

#: Retries of the tasks.
RETRIES = 3


class Killed(BaseException):
    """Ends an attempt as a killed process does: nothing may catch it."""


class TaskStateStore:
    """A replacement of Airflow 3.3's ``task_state_store``."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}

    def get(self, key: str, default: Any = None) -> Any:
        return self.kept.get(key, default)

    def set(self, key: str, value: Any) -> None:
        assert value is not None
        self.kept[key] = value

    def delete(self, key: str) -> None:
        self.kept.pop(key, None)


def task_state_store(airflow: str) -> TaskStateStore | None:
    """Return the state store of a task in a version of Airflow; None if it has none."""
    return TaskStateStore() if airflow == "3.3" else None


def context_of(
    task_id: str,
    try_number: int = 1,
    *,
    started: datetime | None = None,
    store: TaskStateStore | None = None,
    max_tries: int = RETRIES,
    **run: Any,
) -> dict[str, Any]:
    """Return the context of an attempt; without a store, that of Airflow 3.2.

    :param max_tries: the retries of the task; after a clear, that many more than were made.
    """
    ti = SimpleNamespace(
        dag_id="dag", task_id=task_id, run_id="run", map_index=-1, try_number=try_number, max_tries=max_tries
    )
    context = {"ti": ti, "dag_run": SimpleNamespace(start_date=started or datetime.now(timezone.utc), **run)}
    return context if store is None else {**context, "task_state_store": store}


def run_attempts(
    build: Callable[[], BaseOperator],
    *,
    tries: int = 4,
    store: TaskStateStore | None = None,
    between: Callable[[], None] = lambda: None,
) -> Any:
    """Run attempts of a task until one succeeds, as Airflow does; return its result.

    :param build: returns a new operator for each attempt.
    :param between: called between two attempts.
    """
    started = datetime.now(timezone.utc)
    for number in range(1, tries + 1):
        operator = build()
        try:
            return operator.execute(context_of(operator.task_id, number, started=started, store=store))  # type: ignore[arg-type]
        except (Killed, ApiError):
            if number == tries:
                raise
            between()
    raise AssertionError("no attempt")
