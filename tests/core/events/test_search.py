from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from support.webhook_events import EVENT_WORKSPACE, change_event

from airflow_provider_toggl.core.events.filters import EventFilter
from airflow_provider_toggl.core.events.search import EventQuery, search
from airflow_provider_toggl.core.events.sqlite.engine import SqliteEventStore

NOON = datetime(2026, 5, 2, 12, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteEventStore]:
    with SqliteEventStore(tmp_path / "events.sqlite") as opened:
        opened.prepare()
        yield opened


def query(since: datetime | None = None, **wanted: Any) -> EventQuery:
    return EventQuery(EventFilter.from_dict(wanted), since)


def test_the_first_that_counts_is_found_and_the_others_are_counted(store: SqliteEventStore):
    store.append([change_event(number, project_id=number % 2) for number in range(1, 8)])
    found, reached = search(store, query(project_ids=0), 0)
    assert found
    assert (found.stored.seq, found.count, found.last_seq, reached) == (2, 3, 6, 7)


def test_where_nothing_counts_the_end_is_told(store: SqliteEventStore):
    store.append([change_event(number) for number in range(1, 1202)])
    assert search(store, query(entities="project"), 0) == (None, 1201)
    assert search(store, query(entities="project"), 1201) == (None, 1201)


def test_what_was_created_earlier_does_not_count_however_late_it_came(store: SqliteEventStore):
    store.append([change_event(1, created_at=NOON - HOUR, received_at=NOON + HOUR)])
    store.append([change_event(2, created_at=NOON, received_at=NOON + HOUR)])
    wanted, after = query(since=NOON).begin(store)
    found, _ = search(store, wanted, after)
    assert found
    assert found.stored.seq == 2


def test_what_has_no_time_of_its_own_counts_by_when_it_came(store: SqliteEventStore):
    store.append([replace(change_event(1, received_at=NOON - HOUR), created_at=None)])
    store.append([replace(change_event(2, received_at=NOON), created_at=None)])
    found, _ = search(store, query(since=NOON), 0)
    assert found
    assert found.stored.seq == 2


def test_a_receiver_whose_clock_is_behind_hides_nothing(store: SqliteEventStore):
    store.append([change_event(1, created_at=NOON, received_at=NOON - timedelta(minutes=59))])
    wanted, after = query(since=NOON).begin(store)
    assert search(store, wanted, after)[0]


def test_without_a_time_it_begins_at_the_end(store: SqliteEventStore):
    store.append([change_event(1)])
    assert query().begin(store) == (query(), 1)


def test_a_consumer_begins_after_what_it_has_committed_whenever_that_was_created(store: SqliteEventStore):
    store.append([change_event(number, created_at=NOON, received_at=NOON) for number in (1, 2, 3)])
    late = query(since=NOON + 2 * HOUR)
    assert late.begin(store, "report") == (late, 3)
    store.commit("report", 2)
    assert late.begin(store, "report") == (query(), 2)


def test_a_body_that_cannot_be_read_is_a_change_of_nothing_that_is_known(store: SqliteEventStore):
    store.append([replace(change_event(1), body=b"{")])
    assert search(store, query(project_ids=1), 0) == (None, 1)
    assert search(store, query(entities="time_entry"), 0) == (None, 1)
    found, _ = search(store, query(), 0)
    assert found


def test_the_result_is_small_plain_and_exact(store: SqliteEventStore):
    store.append(
        [replace(change_event(2**70, created_at=NOON, received_at=NOON, description="private"), event_id=2**70)]
    )
    found, _ = search(store, query(), 0)
    assert found
    told = found.as_dict()
    assert json.loads(json.dumps(told)) == told
    assert told == {
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
