from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from support.connections import Connections
from support.task_attempts import TaskStateStore, context_of

from airflow_provider_toggl.hooks.events import open_event_store
from airflow_provider_toggl.operators.attempt_state import (
    KEPT_FOR,
    PREFIX,
    AirflowAttemptState,
    AttemptState,
    EventStoreAttemptState,
    MemoryAttemptState,
    open_attempt_state,
)

pytestmark = pytest.mark.airflow

CONNECTION = "toggl_default"


@pytest.fixture(autouse=True)
def connection(connections: Connections) -> None:
    connections.set(CONNECTION, conn_type="toggl", password="secret")


@pytest.mark.parametrize("kind", ["task state store", "event store", "memory"])
def test_a_state_is_kept_replaced_and_cleared(kind: str):
    states: dict[str, AttemptState] = {
        "task state store": AirflowAttemptState(TaskStateStore()),
        "event store": EventStoreAttemptState(CONNECTION, "a"),
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


def test_airflow_s_store_is_used_if_it_exists_and_the_event_store_otherwise():
    assert isinstance(open_attempt_state(context_of("a", store=TaskStateStore()), CONNECTION), AirflowAttemptState)
    assert isinstance(open_attempt_state({}, CONNECTION), MemoryAttemptState)
    open_attempt_state(context_of("a", 1), CONNECTION).write({"sent": "x"})
    assert open_attempt_state(context_of("a", 2), CONNECTION).read() == {"sent": "x"}
    assert open_attempt_state(context_of("b", 2), CONNECTION).read() == {}


def test_a_failed_write_raises_and_keeps_the_previous_state():
    state = EventStoreAttemptState(CONNECTION, "a")
    state.write({"start": "then"})
    with pytest.raises(TypeError):
        state.write({"start": object()})
    assert state.read() == {"start": "then"}


def test_old_states_are_removed_when_another_is_written():
    old, recent = EventStoreAttemptState(CONNECTION, "old"), EventStoreAttemptState(CONNECTION, "recent")
    recent.write({"sent": "y"})
    with open_event_store(CONNECTION) as store:
        long_ago = datetime.now(timezone.utc) - KEPT_FOR - timedelta(minutes=1)
        store.activity_log.set_status(f"{PREFIX}old", {"sent": "x"}, recorded_at=long_ago)
    EventStoreAttemptState(CONNECTION, "new").write({"sent": "z"})
    assert (old.read(), recent.read()) == ({}, {"sent": "y"})
