from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from support.waiting import until
from support.webhook_events import change_event

from airflow_provider_toggl.core.errors import EventStoreUnavailable, TogglError
from airflow_provider_toggl.core.events.debounce import ChangeBatch, Debounce
from airflow_provider_toggl.core.events.filters import EventFilter
from airflow_provider_toggl.core.events.search import EventQuery
from airflow_provider_toggl.core.events.sqlite.engine import SqliteEventStore
from airflow_provider_toggl.core.events.tail import TailReader
from airflow_provider_toggl.triggers import watcher as module
from airflow_provider_toggl.triggers.watcher import EventWatcher, WatcherStreamProducer

pytestmark = pytest.mark.anyio

ONE_EACH = Debounce(max_events=1)


def watch(events: SqliteEventStore, tail: TailReader, debounce: Debounce = ONE_EACH, **wanted: Any) -> EventWatcher:
    query = EventQuery(EventFilter.from_dict(wanted))
    return EventWatcher(events, tail, query, consumer="watcher:x", debounce=debounce, start=0)


def place(events: SqliteEventStore) -> int:
    consumer = events.find_consumer("watcher:x")
    return consumer.seq if consumer else -1


@contextlib.asynccontextmanager
async def reading(one: EventWatcher) -> AsyncIterator[list[ChangeBatch]]:
    """Read in the background; yields the list of batches."""
    found: list[ChangeBatch] = []

    async def read() -> None:
        async with contextlib.aclosing(one.batches()) as batches:
            async for batch in batches:
                found.append(batch)  # noqa: PERF401 - it never ends

    task = asyncio.create_task(read())
    try:
        yield found
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_the_start_is_committed_before_anything_comes(events: SqliteEventStore, tail: TailReader):
    async with reading(watch(events, tail)):
        await until(lambda: place(events) == 0)


async def test_only_acknowledged_batches_are_committed(events: SqliteEventStore, tail: TailReader, monkeypatch: Any):
    monkeypatch.setattr(module, "IDLE_COMMIT_SECONDS", 0.01)
    one = watch(events, tail)
    async with reading(one) as found:
        await asyncio.to_thread(events.append, [change_event(1)])
        await until(lambda: len(found) == 1)
        await asyncio.to_thread(events.append, [change_event(2)])
        await until(lambda: len(found) == 2)
        assert place(events) == 0
        one.acknowledge(1)
        await until(lambda: place(events) == 1)
        one.acknowledge(2)
        await until(lambda: place(events) == 2)


async def test_events_that_do_not_match_are_committed_without_an_acknowledgement(
    events: SqliteEventStore, tail: TailReader, monkeypatch: Any
):
    monkeypatch.setattr(module, "IDLE_COMMIT_SECONDS", 0.01)
    async with reading(watch(events, tail, entities="tag")) as found:
        await asyncio.to_thread(events.append, [change_event(number) for number in range(1, 6)])
        await until(lambda: place(events) == 5)
    assert not found


async def test_an_incomplete_batch_is_not_committed(events: SqliteEventStore, tail: TailReader, monkeypatch: Any):
    monkeypatch.setattr(module, "IDLE_COMMIT_SECONDS", 0.01)
    one = watch(events, tail, Debounce(quiet_seconds=60, max_events=4))
    async with reading(one) as found:
        await asyncio.to_thread(events.append, [change_event(1), change_event(2), change_event(3)])
        await until(lambda: one._read == 3)
        await one.commit()
        assert place(events) == 0
        await asyncio.to_thread(events.append, [change_event(4)])
        await until(lambda: found)
    assert (found[0].first_seq, found[0].count) == (1, 4)


async def test_an_acknowledgement_with_a_delay_is_committed_after_it(
    events: SqliteEventStore, tail: TailReader, monkeypatch: Any
):
    clock = SimpleNamespace(now=100.0, monotonic=lambda: clock.now)
    monkeypatch.setattr(module, "time", clock)
    one = watch(events, tail)
    async with reading(one) as found:
        await asyncio.to_thread(events.append, [change_event(1)])
        await until(lambda: found)
        one.acknowledge(1, delay=5)
        for seconds, seq in ((4.9, 0), (0.1, 1)):
            clock.now += seconds
            await one.commit()
            assert place(events) == seq


async def test_a_failed_commit_is_repeated(
    events: SqliteEventStore, tail: TailReader, monkeypatch: Any, caplog: pytest.LogCaptureFixture
):
    commit, failures = events.commit, [EventStoreUnavailable("away")] * 2

    def fail_first(name: str, seq: int) -> Any:
        if seq and failures:
            raise failures.pop()
        return commit(name, seq)

    monkeypatch.setattr(events, "commit", fail_first)

    with caplog.at_level(logging.INFO):
        one = watch(events, tail)
        async with reading(one) as found:
            await asyncio.to_thread(events.append, [change_event(1)])
            await until(lambda: found)
            one.acknowledge(1)
            await one.commit()
            await one.commit()
            assert place(events) == 0
            await one.commit()
            assert place(events) == 1
    lines = [vars(record) for record in caplog.records if record.name.endswith("watcher")]
    assert {(line["by"], line["consumer"]) for line in lines} == {("watch", "watcher:x")}
    assert [line["seq"] for line in lines] == [0, 1, 1]


def outcome(**counts: int) -> SimpleNamespace:
    return SimpleNamespace(is_clean=counts == {"acked": 1})


async def test_a_batch_that_airflow_did_not_store_ends_the_stream_and_is_not_committed(
    events: SqliteEventStore, tail: TailReader
):
    @contextlib.asynccontextmanager
    async def open_watcher() -> AsyncIterator[EventWatcher]:
        yield watch(events, tail)

    producer = WatcherStreamProducer(open_watcher)
    events.append([change_event(1), change_event(2)])
    async with contextlib.aclosing(producer.open_stream()) as stream:
        payload, committed = await anext(stream)
        assert payload["first_seq"] == 1
        with pytest.raises(TogglError):
            await producer.advance([SimpleNamespace(broker_payload=committed, outcome=outcome(failed=1))])
        assert place(events) == 0
        assert producer.get_advance_lane(committed) is None
        await producer.advance([SimpleNamespace(broker_payload=committed, outcome=outcome(acked=1))])
        assert place(events) == committed
    await producer.aclose()
