"""Collection of facts, records, the timeline of a delivery, and charts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from support.deliveries import event_body
from support.event_stores import new_event
from support.fakes import FakeClock

from airflow_provider_toggl.core.client.limits.quota import Lane
from airflow_provider_toggl.core.client.limits.store import HourlyUsage
from airflow_provider_toggl.core.clock import utc
from airflow_provider_toggl.core.errors import ConfigurationError, EventStoreUnavailable
from airflow_provider_toggl.core.events.activity_log import (
    REJECTED,
    DeliveryCounts,
    Measurement,
    RefusedDelivery,
    reader_key,
)
from airflow_provider_toggl.core.events.filters import EventFilter
from airflow_provider_toggl.core.events.sqlite.engine import SqliteEventStore
from airflow_provider_toggl.core.events.store import EventStore
from airflow_provider_toggl.core.load.engines.duckdb.engine import build_duckdb_warehouse
from airflow_provider_toggl.core.load.values import Progress
from airflow_provider_toggl.core.operate.health import records
from airflow_provider_toggl.core.operate.health.charts import (
    deliveries_chart,
    freshness_chart,
    hours_until,
    requests_chart,
)
from airflow_provider_toggl.core.operate.health.collect import HealthSources, collect_health, read_streams
from airflow_provider_toggl.core.operate.health.diagnosis import PARTS, diagnose
from airflow_provider_toggl.core.operate.health.facts import (
    DeclaredSubscription,
    Health,
    LaneQuota,
    StreamFreshness,
)
from airflow_provider_toggl.core.operate.health.records import LOAD_PREFIX, SubscriptionState
from airflow_provider_toggl.core.operate.health.timeline import LOADER, TimelineStep, build_timeline, find_loaded_seq
from airflow_provider_toggl.core.operate.health.waiting import WaitingTask, waiting_key

NOW = datetime(2026, 3, 10, 12, 30, tzinfo=timezone.utc)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
CONN_ID = "toggl_default"
Collect = Callable[..., Health]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW.timestamp())


@pytest.fixture
def store(tmp_path: Path, clock: FakeClock) -> Iterator[EventStore]:
    with SqliteEventStore(tmp_path / "events.sqlite", clock=clock) as store:
        store.prepare()
        yield store


@pytest.fixture
def collect(store: EventStore, tmp_path: Path, clock: FakeClock) -> Collect:
    """Collects the health of a connection from the store."""

    def collect(*, now: datetime = NOW, **changes: Any) -> Health:
        lanes = {"user": Lane(30, 22, NOW.timestamp() + 60)}
        sources = HealthSources(
            conn_id=CONN_ID,
            open_store=lambda: SqliteEventStore(tmp_path / "events.sqlite", clock=clock),
            lanes=lambda: lanes,
            workspace_id=1,
            receives=True,
        )
        return collect_health(replace(sources, **changes), now)

    return collect


def load(
    store: EventStore,
    watermark: datetime | None = None,
    *,
    conn_id: str = CONN_ID,
    stream: str = "time_entries",
    warehouse: str = "lake.toggl",
    ran_at: datetime = NOW,
) -> None:
    text = None if watermark is None else watermark.isoformat()
    where = {"workspace_id": 1, "stream": stream, "warehouse": warehouse}
    records.record_load(store.activity_log, conn_id, **where, watermark=text, ran_at=ran_at)  # type: ignore[arg-type]


def reconcile(
    store: EventStore, *, conn_id: str = CONN_ID, warehouse: str = "lake.toggl", ran_at: datetime = NOW, **summary: Any
) -> None:
    summary = {"workspace_id": 1, **summary}
    records.record_reconciliation(
        store.activity_log, conn_id, summary, warehouse=warehouse, ran_at=ran_at, refused=None
    )


def describe(store: EventStore, name: str, *, seq: int = 0, **description: object) -> None:
    """Add a consumer with its description."""
    store.commit(name, seq)
    store.activity_log.set_status(reader_key(name), description)


def reject(store: EventStore, reason: str, at: datetime = NOW) -> None:
    """Record that event 1 was rejected when it was loaded."""
    store.activity_log.record_refusals([RefusedDelivery(CONN_ID, REJECTED, reason, 1, at, at, seq=1)])


# -- collected facts ---------------------------------------------------------------------------------------------------


def test_all_facts_are_collected_from_records(store: EventStore, collect: Collect) -> None:
    log = store.activity_log
    store.append([new_event(1, entity="time_entry", received_at=NOW - HOUR), new_event(2, received_at=NOW)])
    store.append([new_event(3, conn_id="other", received_at=NOW + HOUR)])
    store.commit("reader", 2)
    log.set_status(records.declaration_key(CONN_ID), {"description": "a", "enabled": False})
    waiting = WaitingTask("d.t (r)", 1, "tags", "quota", NOW, NOW + HOUR, 5, None, None)
    for one in (waiting, replace(waiting, task="d.u (r)", until=NOW - 2 * HOUR)):
        log.set_status(waiting_key(CONN_ID, one.task), one.as_dict())
    counts = {(CONN_ID, "stored"): 5, (CONN_ID, "unsigned"): 2, ("other", "busy"): 9}
    log.record_received(DeliveryCounts(NOW - HOUR, counts))
    found = {"subscription_id": 7, "description": "a", "enabled": True, "validated": True, "has_pending_events": False}
    log.set_status(records.subscriptions_key(CONN_ID, 1), {"subscriptions": [found]})
    log.set_status(records.subscriptions_key("toggl_default_2", 1), {"subscriptions": [found, found]})
    load(store, NOW - HOUR / 2)
    reconcile(store, entries=5, unverified={"too old": 2})
    log.set_status(records.approval_key(CONN_ID, 1), {"by": "somebody"})
    health = collect()
    assert health.subscriptions == (SubscriptionState(7, "a", enabled=True, validated=True, pending=False),)
    assert (health.listed_at, health.last_delivery, health.last_seq, health.refused) == (NOW, NOW, 3, 2)
    assert health.streams == (StreamFreshness("time_entries", 1, NOW - HOUR / 2, NOW, NOW - HOUR, "lake.toggl"),)
    assert health.lanes == (LaneQuota("user", 30, 22, NOW + timedelta(seconds=60)),)
    assert (health.reconciliations[0].unverified, health.reconciliations[0].reasons) == (2, ("too old",))
    assert [(one.name, one.behind) for one in health.consumers] == [("reader", 1)]
    assert (health.approvals, health.unknown) == ((1,), {})
    assert (health.declared, health.waiting) == (DeclaredSubscription("a", enabled=False), (waiting,))


def test_an_id_with_a_slash_belongs_to_another_connection(store: EventStore, collect: Collect) -> None:
    load(store, NOW, conn_id="toggl_default/eu")
    store.activity_log.record_received(DeliveryCounts(NOW - HOUR, {("toggl_default/eu", "unsigned"): 2}))
    assert (collect().streams, collect().refused) == ((), 0)
    health = collect(conn_id="toggl_default/eu")
    assert ([one.stream for one in health.streams], health.refused) == (["time_entries"], 2)


def test_each_warehouse_has_its_own_freshness(store: EventStore, collect: Collect) -> None:
    for warehouse, age in (("first.toggl", 3 * DAY), ("second.toggl", HOUR), ("second.toggl", HOUR / 2)):
        load(store, NOW - age, warehouse=warehouse, ran_at=NOW - age)
        reconcile(store, warehouse=warehouse, ran_at=NOW - age - 7 * DAY)
    health = collect()
    watermarks = [(one.warehouse, one.watermark) for one in health.streams]
    assert watermarks == [("first.toggl", NOW - 3 * DAY), ("second.toggl", NOW - HOUR / 2)]
    labels = {one.check: one.label for one in diagnose(health)}
    assert (labels["freshness"], labels["reconciliation"]) == ("3 d", "10 d")


def test_records_of_an_earlier_version_are_used_until_the_next_load(store: EventStore, collect: Collect) -> None:
    value = {"watermark": (NOW - DAY).isoformat(), "ran_at": (NOW - DAY).isoformat(), "warehouse": "lake.toggl"}
    store.activity_log.set_status(f"{LOAD_PREFIX}/toggl_default/1/time_entries", value)
    old = {"workspace_id": 1, "ran_at": (NOW - 9 * DAY).isoformat(), "unproved": {"too old": 2}}
    store.activity_log.set_status("reconciliation/toggl_default/1", old)
    health = collect()
    assert [(one.warehouse, one.watermark) for one in health.streams] == [("lake.toggl", NOW - DAY)]
    assert [(one.ran_at, one.unverified) for one in health.reconciliations] == [(NOW - 9 * DAY, 2)]
    load(store, NOW)
    reconcile(store)
    health = collect()
    assert [(one.warehouse, one.watermark) for one in health.streams] == [("lake.toggl", NOW)]
    assert [one.ran_at for one in health.reconciliations] == [NOW]


def test_all_records_of_a_warehouse_are_found(store: EventStore) -> None:
    for warehouse in ("a.toggl", "b.toggl"):
        load(store, conn_id="c", stream="tags", warehouse=warehouse)
        reconcile(store, conn_id="c", warehouse=warehouse)
    names = records.keys_of_warehouse(store.activity_log, "c", "a.toggl")
    assert names == [records.load_key("c", 1, "tags", "a.toggl"), records.reconciliation_key("c", 1, "a.toggl")]


def test_only_consumers_of_a_connection_are_listed(store: EventStore, collect: Collect) -> None:
    describe(store, "all", kind=LOADER, warehouse="lake.toggl", conn_id=None, workspace_id=None)
    describe(store, "own", kind=LOADER, warehouse="own.toggl", conn_id=CONN_ID, workspace_id=None)
    describe(store, "others", kind=LOADER, warehouse="o.toggl", conn_id="other", workspace_id=None)
    describe(store, "other workspace", kind=LOADER, warehouse="w.toggl", conn_id=None, workspace_id=2)
    describe(store, "watcher", kind="watcher", filter={})
    describe(store, "watcher of this", kind="watcher", filter={"workspace_ids": [1, 2]})
    describe(store, "watcher of others", kind="watcher", filter={"workspace_ids": [2]})
    describe(store, "consumer", kind="consumer", conn_id=CONN_ID)
    describe(store, "consumer of others", kind="consumer", conn_id="other")
    store.commit("not described", 0)
    assert {one.name: one.loads_into for one in collect().consumers} == {
        "all": "lake.toggl",
        "own": "own.toggl",
        "watcher": None,
        "watcher of this": None,
        "consumer": None,
        "not described": None,
    }


def test_pending_events_are_counted_by_connection_and_workspace(store: EventStore, collect: Collect) -> None:
    def pending() -> tuple[int, datetime | None]:
        loader = next(one for one in collect().consumers if one.name == "loader")
        return loader.pending, loader.oldest_pending_at

    describe(store, "loader", kind=LOADER, warehouse="lake.toggl", conn_id=None, workspace_id=1)
    describe(store, "watcher", kind="watcher")
    # More than are searched for the oldest pending one.
    others = [new_event(n, conn_id="other", received_at=NOW - 9 * HOUR) for n in range(1, 700)]
    store.append([*others, new_event(700, workspace_id=2, received_at=NOW - 8 * HOUR)])
    assert pending() == (0, None)
    store.append([new_event(700 + n, workspace_id=1, received_at=NOW - (4 - n) * HOUR) for n in (1, 2, 3)])
    assert pending() == (3, NOW - 3 * HOUR)
    store.commit("loader", 701)
    assert pending() == (2, NOW - 2 * HOUR)
    store.commit("loader", 703)
    assert pending() == (0, None)


def test_a_change_of_one_subscription_updates_the_recorded_list(store: EventStore) -> None:
    log = store.activity_log

    def change(number: int, fields: dict[str, object] | None) -> None:
        records.record_subscription_change(log, "c", 1, number, fields)

    def known() -> list[tuple[int, bool, bool]]:
        (entry,) = log.list_status(records.subscriptions_key("c", 1))
        found = records.subscriptions_from(entry.value["subscriptions"])
        return [(one.subscription_id, one.enabled, one.validated) for one in found]

    change(7, {"validated": True})
    change(7, None)
    assert log.list_status("subscriptions/") == []
    change(7, {"subscription_id": 7, "description": "a", "enabled": True, "validated": False})
    change(8, {"subscription_id": 8, "description": "b", "enabled": True, "validated": True})
    change(7, {"validated": True})
    assert known() == [(8, True, True), (7, True, True)]
    log.set_status(records.declaration_key("c"), {"description": "a"})
    change(8, None)
    assert records.find_declaration(log, "c") == {"description": "a"}
    change(7, None)
    assert (known(), records.find_declaration(log, "c")) == ([], None)


def test_connections_with_recent_records_are_found(store: EventStore, clock: FakeClock) -> None:
    load(store, conn_id="old")
    clock.sleep(86_400)
    load(store, conn_id="with/slash")
    store.activity_log.set_status(waiting_key("waits", "d.t (r)"), {})
    assert records.find_connections(store.activity_log, NOW + HOUR) == {"with/slash", "waits"}


def test_an_expired_approval_is_not_shown(store: EventStore, collect: Collect) -> None:
    store.activity_log.set_status(records.approval_key(CONN_ID, 1), {"by": "somebody"})
    assert collect(now=NOW + 8 * DAY).approvals == ()


@pytest.mark.parametrize(
    ("source", "error", "unknown"),
    [
        ("open_store", EventStoreUnavailable("It is locked."), set(PARTS) - {"quota"}),
        ("lanes", ConfigurationError("No token."), {"quota"}),
    ],
)
def test_parts_whose_source_fails_are_unknown_with_the_reason(
    collect: Collect, source: str, error: Exception, unknown: set[str]
) -> None:
    health = collect(**{source: Mock(side_effect=error)})
    assert health.unknown == dict.fromkeys(unknown, str(error))
    assert {one.check for one in diagnose(health) if one.text == str(error)} == unknown


def test_freshness_is_read_from_a_warehouse_without_other_cursors(tmp_path: Path) -> None:
    pytest.importorskip("duckdb")
    with build_duckdb_warehouse(tmp_path / "warehouse.duckdb", schema="toggl") as target:
        target.prepare()
        for stream, scope in (("time_entries", "1"), ("time_entries", "1/reconcile"), ("events", "default")):
            target.load([], Progress(stream, scope, NOW - HOUR, "{}", 1, NOW))
        known = StreamFreshness("time_entries", 1, NOW - DAY, NOW, NOW, "duckdb_default.toggl")
        health = read_streams(target, Health(CONN_ID, NOW, streams=(known,)), "duckdb_default.toggl")
    assert health.streams == (replace(known, watermark=NOW - HOUR),)


# -- the timeline of a delivery ----------------------------------------------------------------------------------------


def words(steps: list[TimelineStep]) -> list[tuple[str, str, bool]]:
    return [(step.what, step.text, step.done) for step in steps]


@pytest.fixture
def read_store(store: EventStore, clock: FakeClock) -> EventStore:
    """A store with five events; a loader has read three of them in two steps, and a watcher all."""
    fields = {"entity": "time_entry", "action": "created", "created_at": utc(clock.now() - 2), "received_at": NOW}
    store.append([new_event(n, body=event_body(1), **fields) for n in range(1, 6)])
    store.activity_log.set_status(reader_key("loader"), {"kind": LOADER, "warehouse": "duckdb.toggl"})
    for seq in (1, 3):
        clock.sleep(600)
        store.commit("loader", seq)
    describe(store, "watch", seq=5, kind="watcher", filter=EventFilter(entities=("project",)).to_dict())
    return store


def test_a_timeline_has_arrival_store_and_load(read_store: EventStore) -> None:
    steps = build_timeline(read_store, read_store.get(2))
    assert words(steps) == [
        ("happened", "by Toggl's clock", True),
        ("received", f"for connection toggl_default, {len(event_body(1)):,} bytes, 2 s after it happened", True),
        ("verified", "signed with the connection's webhook secret", True),
        ("stored", "seq 2", True),
        ("loaded", "into duckdb.toggl", True),
        ("skipped", "by watch, whose filter does not match", True),
    ]
    loaded = steps[4]
    assert (loaded.after, loaded.at) == (NOW + timedelta(seconds=600), NOW + timedelta(seconds=1200))
    describe(read_store, "watch", seq=5, kind="watcher", filter={"entities": ["time_entry"]})
    assert ("woke", "watcher watch", True) in words(build_timeline(read_store, read_store.get(2)))
    # The loader has read up to event 3.
    assert ("loaded", "not yet: duckdb.toggl is at seq 3", False) in words(
        build_timeline(read_store, read_store.get(4))
    )
    assert find_loaded_seq(read_store) == 3


def test_steps_are_in_the_order_of_time(store: EventStore, clock: FakeClock) -> None:
    store.append([new_event(1, received_at=NOW)])
    for name, kind in (("a, late", LOADER), ("b, early", "watcher"), ("c, never", "watcher")):
        describe(store, name, kind=kind, warehouse=name)
    for name in ("b, early", "a, late"):
        clock.sleep(600)
        store.commit(name, 1)
    reject(store, "odd", NOW + timedelta(seconds=900))
    later = build_timeline(store, store.get(1))[3:]
    steps = [(one.what, one.done) for one in later]
    assert steps == [("woke", True), ("rejected", True), ("read", True), ("woke", False)]
    assert later[2].text == "by a, late"
    moments = [one.at for one in later if one.at]
    assert moments == sorted(moments)


def test_the_loaded_seq_is_that_of_the_slowest_task_of_the_connection(store: EventStore) -> None:
    store.append([new_event(n) for n in (1, 2, 3)])
    for name, conn_id, seq in (("own", CONN_ID, 3), ("others", "other", 1), ("all", None, 2)):
        describe(store, name, seq=seq, kind=LOADER, conn_id=conn_id)
    assert [find_loaded_seq(store, conn_id) for conn_id in (CONN_ID, "other", None)] == [2, 1, 1]


def test_a_consumer_without_a_record_is_shown_by_its_position(store: EventStore) -> None:
    store.append([new_event(1), new_event(2)])
    store.commit("somebody", 1)
    assert ("read", "by somebody", True) in words(build_timeline(store, store.get(1)))
    assert ("read", "not yet: somebody is at seq 1", False) in words(build_timeline(store, store.get(2)))
    assert find_loaded_seq(store) is None


def test_missing_signatures_missing_consumers_and_rejections_are_shown(store: EventStore) -> None:
    store.append([new_event(1, anomaly="replayed from Toggl's log"), new_event(2, anomaly="replayed from seq 1 by me")])
    reject(store, "payload.start: missing")
    steps = words(build_timeline(store, store.get(1)))
    assert ("verified", "read from Toggl's log with the API token; without a signature", True) in steps
    assert ("unusual", "replayed from Toggl's log", True) in steps
    # Steps that happened are above those to come.
    assert steps[-2:] == [("rejected", "payload.start: missing", True), ("read", "no consumer", False)]
    again = words(build_timeline(store, store.get(2)))
    assert ("verified", "copy of a verified delivery, made by a person", True) in again


# -- charts ------------------------------------------------------------------------------------------------------------


def test_hours_end_with_the_current_one() -> None:
    assert hours_until(NOW, 3) == tuple(NOW.replace(minute=0) - back * HOUR for back in (2, 1, 0))


def test_deliveries_are_counted_by_outcome_and_all_refusals_together() -> None:
    samples = [
        Measurement("received/c/stored", NOW, 5),
        Measurement("received/c/unsigned", NOW - HOUR, 2),
        Measurement("received/c/busy", NOW - HOUR, 3),
        Measurement("received/c/stored", NOW - 99 * HOUR, 7),
    ]
    chart = deliveries_chart(samples, NOW)
    values = {column.name: column.values[-2:] for column in chart.columns}
    assert values == {"stored": (0, 5), "duplicate": (0, 0), "ping": (0, 0), "refused": (5, 0)}
    assert not chart.is_empty
    assert deliveries_chart([], NOW).is_empty


def test_requests_have_the_limit_of_their_lane() -> None:
    hour = int(NOW.replace(minute=0).timestamp())
    chart = requests_chart(
        [HourlyUsage("user", hour, 12, 30), HourlyUsage("organization:1", hour - 3600, 9, None)], NOW
    )
    assert [(column.name, column.values[-2:], column.is_limit) for column in chart.columns] == [
        ("user", (0, 12), False),
        ("organization:1", (9, 0), False),
        ("limit of user", (30, 30), True),
    ]


def test_freshness_is_the_greatest_age_within_each_hour() -> None:
    begin = NOW.replace(minute=0) - 2 * HOUR
    name = records.watermark_key("c", 1, "tags", "a.b")
    loads = (begin - HOUR / 2, begin + HOUR / 4, begin + 2 * HOUR + HOUR / 4)
    samples = [Measurement(name, at, at.timestamp()) for at in loads]
    (column,) = freshness_chart(samples, NOW).columns
    assert column.name == "tags"
    assert column.values[-4:] == (0.5, 0.75, 1.75, 2.0)
    assert column.values[-5] is None


def test_freshness_has_a_line_for_each_warehouse() -> None:
    samples = [
        Measurement(records.watermark_key("c", 1, "tags", warehouse), NOW - HOUR, (NOW - age).timestamp())
        for warehouse, age in (("a.b", HOUR), ("c.d", DAY))
    ]
    columns = {column.name: column.values[-1] for column in freshness_chart(samples, NOW).columns}
    assert columns == {"tags in a.b": 1.0, "tags in c.d": 24.0}
