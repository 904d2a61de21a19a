"""State that a task keeps over its tries: whether a write was sent, and with which values.

Airflow clears XCom at the start of a try. Since Airflow 3.3 it has a store for such state. Before that, the state is
kept in the event store of the connection.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any, Protocol

from airflow_provider_toggl.hooks.events import open_event_store
from airflow_provider_toggl.task_context import find_task

KEY = "toggl_write"
#: Begins the names of status entries with such state.
PREFIX = "attempt/"
#: How long an entry is kept, as long as Airflow 3.3 keeps what is in its store.
KEPT_FOR = timedelta(days=30)


class AttemptState(Protocol):
    """The state of one task in one DAG run, kept over its tries."""

    def read(self) -> dict[str, Any]:
        """Return the state, empty if there is none."""

    def write(self, state: dict[str, Any]) -> None:
        """Replace the state. It is stored durably when this returns."""

    def clear(self) -> None:
        """Remove the state."""


def open_attempt_state(context: Mapping[str, Any] | None, toggl_conn_id: str) -> AttemptState:
    """Return the state of the task of a context."""
    task = find_task(context)
    if task is None:
        return MemoryAttemptState()
    store = (context or {}).get("task_state_store")
    if store is not None:
        return AirflowAttemptState(store)
    words = json.dumps([task.dag_id, task.task_id, task.run_id, task.map_index])
    return EventStoreAttemptState(toggl_conn_id, hashlib.sha256(words.encode()).hexdigest()[:40])


class AirflowAttemptState:
    """Keeps the state in Airflow's task state store.

    :param store: ``task_state_store`` of the context.
    """

    def __init__(self, store: Any) -> None:
        self._store = store

    def read(self) -> dict[str, Any]:
        """Return the state, empty if there is none."""
        return _as_dict(self._store.get(KEY))

    def write(self, state: dict[str, Any]) -> None:
        """Replace the state."""
        self._store.set(KEY, state)

    def clear(self) -> None:
        """Remove the state."""
        self._store.delete(KEY)


class EventStoreAttemptState:
    """Keeps the state in the event store of the connection, which later tries see on any host.

    :param toggl_conn_id: the Toggl connection.
    :param name: of the task.
    """

    def __init__(self, toggl_conn_id: str, name: str) -> None:
        self._conn_id = toggl_conn_id
        self._key = f"{PREFIX}{name}"

    def read(self) -> dict[str, Any]:
        """Return the state, empty if there is none."""
        with open_event_store(self._conn_id) as store:
            entry = store.activity_log.find_status(self._key)
        return _as_dict(entry.value) if entry else {}

    def write(self, state: dict[str, Any]) -> None:
        """Replace the state."""
        with open_event_store(self._conn_id) as store:
            oldest = datetime.now(timezone.utc) - KEPT_FOR
            for entry in store.activity_log.list_status(PREFIX):
                if entry.recorded_at < oldest:
                    # Of a task that was not tried again.
                    store.activity_log.take_status(entry.name)
            store.activity_log.set_status(self._key, state)

    def clear(self) -> None:
        """Remove the state."""
        with open_event_store(self._conn_id) as store:
            store.activity_log.take_status(self._key)


class MemoryAttemptState:
    """Keeps the state in memory, for an operator that is executed without a task."""

    def __init__(self) -> None:
        self._state: dict[str, Any] = {}

    def read(self) -> dict[str, Any]:
        """Return the state, empty if there is none."""
        return self._state

    def write(self, state: dict[str, Any]) -> None:
        """Replace the state."""
        self._state = state

    def clear(self) -> None:
        """Remove the state."""
        self._state = {}


def _as_dict(value: Any) -> dict[str, Any]:
    return dict(value) if isinstance(value, Mapping) else {}
