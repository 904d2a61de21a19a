from __future__ import annotations

import asyncio
import logging
import random
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import ExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from support.event_stores import RECEIVED, StoreLocation, new_event
from support.metrics import recording
from support.waiting import until, wait_until

from airflow_provider_toggl.core import metrics
from airflow_provider_toggl.core.errors import EventStoreUnavailable
from airflow_provider_toggl.core.events import tail as module
from airflow_provider_toggl.core.events.message import EventBatch
from airflow_provider_toggl.core.events.model import NewEvent, StoredEvent
from airflow_provider_toggl.core.events.sqlite.engine import SqliteEventStore
from airflow_provider_toggl.core.events.store import EventStore
from airflow_provider_toggl.core.events.tail import MAX_QUEUE, Follower, TailReader, shared_tail
from airflow_provider_toggl.core.events.tail_probe import PROBE, REPLY


def event(number: int) -> NewEvent:
    return new_event(number, body=b'{"event_id":%d,"subscription_id":10713}' % number)


def append(store: EventStore, first: int, count: int) -> None:
    store.append([event(number) for number in range(first, first + count)])


async def collect(follower: Follower, last_seq: int, pause: float = 0) -> list[int]:
    """Return the numbers of the events that come, up to a last one."""
    seen: list[int] = []
    async for batch in follower:
        seen += [stored.seq for stored in batch.events]
        if seen[-1] >= last_seq:
            return seen
        if pause:
            await asyncio.sleep(pause)
    return seen


def run(work: Coroutine[Any, Any, Any], timeout: float = 60) -> Any:
    return asyncio.run(asyncio.wait_for(work, timeout))


@asynccontextmanager
async def following(store: EventStore, after: int | None = 0) -> AsyncIterator[tuple[TailReader, Follower]]:
    with TailReader(store) as tail, tail.subscribe(after) as follower:
        yield tail, follower
    await asyncio.to_thread(tail.join, 30)


class CountingStore(SqliteEventStore):
    """Counts its queries, and can be made to fail."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.asked: Counter[str] = Counter()
        self.trouble: EventStoreUnavailable | None = None
        self.broken_after: int | None = None

    def read(self, after: int, limit: int = 500) -> list[StoredEvent]:
        self.asked["read"] += 1
        if after == self.broken_after:
            raise EventStoreUnavailable("This part is broken.")
        self._ask()
        return super().read(after, limit)

    def last_seq(self) -> int:
        self.asked["last_seq"] += 1
        self._ask()
        return super().last_seq()

    def wait(self, after: int, timeout: float) -> bool:
        self.asked["wait"] += 1
        self._ask()
        return super().wait(after, timeout)

    def _ask(self) -> None:
        if self.trouble:
            raise self.trouble


@pytest.fixture
def counting(tmp_path) -> Iterator[CountingStore]:
    with CountingStore(str(tmp_path / "events.sqlite")) as store:
        store.prepare()
        yield store


@pytest.fixture
def store(tmp_path) -> Iterator[EventStore]:
    """An SQLite store: what does not depend on the engine is tested with one. ``place`` has both."""
    with SqliteEventStore(tmp_path / "events.sqlite") as opened:
        opened.prepare()
        yield opened


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let threads end soon: most of these tests wait for that."""
    monkeypatch.setattr(module, "WAIT", 0.2)


# -- new and earlier events ------------------------------------------------------------------------------------------


def test_new_events_come_in_order_with_their_messages(store: EventStore) -> None:
    async def work() -> EventBatch:
        async with following(store) as (_, follower):
            waiting = asyncio.ensure_future(follower.__anext__())
            await asyncio.sleep(0.05)
            assert not waiting.done()
            append(store, 1, 3)
            return await waiting

    batch = run(work())
    assert (batch.first_seq, batch.last_seq) == (1, 3)
    assert [stored.event for stored in batch.events] == [event(1), event(2), event(3)]
    assert [message.event_id for message in batch.messages] == [1, 2, 3]


@pytest.mark.parametrize("after", [0, 1, 700, 1199, 1200])
def test_a_follower_gets_earlier_events_and_then_new_ones(store: EventStore, after: int) -> None:
    append(store, 1, 1200)

    async def work() -> list[int]:
        async with following(store, after) as (_, follower):
            collecting = asyncio.ensure_future(collect(follower, 1300))
            for first in range(1201, 1301, 20):
                await asyncio.to_thread(append, store, first, 20)
            return await collecting

    assert run(work()) == list(range(after + 1, 1301))


