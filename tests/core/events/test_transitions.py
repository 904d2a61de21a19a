from __future__ import annotations

import random
import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.event_stores import open_sqlite
from support.sandboxes import build_still_world
from support.webhook_events import EVENT_WORKSPACE, change_event
from support.webhook_stream import WebhookStream

from airflow_provider_toggl.core.events.filters import EventFilter
from airflow_provider_toggl.core.events.message import parse_message
from airflow_provider_toggl.core.events.model import NewEvent
from airflow_provider_toggl.core.events.search import EventQuery, search
from airflow_provider_toggl.core.events.store import EventStore
from airflow_provider_toggl.core.events.transitions import (
    TRANSITIONS,
    EntityChange,
    EntityVersion,
    build_state,
    find_change,
    read_version,
)

NOON = datetime(2026, 5, 2, 12, tzinfo=timezone.utc)
ENTRY = 5
STOP = "2026-05-02T11:00:00Z"
RUNNING: dict[str, Any] = {"duration": -1, "stop": None}
STOPPED: dict[str, Any] = {"duration": 3600, "stop": STOP}
DELETED: dict[str, Any] = {"action": "deleted"}


def version(number: int, *, entity: str = "time_entry", **fields: Any) -> NewEvent:
    """Return the event of the n-th change of one entity, a minute after the previous one."""
    moment = NOON + timedelta(minutes=number)
    fields = {"action": "updated", "at": moment.isoformat(), **fields}
    return change_event(number, entity=entity, created_at=moment, received_at=moment, id=ENTRY, **fields)


def read(event: NewEvent) -> EntityVersion:
    return read_version(event, parse_message(event.body))


def find(events: Sequence[NewEvent], *, match_unknown: bool = False) -> EntityChange:
    """Return what the last of some events changed, delivered after the others."""
    *earlier, last = map(read, events)
    return find_change(build_state(earlier), last, match_unknown=match_unknown)


@pytest.mark.parametrize(
    ("before", "after", "transitions"),
    [
        # running is a negative duration, of any number, or no stop
        (None, {"action": "created", **RUNNING}, {"started"}),
        (None, {"action": "created", "duration": -1694000000}, {"started"}),
        (None, {"action": "created", "stop": None}, {"started"}),
        (None, {"action": "created"}, {"started"}),
        (None, {"action": "created", **STOPPED}, {"logged"}),
        ({"action": "created", **RUNNING}, STOPPED, {"stopped"}),
        ({"action": "created", "stop": None}, {"stop": STOP}, {"stopped"}),
        ({"action": "created"}, {"stop": STOP}, {"stopped"}),
        (STOPPED, RUNNING, {"started"}),
        (STOPPED, {**STOPPED, "stop": "2026-05-02T11:30:00Z"}, set()),
        (STOPPED, {**STOPPED, "description": "b"}, set()),
        ({**STOPPED, "description": "a"}, {**STOPPED, "description": "b"}, {"renamed"}),
        ({**RUNNING, "description": "a"}, {**STOPPED, "description": "b"}, {"stopped", "renamed"}),
        ({**STOPPED, "description": None}, {**STOPPED, "description": ""}, set()),
        # projects, under either key
        ({"pid": 1}, {"project_id": 2}, {"moved"}),
        ({"pid": 1}, {"project_id": 1}, set()),
        ({"project_id": 2}, {"project_id": None}, {"moved"}),
        ({"project_id": 2}, {}, set()),
        ({"entity": "task", "project_id": 1}, {"entity": "task", "project_id": 2}, {"moved"}),
        ({"entity": "project_user", "project_id": 1}, {"entity": "project_user", "project_id": 2}, set()),
        # billable
        ({"billable": False}, {"billable": True}, {"became_billable"}),
        ({"billable": True}, {"billable": False}, {"became_non_billable"}),
        ({"billable": True}, {"billable": None}, set()),
        ({"billable": True}, {"billable": 0}, set()),
        (None, {"action": "created", **RUNNING, "billable": True}, {"started"}),
        ({"entity": "project", "billable": False}, {"entity": "project", "billable": True}, {"became_billable"}),
        # names
        ({"entity": "project", "name": "a"}, {"entity": "project", "name": "b"}, {"renamed"}),
        ({"entity": "client", "name": "a"}, {"entity": "client", "name": "a"}, set()),
        ({"entity": "tag", "name": "a"}, {"entity": "tag", "name": 5}, set()),
        # deleted and restored
        (STOPPED, DELETED, {"deleted"}),
        (STOPPED, {"action": "updated", "server_deleted_at": STOP}, {"deleted"}),
        (DELETED, DELETED, set()),
        (None, DELETED, {"deleted"}),
        (DELETED, STOPPED, {"restored"}),
        ({"entity": "tag", "action": "deleted"}, {"entity": "tag", "action": "created", "name": "a"}, {"restored"}),
        # no earlier version is known
        (None, STOPPED, set()),
        (None, RUNNING, set()),
        (None, {"project_id": 1, "billable": True, "description": "a"}, set()),
    ],
)
def test_two_versions_make_a_transition(before: dict[str, Any] | None, after: dict[str, Any], transitions: set[str]):
    events = [] if before is None else [version(1, **before)]
    assert find([*events, version(2, **after)]).transitions == transitions


