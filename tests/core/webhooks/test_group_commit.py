from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timezone
from pathlib import Path

import pytest
from support.event_stores import open_sqlite

from airflow_provider_toggl.core.errors import DeliveryRefused, EventStoreUnavailable
from airflow_provider_toggl.core.events.model import Appended, Handshake, NewEvent
from airflow_provider_toggl.core.events.sqlite.engine import SqliteEventStore
from airflow_provider_toggl.core.webhooks import group_commit as module
from airflow_provider_toggl.core.webhooks.group_commit import (
    MAX_BATCH,
    MAX_GATHER_TIME,
    GroupCommit,
    Reservoir,
    UnexpectedErrors,
)

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=timezone.utc)


def event(event_id: int) -> NewEvent:
    return NewEvent(7, event_id, b'{"event_id":%d}' % event_id, NOW, "toggl_default")


class WatchedStore(SqliteEventStore):
    """A real store that records the size of each transaction, and raises for event 13."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.prepare()
        self.batches: list[int] = []

    def append(self, events: Sequence[NewEvent]) -> list[Appended]:
        self.batches.append(len(events))
        if any(one.event_id == 13 for one in events):
            raise OverflowError("a private text")
        return super().append(events)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.sqlite"


@asynccontextmanager
async def committing(open_store: Callable[[], SqliteEventStore], **options: float) -> AsyncIterator[GroupCommit]:
    commits = GroupCommit(open_store, **options)  # type: ignore[arg-type]
    try:
        yield commits
    finally:
        await commits.close()


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
    """Holds the file's write lock, as another process might."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("BEGIN IMMEDIATE")

    def release(self) -> None:
        self._connection.execute("ROLLBACK")
        self._connection.close()


async def test_an_event_is_on_disk_when_append_returns(path: Path) -> None:
    async with committing(lambda: open_sqlite(path)) as commits:
        assert await commits.append(event(1)) == Appended(1, duplicate=False)
        assert stored_ids(path) == [1]
        assert await commits.append(event(1)) == Appended(1, duplicate=True)


async def test_events_that_arrive_together_share_transactions(path: Path) -> None:
    store = WatchedStore(path)
    async with committing(lambda: store) as commits:
        await asyncio.gather(*(commits.append(event(100 + number)) for number in range(2000)))
    assert stored_ids(path) == list(range(100, 2100))
    assert max(store.batches) <= MAX_BATCH
    assert len(store.batches) <= 6


async def feed(store: WatchedStore, number: int, *, busy: float) -> None:
    """Append one event in each iteration of the loop."""
    async with committing(lambda: store) as commits:
        tasks = []
        for event_id in range(100, 100 + number):
            tasks.append(asyncio.create_task(commits.append(event(event_id))))
            time.sleep(busy)  # noqa: ASYNC251 - the loop is busy
            await asyncio.sleep(0)
        await asyncio.gather(*tasks)


