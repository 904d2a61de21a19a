"""Health: what is gathered of a connection, what is said of it, one delivery's story, and numbers over time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from support.deliveries import event_body
from support.event_stores import new_event
from support.fakes import FakeClock

from airflow_provider_toggl.core.api.quota import Lane
from airflow_provider_toggl.core.api.tally import HourTally
from airflow_provider_toggl.core.clock import utc
from airflow_provider_toggl.core.errors import ConfigurationError, EventStoreUnavailable
from airflow_provider_toggl.core.events.filters import EventFilter
from airflow_provider_toggl.core.events.logbook import REJECTED, Received, Refused, Sample, reader_name
from airflow_provider_toggl.core.events.sqlite_store import SqliteEventStore
from airflow_provider_toggl.core.events.store import EventStore
from airflow_provider_toggl.core.health import notes
from airflow_provider_toggl.core.health.charts import (
    deliveries_chart,
    freshness_chart,
    hours_until,
    requests_chart,
)
from airflow_provider_toggl.core.health.gather import Sources, gather
from airflow_provider_toggl.core.health.state import (
    Freshness,
    Health,
    LaneLeft,
    ReaderPlace,
    Reconciled,
    SubscriptionState,
    ago,
    span,
)
from airflow_provider_toggl.core.health.story import Step, find_landed, tell
from airflow_provider_toggl.core.health.warehouse import read_streams
from airflow_provider_toggl.core.land.duckdb_target import DuckdbTarget
from airflow_provider_toggl.core.land.target import Progress

NOW = datetime(2026, 3, 10, 12, 30, tzinfo=timezone.utc)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)

GOOD = Health(
    "toggl_default",
    NOW,
    workspace_id=1,
    receives=True,
    subscriptions=(SubscriptionState(7, "airflow", enabled=True, validated=True, pending=False),),
    told_at=NOW,
    last_delivery=NOW - timedelta(minutes=3),
    streams=(Freshness("time_entries", 1, NOW - HOUR, NOW, NOW),),
    lanes=(LaneLeft("user", 30, 22, NOW + HOUR / 2),),
    reconciled=(Reconciled(1, NOW - 5 * HOUR, "2026-01-01", "2026-03-11", 48_213, 2, 0, 3, 0),),
)

LANDING = ReaderPlace("duckdb_default.toggl", 9, 0, NOW, lands_in="duckdb_default.toggl")


def waiting(reader: ReaderPlace, age: timedelta) -> ReaderPlace:
    """Return a reader that three events wait for, the oldest so long."""
    return replace(reader, behind=3, waiting_since=NOW - age)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW.timestamp())


@pytest.fixture
def store(tmp_path: Path, clock: FakeClock) -> Iterator[EventStore]:
    with SqliteEventStore(tmp_path / "events.sqlite", clock=clock) as store:
        store.prepare()
        yield store


def sources(tmp_path: Path, clock: FakeClock, **changes: object) -> Sources:
    def open_store() -> EventStore:
        return SqliteEventStore(tmp_path / "events.sqlite", clock=clock)

    lanes = {"user": Lane(30, 22, NOW.timestamp() + 60)}
    return replace(Sources("toggl_default", open_store, lambda: lanes, workspace_id=1, receives=True), **changes)


# -- what is said -----------------------------------------------------------------------------------------------------


def test_a_good_connection_is_a_line() -> None:
    assert GOOD.level == "good"
    assert GOOD.line() == (
        "subscription enabled and validated, nothing pending, last delivery 3 min ago; "
        "fresh up to 60 min ago (time_entries is the oldest of 1); "
        "22 of 30 requests left for user (resets in 30 min); "
        "reconciled 5 h ago: 48,213 entries as in Toggl after repairs (2 added, 3 deleted)"
    )


@pytest.mark.parametrize(
    ("changes", "part", "level", "said"),
    [
        ({"subscriptions": None}, "subscription", "unknown", "because Toggl was not asked yet"),
        ({"subscriptions": ()}, "subscription", "attention", "no subscription in Toggl"),
        ({"subscriptions": (), "receives": False}, "subscription", "good", "no subscription"),
        (
            {"subscriptions": (SubscriptionState(7, "a", enabled=False, validated=True, pending=True),)},
            "subscription",
            "attention",
            "subscription 7 disabled and validated, events are pending in Toggl",
        ),
        ({"refused": 12}, "subscription", "good", "12 refused in the last day"),
        ({"last_delivery": None}, "subscription", "good", "no delivery is kept"),
        ({"readers": (LANDING,)}, "landing", "good", "every event landed"),
        ({"readers": (waiting(LANDING, HOUR / 2),)}, "landing", "good", "events about to be landed: 3"),
        (
            {"readers": (waiting(LANDING, 2 * HOUR), LANDING)},
            "landing",
            "attention",
            "events wait for duckdb_default.toggl: 3, the oldest came 2 h ago",
        ),
        ({"streams": ()}, "freshness", "unknown", "because no landing is noted yet"),
        ({"streams": (), "unknown": {"freshness": "it is locked"}}, "freshness", "unknown", "because it is locked"),
        ({"streams": (Freshness("tags", 1, NOW - 2 * DAY, NOW, None),)}, "freshness", "attention", "2 d ago"),
        ({"streams": (Freshness("tags", 1, None, NOW, None),)}, "freshness", "good", "first load of tags goes on"),
        ({"lanes": ()}, "quota", "unknown", "because no request of this token"),
        ({"lanes": (LaneLeft("user", 30, 0, NOW + HOUR),)}, "quota", "attention", "0 of 30 requests left"),
        ({"lanes": (LaneLeft("user", None, None, None),)}, "quota", "unknown", "what is left for user was not told"),
        ({"reconciled": ()}, "reconciliation", "unknown", "because none is noted yet"),
        (
            {"reconciled": (replace(GOOD.reconciled[0], unproved=4),)},
            "reconciliation",
            "attention",
            "4 not proved",
        ),
        (
            {"reconciled": (replace(GOOD.reconciled[0], refused="Reports lack 900 of 1,000"),)},
            "reconciliation",
            "attention",
            "refused to mark many entries absent",
        ),
        ({"reconciled": (replace(GOOD.reconciled[0], ran_at=NOW - 9 * DAY),)}, "reconciliation", "attention", "9 d"),
        ({"unknown": {"readers": "it is down"}}, "readers", "unknown", "readers unknown, because it is down"),
    ],
    ids=str,
)
def test_what_waits_for_a_person_or_is_not_known_is_said(
    changes: dict[str, object], part: str, level: str, said: str
) -> None:
    health = replace(GOOD, **changes)  # type: ignore[arg-type]
    (finding,) = [one for one in health.findings() if one.part == part]
    assert (finding.level, said in finding.text) == (level, True), finding.text
    assert health.level == level


def test_it_is_plain_json() -> None:
    told = json.loads(json.dumps(GOOD.as_dict()))
    assert told["level"] == "good"
    assert told["subscriptions"][0]["subscription_id"] == 7
    assert told["streams"][0]["watermark"] == "2026-03-10T11:30:00Z"
    assert [one["part"] for one in told["findings"]] == ["subscription", "freshness", "quota", "reconciliation"]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (172_800, "2 d"), (-60, "60 s")]
)
def test_a_time_is_said_in_its_largest_sensible_unit(seconds: float, text: str) -> None:
    assert span(abs(seconds)) == text
    assert ago(NOW - timedelta(seconds=seconds), NOW) == (f"in {text}" if seconds < 0 else f"{text} ago")


# -- what is gathered -------------------------------------------------------------------------------------------------


def test_all_parts_are_gathered_of_what_others_noted(store: EventStore, tmp_path: Path, clock: FakeClock) -> None:
    store.append([new_event(1, entity="time_entry", received_at=NOW - HOUR), new_event(2, received_at=NOW)])
    store.append([new_event(3, conn_id="other", received_at=NOW + HOUR)])
    store.commit("reader", 2)
    store.logbook.keep_received(
        Received(NOW - HOUR, {("toggl_default", "stored"): 5, ("toggl_default", "unsigned"): 2, ("other", "busy"): 9})
    )
    found = {"subscription_id": 7, "description": "a", "enabled": True, "validated": True, "has_pending_events": False}
    store.logbook.note(notes.subscriptions_name("toggl_default", 1), {"subscriptions": [found]})
    store.logbook.note(notes.subscriptions_name("toggl_default_2", 1), {"subscriptions": [found, found]})
    landing = notes.Landing(1, "time_entries", "2026-03-10T12:00:00Z", NOW, "duckdb_default.toggl")
    notes.note_landing(store.logbook, "toggl_default", landing)
    summary = {"workspace_id": 1, "entries": 5, "unproved": {"too old": 2}}
    notes.note_reconciliation(store.logbook, "toggl_default", summary, ran_at=NOW, refused=None)
    store.logbook.note(notes.allowance_name("toggl_default", 1), {"by": "somebody"})
    health = gather(sources(tmp_path, clock), NOW)
    assert health.subscriptions == (SubscriptionState(7, "a", enabled=True, validated=True, pending=False),)
    assert (health.told_at, health.last_delivery, health.last_seq, health.refused) == (NOW, NOW, 3, 2)
    assert health.streams == (Freshness("time_entries", 1, NOW - HOUR / 2, NOW, NOW - HOUR, "duckdb_default.toggl"),)
    assert health.lanes == (LaneLeft("user", 30, 22, NOW + timedelta(seconds=60)),)
    assert (health.reconciled[0].unproved, health.reconciled[0].reasons) == (2, ("too old",))
    assert [(one.name, one.behind) for one in health.readers] == [("reader", 1)]
    assert (health.allowances, health.unknown) == ((1,), {})


def test_a_connection_whose_id_goes_on_behind_a_slash_is_another_one(
    store: EventStore, tmp_path: Path, clock: FakeClock
) -> None:
    landing = notes.Landing(1, "time_entries", "2026-03-10T12:00:00Z", NOW, "duckdb_default.toggl")
    notes.note_landing(store.logbook, "toggl_default/eu", landing)
    store.logbook.keep_received(Received(NOW - HOUR, {("toggl_default/eu", "unsigned"): 2}))
    health = gather(sources(tmp_path, clock), NOW)
    assert (health.streams, health.refused) == ((), 0)
    health = gather(sources(tmp_path, clock, conn_id="toggl_default/eu"), NOW)
    assert ([one.stream for one in health.streams], health.refused) == (["time_entries"], 2)


def test_what_waits_for_a_landing_is_known_and_for_others_it_is_no_fault(
    store: EventStore, tmp_path: Path, clock: FakeClock
) -> None:
    store.append([new_event(1, received_at=NOW - 3 * HOUR), new_event(2, received_at=NOW - 2 * HOUR)])
    landing = {"kind": "landing", "warehouse": "lake.toggl", "conn_id": None, "workspace_id": None}
    for name, note in [
        ("behind", landing),
        ("others", {**landing, "conn_id": "other"}),
        ("watcher", {"kind": "watcher"}),
    ]:
        store.commit(name, 1)
        store.logbook.note(reader_name(name), note)
    health = gather(sources(tmp_path, clock), NOW)
    assert [(one.name, one.lands_in, one.waiting_since) for one in health.readers] == [
        ("behind", "lake.toggl", NOW - 2 * HOUR),
        ("others", None, None),
        ("watcher", None, None),
    ]
    (finding,) = [one for one in health.findings() if one.part == "landing"]
    assert (finding.level, finding.text) == ("attention", "events wait for lake.toggl: 1, the oldest came 2 h ago")
    store.commit("behind", 2)
    (finding,) = [one for one in gather(sources(tmp_path, clock), NOW).findings() if one.part == "landing"]
    assert (finding.level, finding.text) == ("good", "every event landed")


def test_what_a_landing_passes_over_waits_for_nobody(store: EventStore, tmp_path: Path, clock: FakeClock) -> None:
    store.append([new_event(1, received_at=NOW - 9 * HOUR), new_event(2, conn_id="b", received_at=NOW - 8 * HOUR)])
    store.commit("own", 1)
    note = {"kind": "landing", "warehouse": "lake.toggl", "conn_id": "toggl_default", "workspace_id": None}
    store.logbook.note(reader_name("own"), note)
    (finding,) = [one for one in gather(sources(tmp_path, clock), NOW).findings() if one.part == "landing"]
    assert (finding.level, finding.text) == ("good", "every event landed")
    store.append([new_event(3, received_at=NOW - 2 * HOUR)])
    (finding,) = [one for one in gather(sources(tmp_path, clock), NOW).findings() if one.part == "landing"]
    assert (finding.level, "the oldest came 2 h ago" in finding.text) == ("attention", True)


def test_leave_that_is_too_old_is_not_shown(store: EventStore, tmp_path: Path, clock: FakeClock) -> None:
    store.logbook.note(notes.allowance_name("toggl_default", 1), {"by": "somebody"})
    assert gather(sources(tmp_path, clock), NOW + 8 * DAY).allowances == ()


def test_a_store_that_is_down_leaves_the_quota_known_and_says_why(tmp_path: Path, clock: FakeClock) -> None:
    def fail() -> EventStore:
        raise EventStoreUnavailable("It is locked.")

    health = gather(sources(tmp_path, clock, open_store=fail), NOW)
    assert health.level == "unknown"
    assert health.unknown == dict.fromkeys(("subscription", "freshness", "reconciliation"), "It is locked.")
    assert [one.part for one in health.findings() if one.level == "good"] == ["quota"]


def test_a_connection_without_a_token_leaves_the_rest_known(
    store: EventStore, tmp_path: Path, clock: FakeClock
) -> None:
    def fail() -> dict[str, Lane]:
        raise ConfigurationError("No token.")

    health = gather(sources(tmp_path, clock, lanes=fail), NOW)
    assert health.unknown == {"quota": "No token."}
    assert "quota unknown, because No token." in health.line()


def test_the_warehouse_itself_tells_of_streams_and_not_of_other_cursors(tmp_path: Path) -> None:
    pytest.importorskip("duckdb")
    with DuckdbTarget(tmp_path / "warehouse.duckdb", schema="toggl") as target:
        target.prepare()
        for stream, scope in (("time_entries", "1"), ("time_entries", "1/reconcile"), ("events", "default")):
            target.land([], Progress(stream, scope, NOW - HOUR, "{}", 1, NOW))
        health = read_streams(target, GOOD, "duckdb_default.toggl")
    assert health.streams == (Freshness("time_entries", 1, NOW - HOUR, NOW, NOW, "duckdb_default.toggl"),)


# -- a delivery's story -----------------------------------------------------------------------------------------------


def words(steps: list[Step]) -> list[tuple[str, str, bool]]:
    return [(step.what, step.text, step.done) for step in steps]


def fill(store: EventStore, clock: FakeClock) -> None:
    """Fill in five events and move a landing over the first three in two goes, a watcher over all."""
    created = utc(clock.now()) - timedelta(seconds=2)
    body = event_body(1)
    store.append(
        [
            new_event(n, body=body, entity="time_entry", action="created", created_at=created, received_at=NOW)
            for n in range(1, 6)
        ]
    )
    store.logbook.note(reader_name("land"), {"kind": "landing", "warehouse": "duckdb.toggl"})
    wanted = EventFilter(entities=("project",)).to_dict()
    store.logbook.note(reader_name("watch"), {"kind": "watcher", "filter": wanted})
    for seq in (1, 3):
        clock.sleep(600)
        store.commit("land", seq)
    store.commit("watch", 5)


def test_the_story_says_when_it_came_where_it_is_and_when_it_was_landed(store: EventStore, clock: FakeClock) -> None:
    fill(store, clock)
    steps = tell(store, store.get(2))
    assert words(steps) == [
        ("happened", "in Toggl, by Toggl's clock", True),
        ("received", f"for connection toggl_default, {len(event_body(1)):,} bytes, 2 s after it happened", True),
        ("verified", "signed with the connection's webhook secret", True),
        ("stored", "durably, in place 2", True),
        ("landed", "in duckdb.toggl", True),
        ("passed over", "by watch: it does not count for it", True),
    ]
    landed = steps[4]
    assert (landed.after, landed.at) == (NOW + timedelta(seconds=600), NOW + timedelta(seconds=1200))


def test_what_is_not_landed_yet_says_where_the_landing_is(store: EventStore, clock: FakeClock) -> None:
    fill(store, clock)
    assert ("landed", "not yet: duckdb.toggl is at place 3", False) in words(tell(store, store.get(4)))
    assert find_landed(store) == 3


def test_a_watcher_that_it_counts_for_was_woken(store: EventStore, clock: FakeClock) -> None:
    fill(store, clock)
    store.logbook.note(reader_name("watch"), {"kind": "watcher", "filter": {"entities": ["time_entry"]}})
    assert ("woke", "watcher watch", True) in words(tell(store, store.get(2)))


def test_of_a_reader_without_a_note_only_its_place_is_known(store: EventStore, clock: FakeClock) -> None:
    store.append([new_event(1), new_event(2)])
    store.commit("somebody", 1)
    assert ("read", "and done with by somebody", True) in words(tell(store, store.get(1)))
    assert ("read", "not yet: somebody is at place 1", False) in words(tell(store, store.get(2)))
    assert find_landed(store) is None


def test_what_nobody_reads_what_was_not_signed_and_what_was_rejected_is_said(store: EventStore) -> None:
    store.append([new_event(1, oddity="replayed from Toggl's log"), new_event(2, oddity="replayed from place 1 by me")])
    store.logbook.keep_refused([Refused("toggl_default", REJECTED, "payload.start: missing", 1, NOW, NOW, seq=1)])
    told = words(tell(store, store.get(1)))
    assert ("verified", "fetched from Toggl's log with the API token; no signature was over it", True) in told
    assert ("read", "nobody who has a name in this store reads it", False) in told
    assert told[-1] == ("rejected", "by landing: payload.start: missing", True)
    assert ("verified", "a copy that a person had made of a delivery that was verified", True) in words(
        tell(store, store.get(2))
    )


# -- numbers over time ------------------------------------------------------------------------------------------------


def test_hours_end_with_the_present_one() -> None:
    assert hours_until(NOW, 3) == tuple(NOW.replace(minute=0) - back * HOUR for back in (2, 1, 0))


def test_deliveries_are_counted_by_kind_and_all_refusals_are_one() -> None:
    samples = [
        Sample("received/c/stored", NOW, 5),
        Sample("received/c/unsigned", NOW - HOUR, 2),
        Sample("received/c/busy", NOW - HOUR, 3),
        Sample("received/c/stored", NOW - 99 * HOUR, 7),
    ]
    chart = deliveries_chart(samples, NOW)
    values = {column.name: column.values[-2:] for column in chart.columns}
    assert values == {"stored": (0, 5), "duplicate": (0, 0), "ping": (0, 0), "refused": (5, 0)}
    assert not chart.is_empty
    assert deliveries_chart([], NOW).is_empty


def test_requests_have_the_limit_of_their_lane_beside_them() -> None:
    hour = int(NOW.replace(minute=0).timestamp())
    chart = requests_chart([HourTally("user", hour, 12, 30), HourTally("organization:1", hour - 3600, 9, None)], NOW)
    assert [(column.name, column.values[-2:], column.is_limit) for column in chart.columns] == [
        ("user", (0, 12), False),
        ("organization:1", (9, 0), False),
        ("limit of user", (30, 30), True),
    ]


def test_freshness_is_the_greatest_age_within_each_hour() -> None:
    begin = NOW.replace(minute=0) - 2 * HOUR
    name = notes.watermark_name("c", 1, "tags")
    landed = [(begin - HOUR / 2, 0), (begin + HOUR / 4, 0), (begin + 2 * HOUR + HOUR / 4, 0)]
    samples = [Sample(name, at, at.timestamp()) for at, _ in landed]
    (column,) = freshness_chart(samples, NOW).columns
    assert column.name == "tags"
    assert column.values[-4:] == (0.5, 0.75, 1.75, 2.0)
    assert column.values[-5] is None