@pytest.mark.parametrize(
    ("after", "transitions"),
    [
        (STOPPED, {"stopped"}),
        (RUNNING, {"started"}),
        ({"project_id": 1, "billable": True, "description": "a"}, {"moved", "became_billable", "renamed"}),
        ({"billable": False}, {"became_non_billable"}),
        ({"action": "created", **STOPPED}, {"logged"}),
        ({"action": "deleted"}, {"deleted"}),
        ({}, set()),
    ],
)
def test_match_unknown_returns_every_possible_transition_of_a_first_version(
    after: dict[str, Any], transitions: set[str]
):
    assert find([version(1, **after)], match_unknown=True).transitions == transitions


def test_match_unknown_compares_known_fields():
    for fields, transitions in (({}, set()), ({"billable": True}, {"became_billable"})):
        events = [version(1, **STOPPED), version(2, **STOPPED, **fields)]
        assert find(events, match_unknown=True).transitions == transitions


def test_a_move_names_both_projects():
    assert find([version(1, project_id=1), version(2, project_id=2)]) == EntityChange(frozenset({"moved"}), 1, 2)
    assert find([version(1, project_id=None), version(2, project_id=2)]) == EntityChange(frozenset({"moved"}), None, 2)


def test_a_payload_with_only_ids_keeps_the_known_fields():
    events = [version(1, **RUNNING, project_id=1), version(2), version(3, **STOPPED, project_id=1)]
    assert not find(events[:2]).transitions
    assert find(events).transitions == {"stopped"}


def test_a_restored_entry_is_compared_with_its_last_version_before_the_deletion():
    events = [version(1, **RUNNING), version(2, action="deleted"), version(3, **STOPPED)]
    assert find(events).transitions == {"restored", "stopped"}


def test_versions_of_one_second_are_ordered_by_their_events():
    start, stop = (
        change_event(number, id=ENTRY, created_at=NOON + timedelta(milliseconds=number), at=NOON.isoformat(), **fields)
        for number, fields in ((1, {"action": "created", **RUNNING}), (2, STOPPED))
    )
    assert find([start, stop]).transitions == {"stopped"}
    assert not find([stop, start]).transitions


def test_an_event_without_times_is_ordered_by_its_arrival():
    event = replace(change_event(2, id=ENTRY, received_at=NOON, at="soon", **STOPPED), created_at=None)
    assert find([version(-5, action="created", **RUNNING), event]).transitions == {"stopped"}


@pytest.mark.parametrize("transition", TRANSITIONS)
@pytest.mark.parametrize("entity", ["time_entry", "project", "tag", "workspace", "novel", None])
def test_comparing_raises_nothing_whatever_the_payload(transition: str, entity: str | None):
    odd = {"stop": [1], "duration": "x", "project_id": {}, "billable": "yes", "description": 5, "name": None, "at": 7}
    events = [version(1, entity=entity or "", **odd), version(2, entity=entity or "", **odd)]
    assert transition not in find(events).transitions


# Histories of one entity, in order.
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "running": st.booleans(),
        "project_id": st.sampled_from([None, 1, 2]),
        "billable": st.booleans(),
        "description": st.sampled_from(["a", "b"]),
    },
)
HISTORIES = st.lists(st.tuples(st.integers(0, 4).map(lambda number: number == 0), FIELDS), min_size=1, max_size=8)


