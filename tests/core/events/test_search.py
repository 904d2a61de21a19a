from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from support.event_stores import open_sqlite
from support.webhook_events import EVENT_WORKSPACE, change_event

from airflow_provider_toggl.core.events import search as search_module
from airflow_provider_toggl.core.events.filters import EventFilter
from airflow_provider_toggl.core.events.model import NewEvent, StoredEvent
from airflow_provider_toggl.core.events.search import EventQuery, StateCache, find_state, search
from airflow_provider_toggl.core.events.sqlite.engine import SqliteEventStore
from airflow_provider_toggl.core.events.store import EventStore

NOON = datetime(2026, 5, 2, 12, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteEventStore]:
    with open_sqlite(tmp_path / "events.sqlite") as opened:
        yield opened


def query(since: datetime | None = None, **wanted: Any) -> EventQuery:
    return EventQuery(EventFilter.from_dict(wanted), since)


def first_seq(store: SqliteEventStore, wanted: EventQuery, after: int = 0) -> int | None:
    found, _ = search(store, wanted, after)
    return found.stored.seq if found else None


def test_the_first_match_is_returned_and_the_others_are_counted(store: SqliteEventStore):
    store.append([change_event(number, project_id=number % 2) for number in range(1, 8)])
    found, reached = search(store, query(project_ids=0), 0)
    assert found
    assert (found.stored.seq, found.count, found.last_seq, reached) == (2, 3, 6, 7)


def test_without_a_match_the_end_of_the_store_is_returned(store: SqliteEventStore):
    store.append([change_event(number) for number in range(1, 1202)])
    assert search(store, query(entities="project"), 0) == (None, 1201)
    assert search(store, query(entities="project"), 1201) == (None, 1201)


def test_an_event_created_before_since_does_not_match_even_if_received_later(store: SqliteEventStore):
    store.append([change_event(1, created_at=NOON - HOUR, received_at=NOON + HOUR)])
    store.append([change_event(2, created_at=NOON, received_at=NOON + HOUR)])
    assert first_seq(store, *query(since=NOON).resolve_start(store)) == 2


def test_an_event_without_a_time_matches_by_its_time_of_arrival(store: SqliteEventStore):
    store.append([replace(change_event(1, received_at=NOON - HOUR), created_at=None)])
    store.append([replace(change_event(2, received_at=NOON), created_at=None)])
    assert first_seq(store, query(since=NOON)) == 2


def test_an_event_received_by_a_clock_that_is_behind_is_found(store: SqliteEventStore):
    store.append([change_event(1, created_at=NOON, received_at=NOON - timedelta(minutes=59))])
    assert first_seq(store, *query(since=NOON).resolve_start(store)) == 1


def test_without_since_the_search_starts_at_the_end(store: SqliteEventStore):
    store.append([change_event(1)])
    assert query().resolve_start(store) == (query(), 1)


def test_a_consumer_starts_after_its_commit(store: SqliteEventStore):
    store.append([change_event(number, created_at=NOON, received_at=NOON) for number in (1, 2, 3)])
    late = query(since=NOON + 2 * HOUR)
    assert late.resolve_start(store, "report") == (late, 3)
    store.commit("report", 2)
    assert late.resolve_start(store, "report") == (query(), 2)


def test_an_unreadable_body_matches_only_an_empty_filter(store: SqliteEventStore):
    store.append([replace(change_event(1), body=b"{")])
    assert first_seq(store, query(project_ids=1)) is None
    assert first_seq(store, query(entities="time_entry")) is None
    assert first_seq(store, query()) == 1


def test_the_result_is_json_without_the_payload(store: SqliteEventStore):
    store.append(
        [replace(change_event(2**70, created_at=NOON, received_at=NOON, description="private"), event_id=2**70)]
    )
    found, _ = search(store, query(), 0)
    assert found
    result = found.as_dict()
    assert json.loads(json.dumps(result)) == result
    assert result == {
        "seq": 1,
        "event_id": str(2**70),
        "entity": "time_entry",
        "action": "updated",
        "entity_id": None,  # an id has 64 bits
        "workspace_id": EVENT_WORKSPACE,
        "created_at": "2026-05-02T12:00:00+00:00",
        "received_at": "2026-05-02T12:00:00+00:00",
        "count": 1,
        "last_seq": 1,
    }


# -- states of an entity -----------------------------------------------------------------------------------------------


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
    monkeypatch.setattr(search_module, "CACHE_SIZE", 2)
    store.append([version(number) for number in (1, 2, 3)])
    one, two, three = store.read(0)
    queried: list[int] = []

    def find(_: EventStore, stored: StoredEvent) -> None:
        queried.append(stored.seq)

    monkeypatch.setattr(search_module, "find_state", find)
    cache = StateCache()
    assert cache.find_states(store, [one, two, one]) == {1: None, 2: None}
    cache.find_states(store, [three, two])
    assert queried == [1, 2, 3]
    cache.find_states(store, [one])
    cache.clear()
    cache.find_states(store, [one])
    assert queried == [1, 2, 3, 1, 1]
