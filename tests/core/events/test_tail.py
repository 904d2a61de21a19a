from __future__ import annotations

import asyncio
import logging
import random
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from datetime import timedelta

import pytest
from support.event_stores import RECEIVED, StoreLocation, new_event
from support.metrics import recording
from support.waiting import until, wait_until

from airflow_provider_toggl.core import metrics
from airflow_provider_toggl.core.errors import EventStoreError, EventStoreUnavailable
from airflow_provider_toggl.core.events import tail as module
from airflow_provider_toggl.core.events.message import EventBatch
from airflow_provider_toggl.core.events.model import NewEvent, StoredEvent
from airflow_provider_toggl.core.events.sqlite.engine import SqliteEventStore
from airflow_provider_toggl.core.events.store import EventStore
from airflow_provider_toggl.core.events.tail import (
    MAX_BATCH,
    MAX_QUEUE,
    PROBE,
    REPLY,
    Follower,
    ProbeResponder,
    TailReader,
    shared_tail,
)

pytestmark = pytest.mark.anyio


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


@asynccontextmanager
async def reading(source: EventStore | Callable[[], EventStore]) -> AsyncIterator[TailReader]:
    with TailReader(source) as tail:
        yield tail
    await asyncio.to_thread(tail.join, 30)


@asynccontextmanager
async def following(store: EventStore, after: int | None = 0) -> AsyncIterator[tuple[TailReader, Follower]]:
    async with reading(store) as tail:
        with tail.subscribe(after) as follower:
            yield tail, follower


class CountingStore(SqliteEventStore):
    """Counts its queries, and can be made to fail."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.asked: Counter[str] = Counter()
        self.trouble: EventStoreUnavailable | None = None
        self.broken_after: int | None = None

    def read(self, after: int, limit: int = 500) -> list[StoredEvent]:
        self._ask("read")
        if after == self.broken_after:
            raise EventStoreUnavailable("This part is broken.")
        return super().read(after, limit)

    def last_seq(self) -> int:
        self._ask("last_seq")
        return super().last_seq()

    def wait(self, after: int, timeout: float) -> bool:
        self._ask("wait")
        return super().wait(after, timeout)

    def _ask(self, question: str) -> None:
        self.asked[question] += 1
        if self.trouble:
            raise self.trouble


@pytest.fixture
def store(tmp_path) -> Iterator[CountingStore]:
    """An SQLite store: what does not depend on the engine is tested with one. ``place`` has both."""
    with CountingStore(str(tmp_path / "events.sqlite")) as opened:
        opened.prepare()
        yield opened


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let threads end soon: most of these tests wait for that."""
    monkeypatch.setattr(module, "WAIT", 0.03)
    monkeypatch.setattr(module, "FIRST_PAUSE", 0.01)


# -- new and earlier events ------------------------------------------------------------------------------------------


async def test_new_events_come_in_order_with_their_messages(store: CountingStore) -> None:
    async with following(store) as (_, follower):
        waiting = asyncio.ensure_future(follower.__anext__())
        await until(lambda: store.asked["wait"] > 1)
        assert not waiting.done()
        append(store, 1, 3)
        batch = await waiting
    assert (batch.first_seq, batch.last_seq) == (1, 3)
    assert [stored.event for stored in batch.events] == [event(1), event(2), event(3)]
    assert [message.event_id for message in batch.messages] == [1, 2, 3]


@pytest.mark.parametrize("after", [0, 1, 700, 1199, 1200])
async def test_a_follower_gets_earlier_events_and_then_new_ones(store: CountingStore, after: int) -> None:
    append(store, 1, 1200)
    async with following(store, after) as (_, follower):
        collecting = asyncio.ensure_future(collect(follower, 1300))
        for first in range(1201, 1301, 20):
            await asyncio.to_thread(append, store, first, 20)
        assert await collecting == list(range(after + 1, 1301))


