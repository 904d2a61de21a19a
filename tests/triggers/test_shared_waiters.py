from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.waiting import until
from support.webhook_events import change_event

from airflow_provider_toggl.core.errors import EventStoreError, EventStoreTooNew, EventStoreUnavailable
from airflow_provider_toggl.core.events.filters import EventFilter
from airflow_provider_toggl.core.events.model import StoredEvent
from airflow_provider_toggl.core.events.search import EventQuery, FirstMatch
from airflow_provider_toggl.core.events.sqlite.engine import SqliteEventStore
from airflow_provider_toggl.core.events.tail import TailReader
from airflow_provider_toggl.triggers import reading
from airflow_provider_toggl.triggers import shared_waiters as module
from airflow_provider_toggl.triggers.shared_waiters import SharedWaiters, join_waiters

pytestmark = pytest.mark.anyio


def of_project(number: int) -> EventQuery:
    return EventQuery(EventFilter.from_dict({"project_ids": number}))


async def test_a_waiter_finds_events_that_the_others_have_passed(events: SqliteEventStore, tail: TailReader):
    events.append([change_event(number, project_id=number) for number in range(1, 1101)])
    async with join_waiters("x", tail, 1100) as waiters:
        await until(lambda: waiters.offset == 1100)
        found = await waiters.wait(of_project(7), 0)
        assert found.stored.seq == 7


async def test_a_waiter_that_has_caught_up_waits_with_the_others(events: SqliteEventStore, tail: TailReader):
    events.append([change_event(number, project_id=number) for number in range(1, 1101)])
    async with join_waiters("x", tail, 1100) as waiters:
        waiting = asyncio.create_task(waiters.wait(of_project(2000), 3))
        await until(lambda: waiters.waiters)
        await asyncio.to_thread(events.append, [change_event(2000, project_id=2000)])
        assert (await waiting).stored.seq == 1101
        assert not waiters.waiters


async def test_a_waiter_does_not_get_events_before_its_start(events: SqliteEventStore, tail: TailReader):
    events.append([change_event(1, project_id=1), change_event(2, project_id=1)])
    async with join_waiters("x", tail, 0) as waiters:
        first, second = await asyncio.gather(waiters.wait(of_project(1), 0), waiters.wait(of_project(1), 1))
    assert [(each.stored.seq, each.count, each.last_seq) for each in (first, second)] == [(1, 2, 2), (2, 1, 2)]


