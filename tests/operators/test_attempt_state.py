from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from support.connections import Connections
from support.task_attempts import TaskStateStore, context_of

from airflow_provider_toggl.hooks.settings import state_dir
from airflow_provider_toggl.operators.attempt_state import (
    KEPT_SECONDS,
    AirflowAttemptState,
    AttemptState,
    FileAttemptState,
    MemoryAttemptState,
    open_attempt_state,
)

pytestmark = pytest.mark.airflow


@pytest.mark.parametrize("kind", ["store", "file", "memory"])
def test_a_state_is_kept_replaced_and_cleared(kind: str, tmp_path: Path):
    states: dict[str, AttemptState] = {
        "store": AirflowAttemptState(TaskStateStore()),
        "file": FileAttemptState(tmp_path / "notes" / "a.json"),
        "memory": MemoryAttemptState(),
    }
    state = states[kind]
    assert state.read() == {}
    state.write({"start": "then"})
    state.write({"start": "now"})
    assert state.read() == {"start": "now"}
    state.clear()
    state.clear()
    assert state.read() == {}


def test_airflow_s_store_is_used_if_it_exists_and_a_file_of_the_host_otherwise(connections: Connections):
    assert isinstance(open_attempt_state(context_of("a", store=TaskStateStore())), AirflowAttemptState)
    assert isinstance(open_attempt_state({}), MemoryAttemptState)
    open_attempt_state(context_of("a", 1)).write({"sent": "x"})
    assert open_attempt_state(context_of("a", 2)).read() == {"sent": "x"}
    assert open_attempt_state(context_of("b", 2)).read() == {}
    (file,) = (state_dir() / "notes").iterdir()
    assert file.suffix == ".json"


def test_a_failed_write_raises_and_keeps_the_previous_state(tmp_path: Path):
    notes = FileAttemptState(tmp_path / "a.json")
    notes.write({"start": "then"})
    with pytest.raises(TypeError):
        notes.write({"start": object()})
    assert notes.read() == {"start": "then"}
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_old_files_are_removed_when_another_is_written(tmp_path: Path):
    old, recent = FileAttemptState(tmp_path / "old.json"), FileAttemptState(tmp_path / "recent.json")
    old.write({"sent": "x"})
    recent.write({"sent": "y"})
    month_ago = time.time() - KEPT_SECONDS - 60
    os.utime(tmp_path / "old.json", (month_ago, month_ago))
    FileAttemptState(tmp_path / "new.json").write({"sent": "z"})
    assert (old.read(), recent.read()) == ({}, {"sent": "y"})