async def test_a_follower_without_an_offset_begins_at_the_end(store: CountingStore) -> None:
    append(store, 1, 5)
    async with following(store, None) as (tail, follower):
        await until(lambda: tail._end is not None)
        append(store, 6, 5)
        assert await collect(follower, 10) == [6, 7, 8, 9, 10]


async def test_an_offset_may_be_after_the_end(store: CountingStore) -> None:
    async with following(store, 7) as (_, follower):
        for first in (1, 6):
            append(store, first, 5)
        assert await collect(follower, 10) == [8, 9, 10]


async def test_states_can_be_found_once_the_store_is_open(store: CountingStore) -> None:
    append(store, 1, 1)
    async with reading(store) as tail:
        with pytest.raises(EventStoreUnavailable, match="not open"):
            tail.find_states(store.read(0))
        tail.subscribe()
        await until(lambda: tail._end is not None)
        assert list(tail.find_states(store.read(0))) == [1]


async def test_an_event_with_an_unreadable_body_is_delivered(store: CountingStore) -> None:
    store.append([new_event(1, body=b"{"), event(2)])
    async with following(store) as (_, follower):
        odd, good = (await follower.__anext__()).messages
    assert odd.anomalies == ("unreadable: The body is not JSON.",)
    assert good.event_id == 2


async def test_events_that_were_removed_before_they_were_read_are_skipped(store: CountingStore) -> None:
    append(store, 1, 5)
    store.prune(RECEIVED + timedelta(days=1))
    async with following(store, 2) as (_, follower):
        await until(lambda: follower.offset == 5)
        append(store, 6, 1)
        assert await collect(follower, 6) == [6]


# -- many followers ---------------------------------------------------------------------------------------------------


async def test_all_followers_get_the_same_objects_by_as_many_queries_as_one(store: CountingStore) -> None:
    async def follow(count: int) -> tuple[list[EventBatch], Counter[str]]:
        end = store.last_seq()
        store.asked.clear()
        async with reading(store) as tail:
            with ExitStack() as stack:
                followers = [stack.enter_context(tail.subscribe(end)) for _ in range(count)]
                waiting = [asyncio.ensure_future(one.__anext__()) for one in followers]
                await until(lambda: tail._end is not None)
                append(store, end + 1, 3)
                return await asyncio.gather(*waiting), store.asked.copy()

    _, asked_for_one = await follow(1)
    batches, asked_for_many = await follow(1000)
    assert all(batch is batches[0] for batch in batches)
    assert asked_for_many["read"] == asked_for_one["read"] == 1
    assert asked_for_many["last_seq"] == asked_for_one["last_seq"]


async def test_followers_that_are_behind_share_queries(store: CountingStore) -> None:
    append(store, 1, 1000)
    async with reading(store) as tail:
        with ExitStack() as stack:
            followers = [stack.enter_context(tail.subscribe(after)) for after in range(0, 1000, 5)]
            seen = await asyncio.gather(*(collect(one, 1000) for one in followers))
    assert seen == [list(range(after + 1, 1001)) for after in range(0, 1000, 5)]
    assert store.asked["read"] < 60


async def test_a_slow_follower_misses_nothing_holds_little_and_delays_nobody(store: CountingStore) -> None:
    total, most = 4000, 0
    async with reading(store) as tail:
        with tail.subscribe(0) as slow, tail.subscribe(0) as quick:
            collecting = asyncio.ensure_future(collect(quick, total))
            for first in range(1, total + 1, 100):
                await asyncio.to_thread(append, store, first, 100)
                most = max(most, len(slow.queue))
            assert await collecting == await collect(slow, total, pause=0.001) == list(range(1, total + 1))
    assert most <= MAX_QUEUE