def test_a_follower_without_an_offset_begins_at_the_end(store: EventStore) -> None:
    append(store, 1, 5)

    async def work() -> list[int]:
        async with following(store, None) as (tail, follower):
            await until(lambda: tail._end is not None)
            append(store, 6, 5)
            return await collect(follower, 10)

    assert run(work()) == [6, 7, 8, 9, 10]


def test_an_offset_may_be_after_the_end(store: EventStore) -> None:
    async def work() -> list[int]:
        async with following(store, 7) as (_, follower):
            for first in (1, 6):
                append(store, first, 5)
            return await collect(follower, 10)

    assert run(work()) == [8, 9, 10]


def test_an_event_with_an_unreadable_body_is_delivered(store: EventStore) -> None:
    store.append([new_event(1, body=b"{"), event(2)])

    async def work() -> EventBatch:
        async with following(store) as (_, follower):
            return await follower.__anext__()

    odd, good = run(work()).messages
    assert odd.anomaly == "unreadable: The body is not JSON."
    assert good.event_id == 2


def test_events_that_were_removed_before_they_were_read_are_skipped(store: EventStore) -> None:
    append(store, 1, 5)
    store.prune(RECEIVED + timedelta(days=1))

    async def work() -> list[int]:
        async with following(store, 2) as (_, follower):
            collecting = asyncio.ensure_future(collect(follower, 6))
            await asyncio.sleep(0.1)
            append(store, 6, 1)
            return await collecting

    assert run(work()) == [6]


# -- many followers ---------------------------------------------------------------------------------------------------


def test_all_followers_get_the_same_objects_by_as_many_queries_as_one(
    counting: CountingStore,
) -> None:
    async def work(count: int) -> tuple[list[EventBatch], Counter[str]]:
        place = counting.last_seq()
        counting.asked.clear()
        with TailReader(counting) as tail, ExitStack() as stack:
            followers = [stack.enter_context(tail.subscribe(place)) for _ in range(count)]
            waiting = [asyncio.ensure_future(one.__anext__()) for one in followers]
            await until(lambda: tail._end is not None)
            append(counting, place + 1, 3)
            batches = await asyncio.gather(*waiting)
            asked = counting.asked.copy()
        await asyncio.to_thread(tail.join, 30)
        return batches, asked

    _, asked_for_one = run(work(1))
    batches, asked_for_many = run(work(1000))
    assert all(batch is batches[0] for batch in batches)
    assert asked_for_many["read"] == asked_for_one["read"] == 1
    assert asked_for_many.total() <= asked_for_one.total() + 2


def test_followers_that_are_behind_share_queries(counting: CountingStore) -> None:
    append(counting, 1, 1000)

    async def work() -> list[list[int]]:
        with TailReader(counting) as tail, ExitStack() as stack:
            followers = [stack.enter_context(tail.subscribe(place)) for place in range(0, 1000, 5)]
            seen = await asyncio.gather(*(collect(one, 1000) for one in followers))
        await asyncio.to_thread(tail.join, 30)
        return seen

    assert run(work()) == [list(range(place + 1, 1001)) for place in range(0, 1000, 5)]
    assert counting.asked["read"] < 60


def test_a_slow_follower_misses_nothing_holds_little_and_delays_nobody(store: EventStore) -> None:
    total = 4000

    async def work() -> tuple[list[int], list[int], int]:
        with TailReader(store) as tail, tail.subscribe(0) as slow, tail.subscribe(0) as quick:
            most = 0
            collecting = asyncio.ensure_future(collect(quick, total))
            for first in range(1, total + 1, 100):
                await asyncio.to_thread(append, store, first, 100)
                most = max(most, len(slow.queue))
            quickly = await collecting
            slowly = await collect(slow, total, pause=0.001)
        await asyncio.to_thread(tail.join, 30)
        return quickly, slowly, most

    quickly, slowly, most = run(work())
    assert quickly == slowly == list(range(1, total + 1))
    assert most <= MAX_QUEUE


