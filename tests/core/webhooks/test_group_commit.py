from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path

import pytest
from support.servers.receivers import open_sqlite
from support.waiting import until

from airflow_provider_toggl.core.errors import DeliveryRefused, EventStoreUnavailable
from airflow_provider_toggl.core.events.model import Appended, Handshake, NewEvent
from airflow_provider_toggl.core.events.sqlite.engine import SqliteEventStore
from airflow_provider_toggl.core.webhooks import group_commit as writing
from airflow_provider_toggl.core.webhooks.group_commit import GATHERING, MOST_TOGETHER, Writer

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=timezone.utc)


def event(event_id: int) -> NewEvent:
    return NewEvent(7, event_id, b'{"event_id":%d}' % event_id, NOW, "toggl_default")


class WatchedStore(SqliteEventStore):
    """A real store that remembers how many events each transaction had, and breaks on event 13."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.prepare()
        self.batches: list[int] = []

    def append(self, events: Sequence[NewEvent]) -> list[Appended]:
        self.batches.append(len(events))
        if any(one.event_id == 13 for one in events):
            raise OverflowError("what only this store knows")
        return super().append(events)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.sqlite"


def run(store: Callable[[], SqliteEventStore], scenario: Callable[[Writer], Awaitable[None]], **options: float) -> None:
    async def main() -> None:
        writer = Writer(store, **options)  # type: ignore[arg-type]
        try:
            await scenario(writer)
        finally:
            await writer.close()

    asyncio.run(main())


async def outcome(awaited: Awaitable[object]) -> str:
    try:
        await awaited
    except DeliveryRefused as refused:
        return refused.outcome
    return "done"


def stored_ids(path: Path) -> list[int]:
    with SqliteEventStore(path) as store:
        return sorted(one.event.event_id for one in store.read(0, 100_000))


class Lock:
    """Holds the file's write lock, as another process would."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("BEGIN IMMEDIATE")

    def release(self) -> None:
        self._connection.execute("ROLLBACK")
        self._connection.close()


def test_an_event_is_in_the_store_when_append_returns(path: Path) -> None:
    async def scenario(writer: Writer) -> None:
        assert await writer.append(event(1)) == Appended(1, duplicate=False)
        assert stored_ids(path) == [1]
        assert await writer.append(event(1)) == Appended(1, duplicate=True)

    run(lambda: open_sqlite(path), scenario)


def test_what_comes_together_shares_transactions(path: Path) -> None:
    store = WatchedStore(path)

    async def scenario(writer: Writer) -> None:
        await asyncio.gather(*(writer.append(event(100 + number)) for number in range(2000)))

    run(lambda: store, scenario)
    assert stored_ids(path) == list(range(100, 2100))
    assert max(store.batches) <= MOST_TOGETHER
    assert len(store.batches) <= 6


def feed(writer: Writer, number: int, *, busy: float) -> Awaitable[None]:
    """Append one event in each turn of the loop."""

    async def each() -> None:
        tasks = []
        for event_id in range(100, 100 + number):
            tasks.append(asyncio.create_task(writer.append(event(event_id))))
            time.sleep(busy)  # noqa: ASYNC251 - the loop is busy with something else
            await asyncio.sleep(0)
        await asyncio.gather(*tasks)

    return each()


def test_a_transaction_begins_when_the_loop_has_nothing_more_at_hand(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # On a busy machine the loop may be stopped for longer than events are gathered.
    monkeypatch.setattr(writing, "GATHERING", 60.0)
    store = WatchedStore(path)
    run(lambda: store, lambda writer: feed(writer, 8, busy=0))
    assert store.batches == [8]


def test_a_transaction_begins_in_time_beside_a_busy_loop(path: Path) -> None:
    store = WatchedStore(path)
    run(lambda: store, lambda writer: feed(writer, 40, busy=GATHERING / 4))
    assert 1 <= store.batches[0] <= 6
    assert sum(store.batches) == 40


def test_an_event_that_the_store_cannot_take_does_not_take_others_with_it(path: Path) -> None:
    async def scenario(writer: Writer) -> None:
        outcomes = await asyncio.gather(*(outcome(writer.append(event(number))) for number in range(10, 16)))
        assert outcomes == ["done", "done", "done", "failed", "done", "done"]

    run(lambda: WatchedStore(path), scenario)
    assert stored_ids(path) == [10, 11, 12, 14, 15]


def test_a_locked_store_is_waited_for_only_so_long_and_works_again(path: Path) -> None:
    open_sqlite(path).close()

    async def scenario(writer: Writer) -> None:
        await writer.append(event(1))
        lock = Lock(path)
        begun = time.monotonic()
        outcomes = await asyncio.gather(*(outcome(writer.append(event(number))) for number in range(2, 50)))
        assert set(outcomes) == {"unavailable"}
        assert time.monotonic() - begun < 3
        lock.release()
        outcomes = []

        async def again() -> None:
            while (result := await outcome(writer.append(event(99)))) != "done":
                outcomes.append(result)

        await asyncio.wait_for(again(), 30)
        assert set(outcomes) <= {"unavailable"}

    run(lambda: open_sqlite(path), scenario, patience=0.3)
    assert {1, 99} <= set(stored_ids(path))


def test_no_more_wait_than_may(path: Path) -> None:
    open_sqlite(path).close()

    async def scenario(writer: Writer) -> None:
        lock = Lock(path)
        waiting = [asyncio.create_task(outcome(writer.append(event(number)))) for number in range(30)]
        done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        assert {task.result() for task in done} == {"busy"}
        lock.release()
        await asyncio.wait(waiting)
        assert [task.result() for task in waiting].count("done") >= 10

    run(lambda: open_sqlite(path), scenario, most_waiting=10)


def test_a_store_that_cannot_be_opened_is_tried_again(path: Path) -> None:
    tries = []

    def open_store() -> SqliteEventStore:
        tries.append(1)
        if len(tries) < 2:
            raise EventStoreUnavailable("The database is not there.")
        return open_sqlite(path)

    async def scenario(writer: Writer) -> None:
        assert await outcome(writer.append(event(1))) == "unavailable"
        assert await outcome(writer.append(event(1))) == "done"

    run(open_store, scenario)


def test_the_code_of_a_ping_is_kept(path: Path) -> None:
    handshake = Handshake(7, "toggl_default", "c0de", NOW)

    async def scenario(writer: Writer) -> None:
        await asyncio.gather(writer.keep(handshake), writer.append(event(1)))

    run(lambda: open_sqlite(path), scenario)
    with SqliteEventStore(path) as store:
        assert store.find_handshake(7) == handshake


def test_what_is_being_written_is_answered_before_the_end(path: Path) -> None:
    answers: list[str] = []

    async def note(awaited: Awaitable[object]) -> None:
        answers.append(await outcome(awaited))

    async def scenario() -> None:
        writer = Writer(lambda: open_sqlite(path))
        tasks = [asyncio.create_task(note(writer.append(event(number)))) for number in range(1, 1001)]
        await asyncio.sleep(0)
        await writer.close()
        await until(lambda: len(answers) == len(tasks))

    asyncio.run(scenario())
    assert answers == ["done"] * 1000
    assert stored_ids(path) == list(range(1, 1001))
