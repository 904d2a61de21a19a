"""State that a task keeps over its tries: whether a write was sent, and with which values.

Airflow clears XCom at the start of a try. Since Airflow 3.3 it has a store for such state. Before that, the state is a
file in the host's state folder, so a later try on another host does not see it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from airflow_provider_toggl.hooks.settings import state_dir
from airflow_provider_toggl.task_context import find_task

KEY = "toggl_write"
#: Seconds for which a file is kept, as long as Airflow 3.3 keeps what is in its store.
KEPT_SECONDS = 30 * 86400.0


class AttemptState(Protocol):
    """The state of one task in one DAG run, kept over its tries."""

    def read(self) -> dict[str, Any]:
        """Return the state, empty if there is none."""

    def write(self, state: dict[str, Any]) -> None:
        """Replace the state. It is stored durably when this returns."""

    def clear(self) -> None:
        """Remove the state."""


def open_attempt_state(context: Mapping[str, Any] | None) -> AttemptState:
    """Return the state of the task of a context."""
    task = find_task(context)
    if task is None:
        return MemoryAttemptState()
    store = (context or {}).get("task_state_store")
    if store is not None:
        return AirflowAttemptState(store)
    words = json.dumps([task.dag_id, task.task_id, task.run_id, task.map_index])
    return FileAttemptState(state_dir() / "notes" / f"{hashlib.sha256(words.encode()).hexdigest()[:40]}.json")


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


class FileAttemptState:
    """Keeps the state in a file.

    :param path: the file. Its folder is created.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> dict[str, Any]:
        """Return the state, empty if there is none."""
        try:
            return _as_dict(json.loads(self._path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return {}

    def write(self, state: dict[str, Any]) -> None:
        """Replace the state atomically."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._remove_old_files()
        handle, name = tempfile.mkstemp(dir=self._path.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(state, file)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(self._path)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(name).unlink()
            raise

    def clear(self) -> None:
        """Remove the state."""
        self._path.unlink(missing_ok=True)

    def _remove_old_files(self) -> None:
        """Remove files of tasks that were not tried again."""
        oldest = time.time() - KEPT_SECONDS
        for path in self._path.parent.iterdir():
            with contextlib.suppress(OSError):
                if path.stat().st_mtime < oldest:
                    path.unlink()


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
