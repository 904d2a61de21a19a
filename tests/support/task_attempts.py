"""Tries of a task as Airflow makes them: each with a context of its own, what outlives a try kept between them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from types import SimpleNamespace
from typing import Any

from airflow.sdk import BaseOperator

from airflow_provider_toggl.core.errors import ApiError

#: Of the tasks here.
RETRIES = 3


class Killed(BaseException):
    """The end of a try whose process is killed: nothing may catch it."""


class TaskStateStore:
    """What Airflow 3.3 has as ``task_state_store``."""

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
    """Return what that version of Airflow has to keep things in."""
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
    """Return what a try of a task gets; without a store it is that of Airflow 3.2.

    :param max_tries: as many retries as the task has, until somebody clears it: then so many more than were tried.
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
    """Try a task until it succeeds, as Airflow does; return its result.

    :param build: the operator of each try: nothing of the last one is left.
    :param between: what happens between two tries.
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
    raise AssertionError("no try")
