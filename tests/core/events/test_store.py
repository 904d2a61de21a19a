"""Tests of the event store that run on each engine."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from multiprocessing import get_context
from random import Random

import psycopg
import pytest
from support.event_stores import RECEIVED, StoreLocation, begin_writing, new_event, waiting_in_thread, writing
from support.fakes import FakeClock
from support.metrics import recording
from support.waiting import wait_until

from airflow_provider_toggl.core import metrics
from airflow_provider_toggl.core.clock import utc
from airflow_provider_toggl.core.errors import (
    ConfigurationError,
    EventNotFound,
    EventStoreDamaged,
    EventStoreError,
    EventStoreUnavailable,
)
from airflow_provider_toggl.core.events.engine import load_event_migrations
from airflow_provider_toggl.core.events.model import Appended, Handshake, NewEvent, StoredEvent
from airflow_provider_toggl.core.events.store import EventStore, check_consumer_name, measure_store

FULL = NewEvent(
    subscription_id=10713,
    event_id=8023169274704072,
    body=b'{"event_id": 8023169274704072, "\xc3\xa4": "\\u0000"}\x00\xff',
    received_at=RECEIVED,
    conn_id="toggl_default",
    workspace_id=7000001,
    entity="time_entry",
    action="created",
    entity_id=2**63 - 1,
    created_at=datetime(2023, 7, 17, 11, 43, 32, 827000, tzinfo=timezone.utc),
    anomaly='unknown model; "quoted", \\, {braces}, 100%',
)


# -- appending and reading ---------------------------------------------------------------------------------------------


def test_a_new_store_is_empty(store: EventStore) -> None:
    assert (store.count(), store.last_seq(), store.read(0), store.consumers()) == (0, 0, [], [])
    assert store.append([]) == []


def test_what_was_appended_is_read_as_it_was(store: EventStore) -> None:
    events = [FULL, new_event(2), new_event(3, body=b"", created_at=datetime(1, 1, 1, tzinfo=timezone.utc))]
    assert store.append(events) == [Appended(1, False), Appended(2, False), Appended(3, False)]
    assert store.read(0) == [StoredEvent(seq, event) for seq, event in enumerate(events, 1)]
    assert store.get(1).event == FULL


@pytest.mark.parametrize("number", [2**53 + 1, 10**4000])
def test_ids_of_any_size_are_stored_exactly(store: EventStore, number: int) -> None:
    events = [new_event(number, subscription_id=number), new_event(number + 1, subscription_id=number)]
    assert [one.seq for one in store.append(events)] == [1, 2]
    assert store.append(events) == [Appended(1, True), Appended(2, True)]
    assert [stored.event for stored in store.read(0)] == events


def test_reading_goes_on_after_a_number_up_to_a_limit(store: EventStore) -> None:
    store.append([new_event(number) for number in range(1, 11)])
    assert [stored.seq for stored in store.read(3, limit=4)] == [4, 5, 6, 7]
    assert store.read(10) == []


def test_an_event_that_is_not_there_is_reported(store: EventStore) -> None:
    with pytest.raises(EventNotFound, match=r"no event 1.*events list"):
        store.get(1)


def test_another_opening_sees_what_was_stored(place: StoreLocation) -> None:
    with place.open() as first:
        first.append([FULL])
    with place.open() as second:
        assert second.read(0) == [StoredEvent(1, FULL)]
        assert second.append([new_event(2)]) == [Appended(2, False)]


# -- duplicates --------------------------------------------------------------------------------------------------------


def test_the_same_event_again_is_a_duplicate_and_the_first_body_stays(store: EventStore) -> None:
    store.append([new_event(7, body=b"first"), new_event(8)])
    again = [new_event(7, body=b"second"), new_event(9), new_event(9), new_event(8)]
    assert store.append(again) == [Appended(1, True), Appended(3, False), Appended(3, True), Appended(2, True)]
    assert store.get(1).event.body == b"first"
    assert (store.count(), store.last_seq()) == (3, 3)


def test_duplicates_use_up_no_number_wherever_they_are(store: EventStore) -> None:
    random, placed = Random(7), dict[int, int]()
    for size in (1, 1, 2, 3, 63, 64, 65, 130, 500, 7, 1):
        ids = [random.randrange(1, 600) for _ in range(size)]
        expected = []
        for number in ids:
            known = number in placed
            expected.append(Appended(placed.setdefault(number, len(placed) + 1), known))
        assert store.append([new_event(number) for number in ids]) == expected
    assert [stored.seq for stored in store.read(0, 1000)] == list(range(1, len(placed) + 1))
    assert {stored.event.event_id: stored.seq for stored in store.read(0, 1000)} == placed
    assert store.last_seq() == len(placed)


@pytest.mark.parametrize("size", [2, 65, 200])
def test_bodies_of_any_bytes_are_kept_beside_each_other(store: EventStore, size: int) -> None:
    bodies = [bytes(range(number % 257)) * (number % 3) for number in range(size)]
    store.append([new_event(number, body=body) for number, body in enumerate(bodies, 1)])
    assert [stored.event.body for stored in store.read(0)] == bodies


def test_events_that_are_refused_use_up_no_number(store: EventStore) -> None:
    store.append([new_event(1)])
    unfit = replace(new_event(1000), conn_id=None)  # type: ignore[arg-type]
    for events in ([new_event(2), unfit], [new_event(1), unfit], [new_event(n) for n in range(2, 90)] + [unfit]):
        with pytest.raises(EventStoreError):
            store.append(events)
    assert store.append([new_event(2), new_event(1)]) == [Appended(2, False), Appended(1, True)]
    assert (store.count(), store.last_seq()) == (2, 2)


def test_another_subscription_s_event_of_the_same_id_is_another(store: EventStore) -> None:
    assert store.append([new_event(7), new_event(7, subscription_id=1), new_event(7, subscription_id=107)]) == [
        Appended(1, False),
        Appended(2, False),
        Appended(3, False),
    ]


# -- places ------------------------------------------------------------------------------------------------------------


def test_looking_back_finds_every_event_of_that_time_or_later(store: EventStore) -> None:
    minutes = [0, 10, 5, 20, 15]  # two receivers' clocks, or their order of commits
    for number, minute in enumerate(minutes, 1):
        store.append([new_event(number, received_at=RECEIVED + timedelta(minutes=minute))])
    for minute in range(-1, 22):
        moment = RECEIVED + timedelta(minutes=minute)
        found = {stored.seq for stored in store.read(store.seq_before(moment))}
        assert {seq for seq, at in enumerate(minutes, 1) if at >= minute} <= found
    assert store.seq_before(RECEIVED + timedelta(minutes=6)) == 1
    assert store.seq_before(RECEIVED + timedelta(days=1)) == 5


# -- handshakes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["89627dd73f2044f2f73815d665bbce33", "", "\x00", "\ud800", "ä" * 5000])
def test_the_last_validation_code_of_a_subscription_is_kept(store: EventStore, code: str) -> None:
    assert store.find_handshake(10**30) is None
    for each in ("an earlier one", code):
        store.record_handshake(Handshake(10**30, "toggl_default", each, RECEIVED))
    assert store.find_handshake(10**30) == Handshake(10**30, "toggl_default", code, RECEIVED)
    assert store.find_handshake(1) is None


# -- inspection ------------------------------------------------------------------------------------------------------


def test_a_healthy_store_says_where_and_what_it_is(store: EventStore) -> None:
    facts = store.inspect(5)
    assert (facts.version, facts.damage) == (4, None)
    assert facts.where
    assert facts.clock_off is None or abs(facts.clock_off) < 60


# -- named readers -----------------------------------------------------------------------------------------------------


def test_a_consumer_moves_on_and_never_back(place: StoreLocation) -> None:
    clock = FakeClock()
    with place.open(clock=clock) as store:
        store.append([new_event(number) for number in range(1, 6)])
        assert store.find_consumer("nightly") is None
        assert store.commit("nightly", 3).seq == 3
        clock.sleep(60)
        assert store.commit("nightly", 2).seq == 3
        consumer = store.find_consumer("nightly")
    assert consumer is not None
    assert (consumer.name, consumer.seq, consumer.updated_at) == ("nightly", 3, utc(clock.now()))


@pytest.mark.parametrize("seq", [-1, 2, 10**12])
def test_a_consumer_cannot_be_where_no_event_has_been(store: EventStore, seq: int) -> None:
    store.append([new_event(1)])
    with pytest.raises(EventNotFound, match=f"no place {seq}; its last is 1"):
        store.commit("nightly", seq)
    assert store.consumers() == []


def test_consumers_are_listed_by_name_and_can_be_forgotten(store: EventStore) -> None:
    for name in ("b", "a", "Z", "ä"):
        store.commit(name, 0)
    assert [consumer.name for consumer in store.consumers()] == ["Z", "a", "b", "ä"]
    assert store.forget_consumer("a")
    assert not store.forget_consumer("a")
    assert [consumer.name for consumer in store.consumers()] == ["Z", "b", "ä"]


@pytest.mark.parametrize("name", ["dag.task", "Ünïcode 設計", "x" * 250])
def test_a_consumer_may_have_any_printable_name(name: str) -> None:
    check_consumer_name(name)


@pytest.mark.parametrize("name", ["", "a\x00", "a\nb", "\t", "\ud800", "x" * 251])
def test_what_is_no_name_is_refused(store: EventStore, name: str) -> None:
    for ask in (store.find_consumer, store.forget_consumer, lambda each: store.commit(each, 0)):
        with pytest.raises(ConfigurationError, match="printable"):
            ask(name)


def test_the_metrics_of_a_store_are_its_last_seq_and_the_lag_of_each_consumer(store: EventStore) -> None:
    store.append([new_event(number) for number in range(1, 6)])
    store.commit("one", 2)
    store.commit("other", 5)
    with recording() as recorder:
        measure_store(store, "")
    assert recorder.of(metrics.LAST_SEQ) == [({"store": "default"}, 5)]
    assert recorder.of(metrics.LAG) == [
        ({"store": "default", "consumer": "one"}, 3),
        ({"store": "default", "consumer": "other"}, 0),
    ]


def test_a_store_that_cannot_be_read_has_no_metrics(store: EventStore) -> None:
    store.close()
    with recording() as recorder:
        measure_store(store, "")
    assert recorder.sent == []


# -- retention ---------------------------------------------------------------------------------------------------------

LATER = RECEIVED + timedelta(days=1)


def test_old_events_are_removed_and_numbers_go_on(store: EventStore) -> None:
    store.append([new_event(number) for number in range(1, 6)])
    store.append([new_event(6, received_at=LATER)])
    assert store.prune(LATER) == 5
    assert [stored.seq for stored in store.read(0)] == [6]
    assert store.prune(LATER + timedelta(days=1)) == 1
    assert (store.count(), store.last_seq()) == (0, 6)
    assert store.seq_before(RECEIVED) == 6
    assert store.append([new_event(7)]) == [Appended(7, False)]


def test_what_a_named_reader_has_not_read_is_kept_however_old_it_is(store: EventStore) -> None:
    store.append([new_event(number) for number in range(1, 6)])
    store.commit("quick", 5)
    store.commit("slow", 2)
    assert store.prune(LATER) == 2
    assert [stored.seq for stored in store.read(0)] == [3, 4, 5]
    store.forget_consumer("slow")
    assert store.prune(LATER) == 3


def test_no_more_is_removed_at_once_than_allowed_the_oldest_first(store: EventStore) -> None:
    store.append([new_event(number) for number in range(1, 6)])
    assert store.prune(LATER, limit=2) == 2
    assert [stored.seq for stored in store.read(0)] == [3, 4, 5]


# -- waiting -----------------------------------------------------------------------------------------------------------


def test_waiting_ends_at_once_where_there_is_an_event(store: EventStore) -> None:
    store.append([new_event(1)])
    assert store.wait(0, 60)


def test_waiting_ends_without_one_when_the_time_is_over(store: EventStore) -> None:
    store.append([new_event(1)])
    begin = time.monotonic()
    assert not store.wait(1, 0.05)
    assert 0.05 <= time.monotonic() - begin < 10


def test_waiting_ends_soon_after_another_has_stored_something(place: StoreLocation, store: EventStore) -> None:
    delays = []
    with place.open() as writer:
        for number in range(1, 6):
            with waiting_in_thread(store, number - 1) as waiting:
                writer.append([new_event(number)])
                stored = time.monotonic()
                assert waiting.result()
                delays.append(time.monotonic() - stored)
    assert sorted(delays)[2] < 0.05


def test_waiting_does_not_end_for_events_that_were_removed(store: EventStore) -> None:
    store.append([new_event(1), new_event(2)])
    store.prune(LATER)
    assert not store.wait(0, 0.05)


def test_closing_ends_the_waiting_of_another_thread(store: EventStore) -> None:
    with waiting_in_thread(store, 0, 60) as waiting:
        store.close()
        assert waiting.result(5) is False


def test_a_closed_store_is_an_error(store: EventStore) -> None:
    store.close()
    store.close()
    with pytest.raises(EventStoreUnavailable, match="closed"):
        store.count()


# -- several at once ---------------------------------------------------------------------------------------------------


def test_threads_may_share_a_store(store: EventStore) -> None:
    def work(worker: int) -> None:
        for number in range(20):
            store.append([new_event(1000 * worker + number + 1)])
            store.read(store.last_seq() - 1)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(work, range(4)))
    assert [stored.seq for stored in store.read(0)] == list(range(1, 81))


def test_those_who_prepare_at_the_same_time_do_not_disturb_each_other(place: StoreLocation) -> None:
    barrier = threading.Barrier(4)

    def work(number: int) -> int:
        with place.build() as store:
            barrier.wait()
            store.prepare()
            return store.append([new_event(number)])[0].seq

    with ThreadPoolExecutor(4) as threads:
        assert sorted(threads.map(work, range(1, 5))) == [1, 2, 3, 4]


def follow(store: EventStore, total: int, *, timeout: float) -> list[int]:
    """Read at the end of a store until so many events came; return their numbers as they were found."""
    seen: list[int] = []
    deadline = time.monotonic() + timeout
    while len(seen) < total:
        assert time.monotonic() < deadline, f"{len(seen)} of {total} events came"
        last = seen[-1] if seen else 0
        if store.wait(last, 1):
            seen += [stored.seq for stored in store.read(last, limit=200)]
    return seen


def check_nothing_is_skipped(place: StoreLocation, writers: int, count: int, timeout: float) -> None:
    with place.open() as store, ExitStack() as stack:
        # Each writes half of what the next one writes too.
        processes = [
            stack.enter_context(writing(place, first=1 + number * count // 2, count=count)) for number in range(writers)
        ]
        threads = stack.enter_context(ThreadPoolExecutor(writers))
        outputs = [threads.submit(begin_writing(process).read) for process in processes]
        total = count + (writers - 1) * count // 2
        seen = follow(store, total, timeout=timeout)
        assert seen == list(range(1, total + 1))
        acknowledged = [
            pair for output in outputs for line in output.result(60).splitlines() for pair in json.loads(line)
        ]
        assert len(acknowledged) == writers * count
        by_id: dict[int, int] = dict(acknowledged)
        assert len(by_id) == len(set(by_id.values())) == total
        assert all(by_id[event_id] == seq for event_id, seq in acknowledged)


def test_a_reader_at_the_end_skips_nothing_of_several_writing_processes(place: StoreLocation) -> None:
    check_nothing_is_skipped(place, writers=3, count=1000, timeout=60)


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_a_reader_at_the_end_skips_nothing_in_200_000_events(place: StoreLocation) -> None:
    check_nothing_is_skipped(place, writers=2, count=133_334, timeout=600)


def test_killing_a_writer_loses_no_acknowledged_event(place: StoreLocation) -> None:
    with place.open() as store, writing(place, first=1, count=10**9, size=3) as process:
        output = begin_writing(process)
        wait_until(lambda: store.last_seq() > 80)
        process.kill()
        acknowledged = [pair for line in output if line.endswith("\n") for pair in json.loads(line)]
        # Others go on at once. A server may still end what the dead one had begun, so only now is read what is there.
        (after,) = store.append([new_event(10**12)])
        stored = {event.seq: event.event.event_id for event in store.read(0, limit=10**6)}
        assert acknowledged
        assert all(stored[seq] == event_id for event_id, seq in acknowledged)
        assert list(stored) == list(range(1, len(stored) + 1))
        assert stored[after.seq] == 10**12
        assert not after.duplicate


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_store_may_be_carried_over_a_fork(store: EventStore) -> None:
    store.append([new_event(1)])
    with ThreadPoolExecutor(1) as thread:
        thread.submit(store.append, [new_event(2)]).result()

    def child() -> None:
        store.append([new_event(3)])
        os._exit(0 if store.count() == 3 else 1)

    process = get_context("fork").Process(target=child)
    process.start()
    process.join(30)
    assert process.exitcode == 0
    assert store.append([new_event(4)]) == [Appended(4, False)]
    assert [stored.event.event_id for stored in store.read(0)] == [1, 2, 3, 4]


# -- migrations --------------------------------------------------------------------------------------------------------


def make_earlier(place: StoreLocation, version: int) -> None:
    """Make the tables as an earlier version of the package did, with a consumer, a note and a mark."""
    statements = [text for step in load_event_migrations(place.engine)[:version] for text in step]
    statements.append(f"insert into {{schema}}.schema_version values ({version}, 0)")
    statements.append("insert into {schema}.consumers values ('reader', 0, 0)")
    if version > 1:
        statements.append("""insert into {schema}.notes values ('a/1', '{{"b": 1}}', 5)""")
        statements.append("""insert into {schema}.marks values ('ping/1', '"x', 6)""")
    if place.engine == "sqlite":
        with closing(sqlite3.connect(place.where, isolation_level=None)) as db:
            for text in statements:
                db.execute(text.format(schema="main"))
    else:
        with psycopg.connect(place.where, autocommit=True) as server:
            server.execute(f"create schema {place.schema}".encode())
            for text in statements:
                names = {"schema": place.schema, "channel": place.schema, "channel_text": f"'{place.schema}'"}
                server.execute(text.format(**names).encode())


@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_store_of_an_earlier_version_is_migrated_and_keeps_what_it_has(place: StoreLocation, version: int) -> None:
    make_earlier(place, version)
    with place.open() as store:
        assert store.inspect(1).version == 4
        assert [one.name for one in store.consumers()] == ["reader"]
        assert store.append([FULL]) == [Appended(1, False)]
        kept = [
            (entry.name, entry.value, entry.recorded_at.microsecond) for entry in store.activity_log.list_status("a")
        ]
        assert kept == ([("a/1", {"b": 1}, 5)] if version > 1 else [])
        mark = store.activity_log.find_status("ping/1")
        assert (mark.value if mark else None) == ('"x' if version > 1 else None)


# -- trouble -----------------------------------------------------------------------------------------------------------


def test_a_store_that_was_never_prepared_is_an_error(place: StoreLocation, tmp_path) -> None:
    if place.engine == "sqlite":
        (tmp_path / "events.sqlite").touch()
    with place.build() as store, pytest.raises(EventStoreDamaged, match="never"):
        store.count()


def test_no_text_of_a_store_shows_how_it_is_reached(place: StoreLocation) -> None:
    with place.build() as store:
        assert "127.0.0.1" not in f"{store!r} {store}"