async def test_no_follower_misses_an_event_or_gets_one_twice_whatever_the_timing(place: StoreLocation) -> None:
    rng, total = random.Random(1), 1500
    plans = [(rng.random() * 0.3, rng.randrange(total // 2), rng.random() * 0.02) for _ in range(25)]

    async def write(store: EventStore) -> None:
        number = 1
        while number <= total:
            count = min(rng.randint(1, 40), total + 1 - number)
            await asyncio.to_thread(append, store, number, count)
            number += count
            await asyncio.sleep(rng.random() * 0.004)  # so that followers join among the events

    async def read(tail: TailReader, later: float, after: int, pause: float) -> list[int]:
        await asyncio.sleep(later)
        with tail.subscribe(after) as follower:
            return await collect(follower, total, pause)

    with place.open() as store:
        async with reading(place.open) as tail:
            _, *found = await asyncio.gather(write(store), *(read(tail, *plan) for plan in plans))
    assert found == [list(range(after + 1, total + 1)) for _, after, _ in plans]


# -- the event loop ----------------------------------------------------------------------------------------------------


async def test_a_cancelled_wait_loses_nothing(store: CountingStore) -> None:
    async with following(store) as (_, follower):
        for _ in range(20):
            waiting = asyncio.ensure_future(follower.__anext__())
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.wait([waiting])
            assert waiting.cancelled()
        append(store, 1, 1)
        await until(lambda: bool(follower.queue))
        assert await collect(follower, 1) == [1]


async def test_a_follower_that_is_far_behind_lets_other_tasks_run(store: CountingStore) -> None:
    append(store, 1, 2 * MAX_BATCH)
    turns: list[int] = []
    async with following(store) as (_, follower):
        for number in (1, 2):
            await until(lambda: bool(follower.queue))
            asyncio.get_running_loop().call_soon(turns.append, number)
            await follower.__anext__()
            assert turns[-1] == number


def test_a_closed_event_loop_does_not_affect_others(store: CountingStore) -> None:
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

    asyncio.run(leave())
    assert asyncio.run(stay()) == [1, 2, 3]
    wait_until(lambda: left._ended)  # which may be after the others were woken
    assert asyncio.run(collect(left, 3)) == []
    tail.close()
    tail.join(30)


# -- closing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("close", [lambda tail, _: tail.close(), lambda _, follower: follower.close()])
async def test_closing_ends_a_waiting_follower(
    store: CountingStore, close: Callable[[TailReader, Follower], None]
) -> None:
    async with following(store) as (tail, follower):
        waiting = asyncio.ensure_future(collect(follower, 1))
        await until(lambda: follower.loop is not None)
        close(tail, follower)
        assert await asyncio.wait_for(waiting, 10) == []


async def test_a_closed_reader_leaves_no_thread_and_closes_only_a_store_that_it_opened(place: StoreLocation) -> None:
    opened: list[EventStore] = []

    def build() -> EventStore:
        opened.append(place.open())
        return opened[-1]

    with place.open() as store:
        for source in (store, build):
            async with reading(source) as tail:
                tail.subscribe(0)
                await until(lambda: tail._end is not None)
            assert tail.closed
            assert not [one for one in threading.enumerate() if one.name.startswith("toggl-read")]
        assert store.count() == 0
        with pytest.raises(EventStoreUnavailable, match="closed"):
            opened[0].count()
        assert await collect(tail.subscribe(0), 1) == []


async def test_an_unexpected_error_is_raised_in_the_follower() -> None:
    def build() -> EventStore:
        raise ZeroDivisionError

    async with reading(build) as tail:
        with pytest.raises(ZeroDivisionError):
            await tail.subscribe(0).__anext__()
        assert tail.closed


# -- outages -----------------------------------------------------------------------------------------------------------

DOWN = "Events cannot be read; trying again until they can: It is down."


def messages_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.name == module.__name__]


async def fail(store: CountingStore, caplog: pytest.LogCaptureFixture) -> None:
    """Make the store fail, and wait until its reader has noticed."""
    store.trouble = EventStoreUnavailable("It is down.")
    await until(lambda: messages_of(caplog))


async def test_an_outage_of_both_threads_is_logged_once_and_loses_nothing(
    store: CountingStore, caplog: pytest.LogCaptureFixture
) -> None:
    append(store, 1, 3)
    with caplog.at_level(logging.WARNING), recording() as recorder:
        async with following(store) as (tail, follower):
            assert await collect(follower, 3) == [1, 2, 3]
            await fail(store, caplog)
            append(store, 4, 1)
            tried = store.asked["read"]
            with tail.subscribe(0) as behind:
                await until(lambda: store.asked["read"] >= tried + 2)
                store.trouble = None
                assert await collect(behind, 4) == [1, 2, 3, 4]
            assert await collect(follower, 4) == [4]
            await until(lambda: not tail._outages)
    assert recorder.of(metrics.TAIL_OUTAGES) == [({}, 1)]
    assert messages_of(caplog) == [DOWN, "Events can be read again."]


async def test_a_store_that_cannot_be_opened_is_opened_again(place: StoreLocation) -> None:
    failures = [EventStoreUnavailable("Not yet.")] * 2

    def build() -> EventStore:
        if failures:
            raise failures.pop()
        return place.open()

    with place.open() as store:
        append(store, 1, 2)
    async with reading(build) as tail:
        assert await collect(tail.subscribe(0), 2) == [1, 2]
    assert not failures


async def test_a_part_that_cannot_be_read_blocks_only_the_followers_that_need_it(store: CountingStore) -> None:
    append(store, 1, 10)
    store.broken_after = 2
    async with reading(store) as tail:
        with tail.subscribe(2), tail.subscribe(5) as other:
            assert await collect(other, 10) == [6, 7, 8, 9, 10]
            append(store, 11, 1)
            assert await collect(other, 11) == [11]


async def test_a_store_that_was_replaced_is_followed_from_its_end(
    store: CountingStore, caplog: pytest.LogCaptureFixture
) -> None:
    append(store, 1, 5)
    async with following(store, 5) as (tail, follower):
        await until(lambda: tail._end == 5)
        await fail(store, caplog)
        for path in store.path.parent.iterdir():
            path.unlink()
        with SqliteEventStore(store.path) as new:
            new.prepare()
            append(new, 1, 1)
        store.trouble = None
        await until(lambda: tail._end == 1)
        append(store, 2, 2)
        assert await collect(follower, 3) == [2, 3]
    assert any("was replaced" in message for message in messages_of(caplog))


# -- one reader for a process ----------------------------------------------------------------------------------------


def test_a_key_has_one_reader_until_all_its_users_have_closed_it(place: StoreLocation) -> None:
    first, second, other = (shared_tail(key, place.open) for key in "aab")
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
        assert tail.closed


# -- probes ------------------------------------------------------------------------------------------------------------


def reply(store: EventStore) -> object:
    found = store.activity_log.find_status(REPLY)
    return found.value if found else None


async def test_a_reader_answers_probes(place: StoreLocation) -> None:
    with place.open() as store, place.open() as asking:
        async with following(store):
            for token in ("first", "second"):
                asking.activity_log.set_status(PROBE, token, RECEIVED)
                await until(lambda: reply(asking) == token)  # noqa: B023
        assert asking.activity_log.find_status(REPLY).recorded_at != RECEIVED
        assert asking.count() == 0


def test_the_store_is_checked_for_a_probe_only_after_the_pause(store: CountingStore) -> None:
    responder = ProbeResponder(3600)
    responder.answer(store)
    store.activity_log.set_status(PROBE, "late", RECEIVED)
    responder.answer(store)
    assert reply(store) is None


def test_a_probe_in_a_store_that_cannot_be_written_is_no_error(
    store: CountingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise EventStoreError("read only")

    store.activity_log.set_status(PROBE, "one", RECEIVED)
    monkeypatch.setattr(store.activity_log, "set_status", refuse)
    ProbeResponder(0).answer(store)