def build_history(steps: Sequence[tuple[bool, dict[str, Any]]], seed: int) -> list[NewEvent]:
    """Return the events of an entity that is created and then changed by each step, often within the same second."""
    events, known = list[NewEvent](), dict[str, Any](running=True, project_id=None, billable=False, description="a")
    moment, chance = NOON, random.Random(seed)
    for number, (is_deletion, fields) in enumerate(steps):
        known |= fields
        moment += timedelta(seconds=chance.choice([0.001, 0.4, 1, 60]))
        action = "created" if number == 0 else "deleted" if is_deletion else "updated"
        payload = {key: value for key, value in known.items() if key != "running"}
        payload |= RUNNING if known["running"] else STOPPED
        if action == "deleted":
            payload = chance.choice([payload, {}])
        at = moment.replace(microsecond=0).isoformat()
        events.append(change_event(number + 1, action=action, created_at=moment, id=ENTRY, at=at, **payload))
    return events


def deliver(events: Sequence[NewEvent]) -> list[tuple[str, frozenset[str]]]:
    """Return what each event changed, compared with those delivered before it."""
    versions = [read(event) for event in events]
    return [
        (str(one.order), find_change(build_state(versions[:place]), one).transitions)
        for place, one in enumerate(versions)
    ]


@settings(max_examples=100, deadline=None)
@given(HISTORIES, st.integers(0, 2**16))
def test_in_order_each_version_has_the_transitions_from_the_previous_one(
    steps: list[tuple[bool, dict[str, Any]]], seed: int
):
    events = build_history(steps, seed)
    expected, live, deleted = list[set[str]](), None, False
    known: dict[str, Any] = {"running": True, "project_id": None, "billable": False, "description": "a"}
    for number, (is_deletion, fields) in enumerate(steps):
        known = known | fields
        if number and is_deletion:
            expected.append(set() if deleted else {"deleted"})
            deleted = True
            continue
        found: set[str] = {"restored"} if deleted else set()
        if live is None:
            found |= {"started" if known["running"] else "logged"}
        else:
            changed = {key for key in known if known[key] != live[key]}
            words = {
                "running": "started" if known["running"] else "stopped",
                "project_id": "moved",
                "billable": "became_billable" if known["billable"] else "became_non_billable",
                "description": "renamed",
            }
            found |= {words[key] for key in changed}
        expected.append(found)
        live, deleted = known, False
    assert [set(found) for _, found in deliver(events)] == expected


@settings(max_examples=100, deadline=None)
@given(HISTORIES, st.integers(0, 2**16), st.data())
def test_in_any_order_and_with_copies_no_transition_occurs_twice(
    steps: list[tuple[bool, dict[str, Any]]], seed: int, data: st.DataObject
):
    events = build_history(steps, seed)
    true = Counter(word for _, found in deliver(events) for word in found)
    copies = data.draw(st.lists(st.sampled_from(events), max_size=len(events)))
    order = data.draw(st.permutations([*events, *copies]))
    fired = deliver(order)
    assert Counter(word for _, found in fired for word in found) <= true
    # Nor does one event have transitions twice, however often it is delivered.
    assert len({key for key, found in fired if found}) == len([key for key, found in fired if found])
    # Copies change nothing for the others.
    firsts = list({event.event_id: event for event in order}.values())
    assert [found for found in fired if found[1]] == [found for found in deliver(firsts) if found[1]]


# -- with a store ------------------------------------------------------------------------------------------------------


def wanted(transition: str | list[str], **more: Any) -> EventQuery:
    return EventQuery(EventFilter.from_dict({"transitions": transition, **more}))


def fired(store: EventStore, query: EventQuery) -> list[int]:
    """Return the ``seq`` of all matches."""
    return [one.seq for one in store.read(0, 10_000) if query.find_message(one, store)]


def test_a_stop_is_found_once_among_edits_and_copies(store: EventStore):
    events = [
        version(1, action="created", **RUNNING),
        version(2, **RUNNING, description="x"),
        version(3, **STOPPED),
        version(4, **STOPPED, description="y"),
        version(5, **STOPPED, project_id=9),
    ]
    store.append(events)
    store.append([replace(event, copy_of=place) for place, event in enumerate(events, 1)])
    store.append([replace(version(3, **STOPPED), subscription_id=78), version(6, **STOPPED)])
    assert fired(store, wanted("stopped")) == [3]
    assert fired(store, wanted(["started", "stopped"])) == [1, 3]
    found, _ = search(store, wanted("stopped"), 0)
    assert found
    assert found.as_dict()["transitions"] == ["stopped"]


def test_the_same_id_of_another_type_or_workspace_is_another_entity(store: EventStore):
    store.append([version(1, action="created", **RUNNING), version(2, entity="task", name="a")])
    store.append([version(3, workspace_id=EVENT_WORKSPACE + 1, **STOPPED), version(4, entity="project", name="b")])
    assert fired(store, wanted(["stopped", "renamed"])) == []
    store.append([version(5, **STOPPED), version(6, entity="task", name="b")])
    assert fired(store, wanted(["stopped", "renamed"])) == [5, 6]