async def test_a_transaction_starts_when_the_loop_is_idle(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # On a busy machine the loop may be stopped for longer than the real limit.
    monkeypatch.setattr(module, "MAX_GATHER_TIME", 60.0)
    store = WatchedStore(path)
    await feed(store, 8, busy=0)
    assert store.batches == [8]


async def test_a_transaction_starts_in_time_beside_a_busy_loop(path: Path) -> None:
    store = WatchedStore(path)
    await feed(store, 40, busy=MAX_GATHER_TIME / 4)
    assert 1 <= store.batches[0] <= 6
    assert sum(store.batches) == 40


async def test_an_event_that_the_store_cannot_store_does_not_fail_the_others(path: Path) -> None:
    async with committing(lambda: WatchedStore(path)) as commits:
        outcomes = await asyncio.gather(*(outcome(commits.append(event(number))) for number in range(10, 16)))
        assert outcomes == ["done", "done", "done", "failed", "done", "done"]
    assert stored_ids(path) == [10, 11, 12, 14, 15]


async def test_deliveries_to_a_locked_store_time_out_and_it_works_again_afterwards(path: Path) -> None:
    open_sqlite(path).close()
    async with committing(lambda: open_sqlite(path), timeout=0.3) as commits:
        await commits.append(event(1))
        lock = Lock(path)
        begun = time.monotonic()
        outcomes = await asyncio.gather(*(outcome(commits.append(event(number))) for number in range(2, 50)))
        assert set(outcomes) == {"unavailable"}
        assert time.monotonic() - begun < 3
        lock.release()
        while (result := await outcome(commits.append(event(99)))) != "done":
            assert result == "unavailable"
    assert {1, 99} <= set(stored_ids(path))


async def test_deliveries_over_the_limit_are_busy(path: Path) -> None:
    open_sqlite(path).close()
    async with committing(lambda: open_sqlite(path), max_waiting=10) as commits:
        lock = Lock(path)
        waiting = [asyncio.create_task(outcome(commits.append(event(number)))) for number in range(30)]
        done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        assert {task.result() for task in done} == {"busy"}
        lock.release()
        await asyncio.wait(waiting)
        assert [task.result() for task in waiting].count("done") >= 10


async def test_a_store_that_cannot_be_opened_is_opened_again(path: Path) -> None:
    tries = []

    def open_store() -> SqliteEventStore:
        tries.append(1)
        if len(tries) < 2:
            raise EventStoreUnavailable("The database is not there.")
        return open_sqlite(path)

    async with committing(open_store) as commits:
        assert await outcome(commits.append(event(1))) == "unavailable"
        assert await outcome(commits.append(event(1))) == "done"


async def test_the_validation_code_of_a_ping_is_stored(path: Path) -> None:
    handshake = Handshake(7, "toggl_default", "c0de", NOW)
    async with committing(lambda: open_sqlite(path)) as commits:
        await asyncio.gather(commits.save(handshake), commits.append(event(1)))
    with SqliteEventStore(path) as store:
        assert store.find_handshake(7) == handshake


async def test_close_waits_for_what_is_being_written(path: Path) -> None:
    async with committing(lambda: open_sqlite(path)) as commits:
        tasks = [asyncio.create_task(outcome(commits.append(event(number)))) for number in range(1, 1001)]
        await asyncio.sleep(0)
    assert await asyncio.gather(*tasks) == ["done"] * 1000
    assert stored_ids(path) == list(range(1, 1001))


async def test_close_does_not_wait_for_a_store_that_hangs() -> None:
    released = threading.Event()

    def hang() -> SqliteEventStore:
        released.wait(5)
        released.set()
        raise EventStoreUnavailable("It does not answer.")

    async with committing(hang, timeout=0.05) as commits:
        assert await outcome(commits.append(event(1))) == "unavailable"
    assert not released.is_set()
    released.set()


def test_a_reservoir_returns_all_of_few_durations_once() -> None:
    reservoir = Reservoir(size=3)
    reservoir.add(1.0)
    reservoir.add(2.0)
    assert reservoir.take() == [1.0, 2.0]
    assert reservoir.take() == []


def test_a_reservoir_keeps_each_of_many_durations_with_the_same_chance() -> None:
    taken: list[float] = []
    for _ in range(500):
        reservoir = Reservoir(size=10)
        for number in range(100):
            reservoir.add(number)
        kept = reservoir.take()
        assert len(set(kept)) == 10
        taken += kept
    # 2,500 of 5,000 on average, with a standard deviation of 35.
    assert 2200 < sum(number >= 50 for number in taken) < 2800


def raise_and_log(errors: UnexpectedErrors, text: str) -> str:
    try:
        int(text)
    except ValueError as error:
        return errors.log_once(error)
    return ""


def test_an_error_is_logged_once_with_its_stack_and_without_its_text(caplog: pytest.LogCaptureFixture) -> None:
    errors = UnexpectedErrors()
    assert {raise_and_log(errors, "private text") for _ in range(1000)} == {"ValueError"}
    assert len(caplog.records) == 1
    assert "test_group_commit.py" in caplog.text
    assert "private" not in caplog.text
    errors.log_once(KeyError("private"))
    assert len(caplog.records) == 2
    assert "KeyError" in caplog.text
