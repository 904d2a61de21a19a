"""Reads an Airflow context: the task, its try, and when its DAG run started.

Operators are also executed in tests and notebooks, with no context, an empty one, or a stand-in for a task instance.
Values that are missing or of another type count as unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any


@dataclass(frozen=True)
class RunningTask:
    """The running task.

    :param map_index: its index among mapped tasks, -1 if it is not mapped.
    :param try_number: 1 in the first try. Clearing the task does not reset it.
    :param max_tries: number of tries that Airflow allows, None if unknown. Clearing the task increases it.
    """

    dag_id: str
    task_id: str
    run_id: str
    map_index: int = -1
    try_number: int = 1
    max_tries: int | None = None

    @property
    def is_mapped(self) -> bool:
        """Whether it is a mapped task."""
        return self.map_index >= 0

    @property
    def has_retries_left(self) -> bool:
        """Whether Airflow retries it after a failure of this try; False if unknown."""
        return self.max_tries is not None and self.try_number <= self.max_tries


@dataclass(frozen=True)
class RunningDagRun:
    """The DAG run of the task. ``clear_number`` counts how often a part of it was cleared."""

    start_date: datetime | None = None
    run_after: datetime | None = None
    clear_number: int = 0


def find_task(context: Mapping[str, Any] | None) -> RunningTask | None:
    """Return the task of a context, None if there is no complete task instance."""
    ti = _get(context, "ti") or _get(context, "task_instance")
    dag_id, task_id, run_id = (getattr(ti, name, None) for name in ("dag_id", "task_id", "run_id"))
    if not all(isinstance(name, str) and name for name in (dag_id, task_id, run_id)):
        return None
    return RunningTask(
        str(dag_id),
        str(task_id),
        str(run_id),
        map_index=_whole(ti, "map_index", -1),
        try_number=max(1, _whole(ti, "try_number", 1)),
        max_tries=_whole(ti, "max_tries", None),
    )


def find_run(context: Mapping[str, Any] | None) -> RunningDagRun:
    """Return the DAG run of a context; its fields are unknown if there is none."""
    run = _get(context, "dag_run")
    return RunningDagRun(_moment(run, "start_date"), _moment(run, "run_after"), _whole(run, "clear_number", 0))


def run_started(context: Mapping[str, Any] | None) -> datetime:
    """Return when the DAG run started, in UTC, the same in every try; the current time if unknown."""
    return find_run(context).start_date or datetime.now(timezone.utc)


def _get(context: Mapping[str, Any] | None, name: str) -> Any:
    return None if context is None else context.get(name)


def _whole(thing: Any, name: str, otherwise: Any) -> Any:
    value = getattr(thing, name, None)
    return value if isinstance(value, int) and not isinstance(value, bool) else otherwise


def _moment(thing: Any, name: str) -> datetime | None:
    value = getattr(thing, name, None)
    return value.astimezone(timezone.utc) if isinstance(value, datetime) else None