def test_a_filter_by_project_matches_a_deletion_that_has_only_ids(store: EventStore):
    store.append([version(1, action="created", **STOPPED, project_id=9), version(2, action="deleted")])
    store.append(
        [change_event(3, action="deleted", id=ENTRY + 1, project_id=9), change_event(4, action="deleted", id=ENTRY + 2)]
    )
    assert fired(store, wanted("deleted", project_ids=9)) == [2, 3]
    assert fired(store, wanted("deleted", project_ids=8)) == []
    assert fired(store, wanted("stopped", project_ids=9)) == []


def test_a_move_matches_by_either_project(store: EventStore):
    store.append([version(number, project_id=project) for number, project in enumerate([1, 2, 3, None, 2], 1)])
    assert fired(store, wanted("moved")) == [2, 3, 4, 5]
    assert fired(store, EventQuery(EventFilter.from_dict({"from_project_ids": 2}))) == [3]
    assert fired(store, EventQuery(EventFilter.from_dict({"to_project_ids": [2]}))) == [2, 5]
    assert fired(store, EventQuery(EventFilter.from_dict({"from_project_ids": 3, "to_project_ids": 2}))) == []


def test_an_unknown_earlier_version_matches_only_on_request(store: EventStore):
    store.append([version(1, **STOPPED), version(2, **STOPPED)])
    assert fired(store, wanted("stopped")) == []
    assert fired(store, wanted("stopped", unknown_previous="match")) == [1]


def test_an_entity_with_many_versions_is_compared_with_the_latest(store: EventStore):
    store.append([version(number, description=str(number)) for number in range(1, 61)])
    store.append([replace(version(number, description=str(number)), copy_of=number) for number in range(1, 61)])
    assert fired(store, wanted("renamed")) == list(range(2, 61))


def test_retention_keeps_the_versions_that_unread_events_are_compared_with(store: EventStore):
    old, new = NOON, NOON + timedelta(days=40)
    store.append([replace(version(1, action="created", **RUNNING), received_at=old)])
    store.append(
        [replace(change_event(2, id=ENTRY + 1), received_at=old), replace(version(3, **STOPPED), received_at=new)]
    )
    store.commit("reader", 2)
    assert store.prune(NOON + timedelta(days=30)) == 1
    assert fired(store, wanted("stopped")) == [3]
    store.commit("reader", 3)
    assert store.prune(NOON + timedelta(days=30)) == 1
    assert [one.seq for one in store.read(0)] == [3]


def test_a_damaged_version_is_ignored(tmp_path: Path):
    file = tmp_path / "events.sqlite"
    with open_sqlite(file) as store:
        store.append([version(1, action="created", **RUNNING), version(2, **RUNNING), version(3, **STOPPED)])
        with sqlite3.connect(file) as db:
            db.execute("update events set body = 'x' where seq = 2")
        assert wanted("stopped").find_message(store.get(3), store)


@pytest.mark.parametrize("seed", range(3))
def test_toggl_s_bodies_in_any_order_have_no_transition_more_often_than_in_order(tmp_path: Path, seed: int):
    world = build_still_world(
        entries=60,
        days=20,
        webhook_deleted_payload=("full", "ids", "null")[seed],
        webhook_keys=("legacy", "newer")[seed % 2],
    )
    # Two subscriptions deliver each change; and many changes have the same `at`.
    stream = WebhookStream(world, seed, subscriptions=2)
    stream.change(300)
    events = stream.events
    in_order = stream.bodies()
    stream.events = events
    one_subscription = [event for event in in_order if event.subscription_id == in_order[0].subscription_id]
    expected = count_transitions(tmp_path / "one.sqlite", one_subscription)
    assert count_transitions(tmp_path / "both.sqlite", in_order) == expected
    assert count_transitions(tmp_path / "any.sqlite", stream.deliveries()) <= expected
    assert {"stopped", "started", "logged", "moved", "renamed", "deleted", "restored"} <= {key[2] for key in expected}


def count_transitions(file: Path, events: Sequence[NewEvent]) -> Counter[tuple[str | None, int | None, str]]:
    """Return how often each entity had each transition."""
    query = wanted(list(TRANSITIONS))
    with open_sqlite(file) as store:
        store.append(events)
        return Counter(
            (one.event.entity, one.event.entity_id, transition)
            for one in store.read(0, 10_000)
            if (message := query.find_message(one, store))
            for transition in message.transitions
        )
