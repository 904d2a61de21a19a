"""What a task must still know in its next try: that a request left, and with what in it.

Airflow empties XCom when a try begins. From 3.3 on it has a store for this; before, it is a file in the state folder of
the host, so that a next try on another host does not know of it.
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
#: How long a file is kept: as long as Airflow 3.3 keeps what is in its store.
KEPT_SECONDS = 30 * 86400.0


class AttemptState(Protocol):
    """A note of one task of one run, kept over its tries."""

    def read(self) -> dict[str, Any]:
        """Return what was noted last, nothing where nothing was."""

    def write(self, note: dict[str, Any]) -> None:
        """Note this instead of what was noted before; it holds when this returns."""

    def drop(self) -> None:
        """Forget it."""


def open_attempt_state(context: Mapping[str, Any] | None) -> AttemptState:
    """Return where the task of that context keeps its note."""
    task = find_task(context)
    if task is None:
        return MemoryAttemptState()
    store = (context or {}).get("task_state_store")
    if store is not None:
        return AirflowAttemptState(store)
    words = json.dumps([task.dag_id, task.task_id, task.run_id, task.map_index])
    return FileAttemptState(state_dir() / "notes" / f"{hashlib.sha256(words.encode()).hexdigest()[:40]}.json")


class AirflowAttemptState:
    """In Airflow's store of what a task knows, which outlives its tries.

    :param store: ``task_state_store`` of the context.
    """

    def __init__(self, store: Any) -> None:
        self._store = store

    def read(self) -> dict[str, Any]:
        """Return the note."""
        return _as_note(self._store.get(KEY))

    def write(self, note: dict[str, Any]) -> None:
        """Keep the note."""
        self._store.set(KEY, note)

    def drop(self) -> None:
        """Forget the note."""
        self._store.delete(KEY)


class FileAttemptState:
    """In a file.

    :param path: where; its folder is made.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> dict[str, Any]:
        """Return the note."""
        try:
            return _as_note(json.loads(self._path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return {}

    def write(self, note: dict[str, Any]) -> None:
        """Keep the note, whole or not at all."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._sweep()
        handle, name = tempfile.mkstemp(dir=self._path.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(note, file)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(self._path)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(name).unlink()
            raise

    def drop(self) -> None:
        """Forget the note."""
        self._path.unlink(missing_ok=True)

    def _sweep(self) -> None:
        """Remove what tasks have left that nobody has tried for long."""
        oldest = time.time() - KEPT_SECONDS
        for path in self._path.parent.iterdir():
            with contextlib.suppress(OSError):
                if path.stat().st_mtime < oldest:
                    path.unlink()


class MemoryAttemptState:
    """In memory, for an operator that is run without a task."""

    def __init__(self) -> None:
        self._note: dict[str, Any] = {}

    def read(self) -> dict[str, Any]:
        """Return the note."""
        return self._note

    def write(self, note: dict[str, Any]) -> None:
        """Keep the note."""
        self._note = note

    def drop(self) -> None:
        """Forget the note."""
        self._note = {}


def _as_note(value: Any) -> dict[str, Any]:
    return dict(value) if isinstance(value, Mapping) else {}