async def test_many_waiters_that_join_while_events_come_find_their_matches(
    events: SqliteEventStore, tail: TailReader, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "MAX_COMPARISONS", 1)  # other tasks run after each event
    async with join_waiters("x", tail, 0) as waiters:
        found: list[asyncio.Task[FirstMatch]] = []
        for number in range(1, 301):
            await asyncio.to_thread(events.append, [change_event(number, project_id=number)])
            found.append(asyncio.create_task(waiters.wait(of_project(number), number // 2)))
        assert [(await each).stored.seq for each in found] == list(range(1, 301))


async def test_a_store_has_one_set_of_waiters_until_the_last_user_leaves(tail: TailReader):
    async with join_waiters("x", tail, 0) as one:
        async with join_waiters("x", tail, 0) as same, join_waiters("y", tail, 0) as other:
            assert one is same
            assert one is not other
        assert one.users == 1
    assert not module._shared


async def test_a_cancelled_waiter_is_removed(tail: TailReader):
    async with join_waiters("x", tail, 0) as waiters:
        waiting = asyncio.create_task(waiters.wait(of_project(1), 0))
        await until(lambda: waiters.waiters)
        waiting.cancel()
        await until(lambda: not waiters.waiters)


async def test_an_error_of_the_reader_is_raised_in_all_waiters(tail: TailReader):
    class Broken:
        def subscribe(self, after: int) -> object:
            raise EventStoreTooNew("later")

    waiters = SharedWaiters(Broken(), 0)  # type: ignore[arg-type]
    waiting = asyncio.create_task(waiters.wait(of_project(1), 0))
    await until(lambda: waiters.waiters)
    await waiters.run()
    with pytest.raises(EventStoreTooNew):
        await waiting
    async with join_waiters("x", tail, 0) as ended:
        waiting = asyncio.create_task(ended.wait(of_project(1), 0))
        await until(lambda: ended.waiters)
        tail.close()
        with pytest.raises(EventStoreError):
            await waiting


RUNNING: dict[str, Any] = {"duration": -1, "stop": None}
STOPPED: dict[str, Any] = {"duration": 60, "stop": "2026-05-02T11:00:00Z"}


class Asked(SqliteEventStore):
    """Counts queries for earlier versions, and can be made unavailable."""

    count = 0
    away = 0

    def read_earlier(self, stored: StoredEvent, limit: int) -> list[StoredEvent]:
        self.count += 1
        if self.away:
            self.away -= 1
            raise EventStoreUnavailable("away")
        return super().read_earlier(stored, limit)


@pytest.fixture
def asked(tmp_path: Path) -> Iterator[Asked]:
    with Asked(tmp_path / "events.sqlite") as opened:
        opened.prepare()
        yield opened


def stopped(project: int) -> EventQuery:
    return EventQuery(EventFilter.from_dict({"project_ids": project, "transitions": "stopped"}))


async def test_many_waiters_for_a_transition_cost_one_query_for_each_candidate(asked: Asked):
    with TailReader(asked) as tail:
        async with join_waiters("x", tail, 0) as waiters:
            waiting = [asyncio.create_task(waiters.wait(stopped(number % 2), 0)) for number in range(200)]
            await until(lambda: len(waiters.waiters) == 200)
            for number, (project, fields) in enumerate(
                [(0, RUNNING), (1, RUNNING), (5, RUNNING), (5, STOPPED), (0, RUNNING), (0, STOPPED), (1, STOPPED)],
                1,
            ):
                event = change_event(number, id=project, project_id=project, **fields)
                await asyncio.to_thread(asked.append, [event])
            found = await asyncio.gather(*waiting)
        assert {each.stored.seq for each in found} == {6, 7}
        assert {each.message.transitions for each in found} == {("stopped",)}
        # A later waiter that reads earlier events uses the cached states.
        async with join_waiters("x", tail, 7) as waiters:
            assert (await waiters.wait(stopped(0), 0)).stored.seq == 6
    await asyncio.to_thread(tail.join)
    assert asked.count == 5


async def test_a_wait_for_a_transition_survives_an_unavailable_store(asked: Asked, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(reading, "FIRST_PAUSE", 0.001)
    with TailReader(asked) as tail:
        async with join_waiters("x", tail, 0) as waiters:
            waiting = asyncio.create_task(waiters.wait(stopped(0), 0))
            await until(lambda: waiters.waiters)
            asked.away = 3
            events = [
                change_event(1, id=5, project_id=0, **RUNNING),
                change_event(2, id=5, project_id=0, **STOPPED),
            ]
            await asyncio.to_thread(asked.append, events)
            assert (await waiting).stored.seq == 2
    await asyncio.to_thread(tail.join)


async def test_a_waiter_that_joins_during_a_query_for_others_misses_nothing(asked: Asked):
    with TailReader(asked) as tail:
        async with join_waiters("x", tail, 0) as waiters:
            others = asyncio.create_task(waiters.wait(stopped(99), 0))
            found: list[asyncio.Task[FirstMatch]] = []
            for entry in range(1, 61):
                begin = await asyncio.to_thread(asked.last_seq)
                events = [
                    change_event(entry * 10, id=entry, project_id=99, **STOPPED),
                    change_event(entry * 10 + 1, id=entry, project_id=entry + 100, **RUNNING),
                    change_event(entry * 10 + 2, id=entry, project_id=entry + 100, **STOPPED),
                ]
                await asyncio.to_thread(asked.append, events)
                found.append(asyncio.create_task(waiters.wait(stopped(entry + 100), begin)))
            assert [(await each).stored.seq for each in found] == [entry * 3 for entry in range(1, 61)]
            others.cancel()
    await asyncio.to_thread(tail.join)