def test_no_follower_misses_an_event_or_gets_one_twice_whatever_the_timing(place: StoreLocation) -> None:
    rng = random.Random(1)
    total = 1500

    def write(store: EventStore) -> None:
        number = 1
        while number <= total:
            count = min(rng.randint(1, 40), total + 1 - number)
            append(store, number, count)
            number += count
            time.sleep(rng.random() * 0.004)

    async def read(tail: TailReader, later: float, after: int, pause: float) -> list[int]:
        await asyncio.sleep(later)
        with tail.subscribe(after) as follower:
            return await collect(follower, total, pause)

    async def work(tail: TailReader) -> None:
        plans = [(rng.random() * 0.3, rng.randrange(total // 2), rng.random() * 0.02) for _ in range(25)]
        found = await asyncio.gather(*(read(tail, *plan) for plan in plans))
        assert found == [list(range(after + 1, total + 1)) for _, after, _ in plans]

    with place.open() as store:
        writer = threading.Thread(target=write, args=(store,))
        writer.start()
        with TailReader(place.open) as tail:
            run(work(tail))
        writer.join()
        tail.join(30)


# -- the event loop ----------------------------------------------------------------------------------------------------


def test_a_cancelled_wait_loses_nothing(store: EventStore) -> None:
    async def work() -> list[int]:
        async with following(store) as (_, follower):
            for _ in range(20):
                waiting = asyncio.ensure_future(follower.__anext__())
                await asyncio.sleep(0.002)
                waiting.cancel()
                await asyncio.wait([waiting])
                assert waiting.cancelled()
            append(store, 1, 1)
            await until(lambda: bool(follower.queue))
            return await collect(follower, 1)

    assert run(work()) == [1]


def test_a_closed_event_loop_does_not_affect_others(store: EventStore) -> None:
    tail = TailReader(store)
    left = tail.subscribe(0)

    async def leave() -> None:
        waiting = asyncio.ensure_future(left.__anext__())
        await until(lambda: left.loop is not None)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)

    async def stay() -> list[int]:
        with tail.subscribe(0) as follower:
            append(store, 1, 3)
            return await collect(follower, 3)

    run(leave())
    assert run(stay()) == [1, 2, 3]
    wait_until(lambda: left._ended)  # which may be after the others were woken
    assert run(collect(left, 3)) == []
    tail.close()
    tail.join(30)


# -- closing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("close", [lambda tail, _: tail.close(), lambda _, follower: follower.close()])
def test_closing_ends_a_waiting_follower(store: EventStore, close: Callable[[TailReader, Follower], None]) -> None:
    async def work() -> list[int]:
        async with following(store) as (tail, follower):
            waiting = asyncio.ensure_future(collect(follower, 1))
            await asyncio.sleep(0.05)
            close(tail, follower)
            return await waiting

    assert run(work(), 10) == []


def test_a_closed_reader_leaves_no_thread_and_closes_only_a_store_that_it_opened(place: StoreLocation) -> None:
    before = threading.active_count()
    with place.open() as store:
        opened: list[EventStore] = []

        def build() -> EventStore:
            opened.append(place.open())
            return opened[-1]

        for source in (store, build):
            tail = TailReader(source)
            tail.subscribe(0)
            wait_until(lambda tail=tail: tail._end is not None)
            tail.close()
            tail.join(30)
            assert tail.closed
            assert threading.active_count() == before
        assert store.count() == 0
        with pytest.raises(EventStoreUnavailable, match="closed"):
            opened[0].count()
        assert run(collect(tail.subscribe(0), 1)) == []


def test_an_unexpected_error_is_raised_in_the_follower(counting: CountingStore) -> None:
    def build() -> EventStore:
        raise ZeroDivisionError

    async def work() -> None:
        tail = TailReader(build)
        with pytest.raises(ZeroDivisionError):
            await tail.subscribe(0).__anext__()
        await asyncio.to_thread(tail.join, 30)
        assert tail.closed

    run(work())


# -- outages -----------------------------------------------------------------------------------------------------------


def messages_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.name == module.__name__]


def test_an_outage_is_logged_once_and_loses_nothing(counting: CountingStore, caplog: pytest.LogCaptureFixture) -> None:
    async def work() -> list[int]:
        async with following(counting) as (_, follower):
            collecting = asyncio.ensure_future(collect(follower, 6))
            append(counting, 1, 3)
            await until(lambda: not follower.queue and follower.offset == 3)
            counting.trouble = EventStoreUnavailable("It is down.")
            await until(lambda: bool(messages_of(caplog)))
            append(counting, 4, 3)
            await asyncio.sleep(0.5)
            counting.trouble = None
            return await collecting

    with caplog.at_level(logging.WARNING):
        assert run(work()) == [1, 2, 3, 4, 5, 6]
    assert messages_of(caplog)[:1] == ["Events cannot be read; trying again until they can: It is down."]
    assert len(messages_of(caplog)) <= 2


def test_an_outage_of_both_threads_is_logged_once(counting: CountingStore, caplog: pytest.LogCaptureFixture) -> None:
    append(counting, 1, 3)

    async def work() -> None:
        async with following(counting) as (tail, follower):
            await collect(follower, 3)
            counting.trouble = EventStoreUnavailable("It is down.")
            await until(lambda: bool(messages_of(caplog)))
            before = counting.asked["read"]
            with tail.subscribe(0) as behind:
                await until(lambda: counting.asked["read"] >= before + 2)
                counting.trouble = None
                await collect(behind, 3)
            append(counting, 4, 1)
            await collect(follower, 4)

    with caplog.at_level(logging.WARNING), recording() as recorder:
        run(work())
    assert recorder.of(metrics.TAIL_OUTAGES) == [({}, 1)]
    assert messages_of(caplog) == [
        "Events cannot be read; trying again until they can: It is down.",
        "Events can be read again.",
    ]


def test_a_store_that_cannot_be_opened_is_opened_again(place: StoreLocation) -> None:
    tries = 0

    def build() -> EventStore:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise EventStoreUnavailable("Not yet.")
        return place.open()

    async def work() -> list[int]:
        with place.open() as store:
            append(store, 1, 2)
        with TailReader(build) as tail, tail.subscribe(0) as follower:
            seen = await collect(follower, 2)
        await asyncio.to_thread(tail.join, 30)
        return seen

    assert run(work()) == [1, 2]
    assert tries == 3


def test_a_part_that_cannot_be_read_blocks_only_the_followers_that_need_it(counting: CountingStore) -> None:
    append(counting, 1, 10)
    counting.broken_after = 2

    async def work() -> list[int]:
        with TailReader(counting) as tail, tail.subscribe(2), tail.subscribe(5) as other:
            seen = await collect(other, 10)
            append(counting, 11, 1)
            seen += await collect(other, 11)
        await asyncio.to_thread(tail.join, 30)
        return seen

    assert run(work()) == [6, 7, 8, 9, 10, 11]


def test_a_store_that_was_replaced_is_followed_from_its_end(
    counting: CountingStore, caplog: pytest.LogCaptureFixture
) -> None:
    append(counting, 1, 5)

    async def work() -> list[int]:
        async with following(counting, 5) as (tail, follower):
            await until(lambda: tail._end == 5)
            counting.trouble = EventStoreUnavailable("It is down.")
            await until(lambda: bool(messages_of(caplog)))
            for path in counting.path.parent.iterdir():
                path.unlink()
            with SqliteEventStore(counting.path) as new:
                new.prepare()
                append(new, 1, 1)
            counting.trouble = None
            await until(lambda: tail._end == 1)
            append(counting, 2, 2)
            return await collect(follower, 3)

    assert run(work()) == [2, 3]
    assert any("was replaced" in message for message in messages_of(caplog))


# -- one reader for a process ----------------------------------------------------------------------------------------


def test_a_key_has_one_reader_until_all_its_users_have_closed_it(place: StoreLocation) -> None:
    first, second = shared_tail("a", place.open), shared_tail("a", place.open)
    other = shared_tail("b", place.open)
    assert first is second
    assert first is not other
    first.close()
    assert not first.closed
    assert shared_tail("a", place.open) is second
    second.close()
    second.close()
    assert second.closed
    third = shared_tail("a", place.open)
    assert third is not second
    for tail in (third, other):
        tail.close()
    assert all(tail.closed for tail in (third, other))


def test_a_reader_answers_probes(place: StoreLocation) -> None:
    async def ask() -> None:
        with place.open() as store, place.open() as asking:
            async with following(store):
                for token in ("first", "second"):
                    asking.activity_log.set_status(PROBE, token, RECEIVED)
                    await until(
                        lambda: (
                            (
                                asking.activity_log.find_status(REPLY) or asking.activity_log.find_status(PROBE)
                            ).recorded_at
                            != RECEIVED
                        )
                    )
                    await until(lambda token=token: asking.activity_log.find_status(REPLY).value == token)
            assert asking.count() == 0

    run(ask())
