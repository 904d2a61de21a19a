from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest
from support.webhook_events import change_event

from airflow_provider_toggl.core.events import entity_states
from airflow_provider_toggl.core.events.entity_states import StateCache, find_state
from airflow_provider_toggl.core.events.model import NewEvent, StoredEvent
from airflow_provider_toggl.core.events.store import EventStore

NOON = datetime(2026, 5, 2, 12, tzinfo=timezone.utc)


def version(number: int, **fields: Any) -> NewEvent:
    moment = NOON.replace(minute=number)
    return change_event(number, id=5, created_at=moment, received_at=moment, at=moment.isoformat(), **fields)


def test_later_events_do_not_change_the_state_before_an_event(store: EventStore) -> None:
    store.append([version(1, project_id=7), version(2)])
    second = store.get(2)
    state = find_state(store, second)
    assert state is not None
    assert state.fields["project_id"] == 7
    store.append([version(3, project_id=8), version(4, action="deleted")])
    assert find_state(store, second) == state
    assert find_state(store, store.get(1)) is None


def test_a_state_is_read_once_until_it_leaves_the_cache(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entity_states, "CACHE_SIZE", 2)
    store.append([version(number) for number in (1, 2, 3)])
    one, two, three = store.read(0)
    queried: list[int] = []

    def find(_: EventStore, stored: StoredEvent) -> None:
        queried.append(stored.seq)

    monkeypatch.setattr(entity_states, "find_state", find)
    cache = StateCache()
    assert cache.find_states(store, [one, two, one]) == {1: None, 2: None}
    cache.find_states(store, [three, two])
    assert queried == [1, 2, 3]
    cache.find_states(store, [one])
    cache.clear()
    cache.find_states(store, [one])
    assert queried == [1, 2, 3, 1, 1]
