"""Collection of facts, records, the timeline of a delivery, and charts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from support.deliveries import event_body
from support.event_stores import new_event
from support.fakes import FakeClock

from airflow_provider_toggl.core.client.limits.quota import Lane
from airflow_provider_toggl.core.client.limits.state import HourlyUsage
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
from airflow_provider_toggl.core.operate.findings import CheckStatus
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
    SubscriptionState,
)
from airflow_provider_toggl.core.operate.health.timeline import TimelineStep, build_timeline, find_loaded_seq
from airflow_provider_toggl.core.operate.health.waiting import WaitingTask, waiting_key

NOW = datetime(2026, 3, 10, 12, 30, tzinfo=timezone.utc)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW.timestamp())


@pytest.fixture
def store(tmp_path: Path, clock: FakeClock) -> Iterator[EventStore]:
    with SqliteEventStore(tmp_path / "events.sqlite", clock=clock) as store:
        store.prepare()
        yield store


def sources(tmp_path: Path, clock: FakeClock, **changes: object) -> HealthSources:
    def open_store() -> EventStore:
        return SqliteEventStore(tmp_path / "events.sqlite", clock=clock)

    lanes = {"user": Lane(30, 22, NOW.timestamp() + 60)}
    return replace(HealthSources("toggl_default", open_store, lambda: lanes, workspace_id=1, receives=True), **changes)


# -- collected facts -------------------------------------------------------------------------------------------------


def test_all_facts_are_collected_from_records(store: EventStore, tmp_path: Path, clock: FakeClock) -> None:
    store.append([new_event(1, entity="time_entry", received_at=NOW - HOUR), new_event(2, received_at=NOW)])
    store.append([new_event(3, conn_id="other", received_at=NOW + HOUR)])
    store.commit("reader", 2)
    store.activity_log.set_status(records.declaration_key("toggl_default"), {"description": "a", "enabled": False})
    waiting = WaitingTask("d.t (r)", 1, "tags", "quota", NOW, NOW + HOUR, 5, None, None)
    over = replace(waiting, task="d.u (r)", until=NOW - 2 * HOUR)
    for one in (waiting, over):
        store.activity_log.set_status(waiting_key("toggl_default", one.task), one.as_dict())
    store.activity_log.record_received(
        DeliveryCounts(
            NOW - HOUR, {("toggl_default", "stored"): 5, ("toggl_default", "unsigned"): 2, ("other", "busy"): 9}
        )
    )
    found = {"subscription_id": 7, "description": "a", "enabled": True, "validated": True, "has_pending_events": False}
    store.activity_log.set_status(records.subscriptions_key("toggl_default", 1), {"subscriptions": [found]})
    store.activity_log.set_status(records.subscriptions_key("toggl_default_2", 1), {"subscriptions": [found, found]})
    load = records.LoadRecord(1, "time_entries", "2026-03-10T12:00:00Z", NOW, "duckdb_default.toggl")
    records.record_load(store.activity_log, "toggl_default", load)
    summary = {"workspace_id": 1, "entries": 5, "unverified": {"too old": 2}}
    records.record_reconciliation(
        store.activity_log, "toggl_default", summary, warehouse="a.b", ran_at=NOW, refused=None
    )
    store.activity_log.set_status(records.approval_key("toggl_default", 1), {"by": "somebody"})
    health = collect_health(sources(tmp_path, clock), NOW)
    assert health.subscriptions == (SubscriptionState(7, "a", enabled=True, validated=True, pending=False),)
    assert (health.listed_at, health.last_delivery, health.last_seq, health.refused) == (NOW, NOW, 3, 2)
    assert health.streams == (
        StreamFreshness("time_entries", 1, NOW - HOUR / 2, NOW, NOW - HOUR, "duckdb_default.toggl"),
    )
    assert health.lanes == (LaneQuota("user", 30, 22, NOW + timedelta(seconds=60)),)
    assert (health.reconciliations[0].unverified, health.reconciliations[0].reasons) == (2, ("too old",))
    assert [(one.name, one.behind) for one in health.consumers] == [("reader", 1)]
    assert (health.approvals, health.unknown) == ((1,), {})
    assert (health.declared, health.waiting) == (DeclaredSubscription("a", enabled=False), (waiting,))


def test_an_id_with_a_slash_belongs_to_another_connection(store: EventStore, tmp_path: Path, clock: FakeClock) -> None:
    load = records.LoadRecord(1, "time_entries", "2026-03-10T12:00:00Z", NOW, "duckdb_default.toggl")
    records.record_load(store.activity_log, "toggl_default/eu", load)
    store.activity_log.record_received(DeliveryCounts(NOW - HOUR, {("toggl_default/eu", "unsigned"): 2}))
    health = collect_health(sources(tmp_path, clock), NOW)
    assert (health.streams, health.refused) == ((), 0)
    health = collect_health(sources(tmp_path, clock, conn_id="toggl_default/eu"), NOW)
    assert ([one.stream for one in health.streams], health.refused) == (["time_entries"], 2)


def describe_consumer(store: EventStore, name: str, **description: object) -> None:
    """Describe a consumer that has read nothing yet."""
    store.commit(name, 0)
    store.activity_log.set_status(reader_key(name), description)


def test_each_warehouse_has_its_own_freshness(store: EventStore, tmp_path: Path, clock: FakeClock) -> None:
    for warehouse, back in (("first.toggl", 3 * DAY), ("second.toggl", HOUR), ("second.toggl", HOUR / 2)):
        at = NOW - back
        load = records.LoadRecord(1, "time_entries", at.isoformat(), at, warehouse)
        records.record_load(store.activity_log, "toggl_default", load)
        summary = {"workspace_id": 1, "entries": 5}
        options = {"warehouse": warehouse, "ran_at": at - 7 * DAY, "refused": None}
        records.record_reconciliation(store.activity_log, "toggl_default", summary, **options)  # type: ignore[arg-type]
    health = collect_health(sources(tmp_path, clock), NOW)
    assert [(one.warehouse, one.watermark) for one in health.streams] == [
        ("first.toggl", NOW - 3 * DAY),
        ("second.toggl", NOW - HOUR / 2),
    ]
    labels = {one.check: one.label for one in diagnose(health)}
    assert (labels["freshness"], labels["reconciliation"]) == ("3 d", "10 d")


def test_records_of_an_earlier_version_are_used_until_the_next_load(
    store: EventStore, tmp_path: Path, clock: FakeClock
) -> None:
    value = {"watermark": (NOW - DAY).isoformat(), "ran_at": (NOW - DAY).isoformat(), "warehouse": "lake.toggl"}
    store.activity_log.set_status("landing/toggl_default/1/time_entries", value)
    old = {"workspace_id": 1, "ran_at": (NOW - 9 * DAY).isoformat(), "unproved": {"too old": 2}}
    store.activity_log.set_status("reconciliation/toggl_default/1", old)
    health = collect_health(sources(tmp_path, clock), NOW)
    assert [(one.warehouse, one.watermark) for one in health.streams] == [("lake.toggl", NOW - DAY)]
    assert [(one.ran_at, one.unverified) for one in health.reconciliations] == [(NOW - 9 * DAY, 2)]
    load = records.LoadRecord(1, "time_entries", NOW.isoformat(), NOW, "lake.toggl")
    records.record_load(store.activity_log, "toggl_default", load)
    summary = {"workspace_id": 1}
    records.record_reconciliation(
        store.activity_log, "toggl_default", summary, warehouse="lake.toggl", ran_at=NOW, refused=None
    )
    health = collect_health(sources(tmp_path, clock), NOW)
    assert [(one.warehouse, one.watermark) for one in health.streams] == [("lake.toggl", NOW)]
    assert [one.ran_at for one in health.reconciliations] == [NOW]


def test_all_records_of_a_warehouse_are_found(store: EventStore) -> None:
    for warehouse in ("a.toggl", "b.toggl"):
        records.record_load(store.activity_log, "c", records.LoadRecord(1, "tags", None, NOW, warehouse))
        records.record_reconciliation(
            store.activity_log, "c", {"workspace_id": 1}, warehouse=warehouse, ran_at=NOW, refused=None
        )
    names = records.keys_of_warehouse(store.activity_log, "c", "a.toggl")
    assert names == [records.load_key("c", 1, "tags", "a.toggl"), records.reconciliation_key("c", 1, "a.toggl")]


def test_only_consumers_of_a_connection_are_listed(store: EventStore, tmp_path: Path, clock: FakeClock) -> None:
    describe_consumer(store, "all", kind="landing", warehouse="lake.toggl", conn_id=None, workspace_id=None)
    describe_consumer(store, "own", kind="landing", warehouse="own.toggl", conn_id="toggl_default", workspace_id=None)
    describe_consumer(store, "others", kind="landing", warehouse="o.toggl", conn_id="other", workspace_id=None)
    describe_consumer(store, "other workspace", kind="landing", warehouse="w.toggl", conn_id=None, workspace_id=2)
    describe_consumer(store, "watcher", kind="watcher", filter={})
    describe_consumer(store, "watcher of this", kind="watcher", filter={"workspace_ids": [1, 2]})
    describe_consumer(store, "watcher of others", kind="watcher", filter={"workspace_ids": [2]})
    describe_consumer(store, "consumer", kind="consumer", conn_id="toggl_default")
    describe_consumer(store, "consumer of others", kind="consumer", conn_id="other")
    store.commit("without a note", 0)
    found = [(one.name, one.loads_into) for one in collect_health(sources(tmp_path, clock), NOW).consumers]
    assert found == [
        ("all", "lake.toggl"),
        ("consumer", None),
        ("own", "own.toggl"),
        ("watcher", None),
        ("watcher of this", None),
        ("without a note", None),
    ]


def test_pending_events_are_counted(store: EventStore, tmp_path: Path, clock: FakeClock) -> None:
    store.append([new_event(n, received_at=NOW - (4 - n) * HOUR) for n in (1, 2, 3)])
    describe_consumer(store, "land", kind="landing", warehouse="lake.toggl", conn_id=None, workspace_id=None)
    describe_consumer(store, "watcher", kind="watcher")
    store.commit("land", 1)
    (loader, _) = collect_health(sources(tmp_path, clock), NOW).consumers
    assert (loader.pending, loader.oldest_pending_at) == (2, NOW - 2 * HOUR)
    store.commit("land", 3)
    (loader, _) = collect_health(sources(tmp_path, clock), NOW).consumers
    assert (loader.pending, loader.oldest_pending_at) == (0, None)


def test_events_of_other_connections_and_workspaces_are_not_pending(
    store: EventStore, tmp_path: Path, clock: FakeClock
) -> None:
    describe_consumer(store, "land", kind="landing", warehouse="lake.toggl", conn_id=None, workspace_id=1)
    # More than are searched for the oldest pending one.
    others = [new_event(n, conn_id="other", received_at=NOW - 9 * HOUR) for n in range(1, 700)]
    store.append([*others, new_event(700, workspace_id=2, received_at=NOW - 8 * HOUR)])
    (loader,) = collect_health(sources(tmp_path, clock), NOW).consumers
    assert (loader.pending, loader.oldest_pending_at) == (0, None)
    store.append([new_event(701, workspace_id=1, received_at=NOW - 3 * HOUR)])
    (loader,) = collect_health(sources(tmp_path, clock), NOW).consumers
    assert (loader.pending, loader.oldest_pending_at) == (1, NOW - 3 * HOUR)


def test_a_change_of_one_subscription_updates_the_recorded_list(store: EventStore) -> None:
    def change(number: int, fields: dict[str, object] | None) -> None:
        records.record_subscription_change(store.activity_log, "c", 1, number, fields)

    def known() -> list[tuple[int, bool, bool]]:
        (note,) = store.activity_log.list_status(records.subscriptions_key("c", 1))
        found = records.subscriptions_from(note.value["subscriptions"])
        return [(one.subscription_id, one.enabled, one.validated) for one in found]

    change(7, {"validated": True})
    assert store.activity_log.list_status("subscriptions/") == []
    change(7, {"subscription_id": 7, "description": "a", "enabled": True, "validated": False})
    change(8, {"subscription_id": 8, "description": "b", "enabled": True, "validated": True})
    change(7, {"validated": True})
    assert known() == [(8, True, True), (7, True, True)]
    store.activity_log.set_status(records.declaration_key("c"), {"description": "a"})
    change(8, None)
    assert records.find_declaration(store.activity_log, "c") == {"description": "a"}
    change(7, None)
    assert (known(), records.find_declaration(store.activity_log, "c")) == ([], None)


def test_connections_with_recent_records_are_found(store: EventStore, clock: FakeClock) -> None:
    records.record_load(store.activity_log, "old", records.LoadRecord(1, "tags", None, NOW, "a.b"))
    clock.sleep(86_400)
    records.record_load(store.activity_log, "with/slash", records.LoadRecord(1, "tags", None, NOW, "a.b"))
    store.activity_log.set_status(waiting_key("waits", "d.t (r)"), {})
    assert records.find_connections(store.activity_log, NOW + HOUR) == {"with/slash", "waits"}


def test_an_expired_approval_is_not_shown(store: EventStore, tmp_path: Path, clock: FakeClock) -> None:
    store.activity_log.set_status(records.approval_key("toggl_default", 1), {"by": "somebody"})
    assert collect_health(sources(tmp_path, clock), NOW + 8 * DAY).approvals == ()


def test_without_the_store_only_the_quota_is_known(tmp_path: Path, clock: FakeClock) -> None:
    def fail() -> EventStore:
        raise EventStoreUnavailable("It is locked.")

    health = collect_health(sources(tmp_path, clock, open_store=fail), NOW)
    assert health.unknown == dict.fromkeys((part for part in PARTS if part != "quota"), "It is locked.")
    assert [one.check for one in diagnose(health) if one.status is CheckStatus.OK] == ["quota"]


def test_without_a_token_only_the_quota_is_unknown(store: EventStore, tmp_path: Path, clock: FakeClock) -> None:
    def fail() -> dict[str, Lane]:
        raise ConfigurationError("No token.")

    health = collect_health(sources(tmp_path, clock, lanes=fail), NOW)
    assert health.unknown == {"quota": "No token."}
    assert ("quota", "No token.") in [(one.check, one.text) for one in diagnose(health)]


def test_freshness_is_read_from_a_warehouse_without_other_cursors(tmp_path: Path) -> None:
    pytest.importorskip("duckdb")
    with build_duckdb_warehouse(tmp_path / "warehouse.duckdb", schema="toggl") as target:
        target.prepare()
        for stream, scope in (("time_entries", "1"), ("time_entries", "1/reconcile"), ("events", "default")):
            target.load([], Progress(stream, scope, NOW - HOUR, "{}", 1, NOW))
        known = StreamFreshness("time_entries", 1, NOW - DAY, NOW, NOW, "duckdb_default.toggl")
        health = read_streams(target, Health("toggl_default", NOW, streams=(known,)), "duckdb_default.toggl")
    assert health.streams == (StreamFreshness("time_entries", 1, NOW - HOUR, NOW, NOW, "duckdb_default.toggl"),)


# -- the timeline of a delivery --------------------------------------------------------------------------------------


def words(steps: list[TimelineStep]) -> list[tuple[str, str, bool]]:
    return [(step.what, step.text, step.done) for step in steps]


def fill(store: EventStore, clock: FakeClock) -> None:
    """Store five events; a loader reads three of them in two steps, and a watcher all."""
    created = utc(clock.now()) - timedelta(seconds=2)
    body = event_body(1)
    store.append(
        [
            new_event(n, body=body, entity="time_entry", action="created", created_at=created, received_at=NOW)
            for n in range(1, 6)
        ]
    )
    store.activity_log.set_status(reader_key("land"), {"kind": "landing", "warehouse": "duckdb.toggl"})
    wanted = EventFilter(entities=("project",)).to_dict()
    store.activity_log.set_status(reader_key("watch"), {"kind": "watcher", "filter": wanted})
    for seq in (1, 3):
        clock.sleep(600)
        store.commit("land", seq)
    store.commit("watch", 5)


def test_a_timeline_has_arrival_store_and_load(store: EventStore, clock: FakeClock) -> None:
    fill(store, clock)
    steps = build_timeline(store, store.get(2))
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


def test_a_pending_load_shows_the_position_of_its_consumer(store: EventStore, clock: FakeClock) -> None:
    fill(store, clock)
    assert ("loaded", "not yet: duckdb.toggl is at seq 3", False) in words(build_timeline(store, store.get(4)))
    assert find_loaded_seq(store) == 3


def test_steps_are_in_the_order_of_time(store: EventStore, clock: FakeClock) -> None:
    store.append([new_event(1, received_at=NOW)])
    for name, kind in (("a, late", "landing"), ("b, early", "watcher"), ("c, never", "watcher")):
        store.activity_log.set_status(reader_key(name), {"kind": kind, "warehouse": name})
    store.commit("c, never", 0)
    for name in ("b, early", "a, late"):
        clock.sleep(600)
        store.commit(name, 1)
    rejected_at = NOW + timedelta(seconds=900)
    store.activity_log.record_refusals(
        [RefusedDelivery("toggl_default", REJECTED, "odd", 1, rejected_at, rejected_at, seq=1)]
    )
    later = build_timeline(store, store.get(1))[3:]
    assert [(one.what, one.done) for one in later] == [
        ("woke", True),
        ("rejected", True),
        ("read", True),
        ("woke", False),
    ]
    moments = [one.at for one in later if one.at]
    assert moments == sorted(moments)


def test_the_loaded_seq_is_that_of_the_slowest_task_of_the_connection(store: EventStore) -> None:
    store.append([new_event(n) for n in (1, 2, 3)])
    for name, conn_id, seq in (("own", "toggl_default", 3), ("others", "other", 1), ("all", None, 2)):
        store.activity_log.set_status(reader_key(name), {"kind": "landing", "conn_id": conn_id})
        store.commit(name, seq)
    assert (find_loaded_seq(store, "toggl_default"), find_loaded_seq(store, "other"), find_loaded_seq(store)) == (
        2,
        1,
        1,
    )


def test_a_watcher_with_a_matching_filter_woke(store: EventStore, clock: FakeClock) -> None:
    fill(store, clock)
    store.activity_log.set_status(reader_key("watch"), {"kind": "watcher", "filter": {"entities": ["time_entry"]}})
    assert ("woke", "watcher watch", True) in words(build_timeline(store, store.get(2)))


def test_a_consumer_without_a_record_is_shown_by_its_position(store: EventStore, clock: FakeClock) -> None:
    store.append([new_event(1), new_event(2)])
    store.commit("somebody", 1)
    assert ("read", "by somebody", True) in words(build_timeline(store, store.get(1)))
    assert ("read", "not yet: somebody is at seq 1", False) in words(build_timeline(store, store.get(2)))
    assert find_loaded_seq(store) is None


def test_missing_signatures_missing_consumers_and_rejections_are_shown(store: EventStore) -> None:
    store.append([new_event(1, anomaly="replayed from Toggl's log"), new_event(2, anomaly="replayed from seq 1 by me")])
    store.activity_log.record_refusals(
        [RefusedDelivery("toggl_default", REJECTED, "payload.start: missing", 1, NOW, NOW, seq=1)]
    )
    steps = words(build_timeline(store, store.get(1)))
    assert ("verified", "read from Toggl's log with the API token; without a signature", True) in steps
    assert ("read", "no consumer", False) in steps
    # Steps that happened are above those to come.
    assert steps[-2] == ("rejected", "payload.start: missing", True)
    assert ("verified", "copy of a verified delivery, made by a person", True) in words(
        build_timeline(store, store.get(2))
    )


# -- charts ------------------------------------------------------------------------------------------------


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
    landed = [(begin - HOUR / 2, 0), (begin + HOUR / 4, 0), (begin + 2 * HOUR + HOUR / 4, 0)]
    samples = [Measurement(name, at, at.timestamp()) for at, _ in landed]
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
