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
from airflow_provider_toggl.core.events.search import EventQuery, Found
from airflow_provider_toggl.core.events.sqlite.engine import SqliteEventStore
from airflow_provider_toggl.core.events.tail import Tail
from airflow_provider_toggl.triggers import reading
from airflow_provider_toggl.triggers import shared_waiters as module
from airflow_provider_toggl.triggers.shared_waiters import Crowd, crowd_of


@pytest.fixture
def events(tmp_path: Path) -> Iterator[SqliteEventStore]:
    with SqliteEventStore(tmp_path / "events.sqlite") as opened:
        opened.prepare()
        yield opened


@pytest.fixture
def tail(events: SqliteEventStore) -> Iterator[Tail]:
    with Tail(events) as opened:
        yield opened
    opened.join()


def of_project(number: int) -> EventQuery:
    return EventQuery(EventFilter.from_dict({"project_ids": number}))


def test_who_comes_late_and_looks_back_finds_what_the_others_have_passed(events: SqliteEventStore, tail: Tail):
    events.append([change_event(number, project_id=number) for number in range(1, 1101)])

    async def main() -> None:
        async with crowd_of("x", tail, 1100) as crowd:
            await until(lambda: crowd.place == 1100)
            found = await crowd.wait(of_project(7), 0)
            assert found.stored.seq == 7

    asyncio.run(main())


def test_who_has_caught_up_with_the_others_waits_with_them(events: SqliteEventStore, tail: Tail):
    events.append([change_event(number, project_id=number) for number in range(1, 1101)])

    async def main() -> None:
        async with crowd_of("x", tail, 1100) as crowd:
            waiting = asyncio.create_task(crowd.wait(of_project(2000), 3))
            await until(lambda: crowd.waiters)
            await asyncio.to_thread(events.append, [change_event(2000, project_id=2000)])
            assert (await waiting).stored.seq == 1101
            assert not crowd.waiters

    asyncio.run(main())


def test_nobody_is_told_what_is_before_his_place(events: SqliteEventStore, tail: Tail):
    events.append([change_event(1, project_id=1), change_event(2, project_id=1)])

    async def main() -> None:
        async with crowd_of("x", tail, 0) as crowd:
            first, second = await asyncio.gather(crowd.wait(of_project(1), 0), crowd.wait(of_project(1), 1))
        assert [(each.stored.seq, each.count, each.last_seq) for each in (first, second)] == [(1, 2, 2), (2, 1, 2)]

    asyncio.run(main())


def test_many_that_come_while_a_flood_is_looked_at_find_what_is_theirs(
    events: SqliteEventStore, tail: Tail, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "LOOKS", 1)  # others have their turn after each event

    async def main() -> None:
        async with crowd_of("x", tail, 0) as crowd:
            found: list[asyncio.Task[Found]] = []
            for number in range(1, 301):
                await asyncio.to_thread(events.append, [change_event(number, project_id=number)])
                found.append(asyncio.create_task(crowd.wait(of_project(number), number // 2)))
            assert [(await each).stored.seq for each in found] == list(range(1, 301))

    asyncio.run(main())


def test_all_of_a_loop_that_wait_for_a_store_are_one_crowd_which_ends_with_the_last(tail: Tail):
    async def main() -> None:
        async with crowd_of("x", tail, 0) as one:
            async with crowd_of("x", tail, 0) as same, crowd_of("y", tail, 0) as other:
                assert one is same
                assert one is not other
            assert one.users == 1
        assert not module._crowds

    asyncio.run(main())


def test_who_stops_waiting_is_forgotten(tail: Tail):
    async def main() -> None:
        async with crowd_of("x", tail, 0) as crowd:
            waiting = asyncio.create_task(crowd.wait(of_project(1), 0))
            await until(lambda: crowd.waiters)
            waiting.cancel()
            await until(lambda: not crowd.waiters)

    asyncio.run(main())


def test_what_ends_the_reading_is_told_to_all_who_wait(tail: Tail):
    class Broken:
        def subscribe(self, after: int) -> object:
            raise EventStoreTooNew("later")

    async def main() -> None:
        crowd = Crowd(Broken(), 0)  # type: ignore[arg-type]
        waiting = asyncio.create_task(crowd.wait(of_project(1), 0))
        await until(lambda: crowd.waiters)
        await crowd.look()
        with pytest.raises(EventStoreTooNew):
            await waiting
        async with crowd_of("x", tail, 0) as ended:
            waiting = asyncio.create_task(ended.wait(of_project(1), 0))
            await until(lambda: ended.waiters)
            tail.close()
            with pytest.raises(EventStoreError):
                await waiting

    asyncio.run(main())


RUNNING: dict[str, Any] = {"duration": -1, "stop": None}
STOPPED: dict[str, Any] = {"duration": 60, "stop": "2026-05-02T11:00:00Z"}


class Asked(SqliteEventStore):
    """Counts what it is asked for earlier versions, and is away when told."""

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


def test_many_that_wait_for_a_transition_cost_one_query_an_event_that_all_else_fits(asked: Asked):
    async def main() -> None:
        with Tail(asked) as tail:
            async with crowd_of("x", tail, 0) as crowd:
                waiting = [asyncio.create_task(crowd.wait(stopped(number % 2), 0)) for number in range(200)]
                await until(lambda: len(crowd.waiters) == 200)
                for number, (project, fields) in enumerate(
                    [(0, RUNNING), (1, RUNNING), (5, RUNNING), (5, STOPPED), (0, RUNNING), (0, STOPPED), (1, STOPPED)],
                    1,
                ):
                    event = change_event(number, id=project, project_id=project, **fields)
                    await asyncio.to_thread(asked.append, [event])
                found = await asyncio.gather(*waiting)
            assert {each.stored.seq for each in found} == {6, 7}
            assert {each.message.transitions for each in found} == {("stopped",)}
            # Another that comes later, and reads for itself, asks nothing that is known.
            async with crowd_of("x", tail, 7) as crowd:
                assert (await crowd.wait(stopped(0), 0)).stored.seq == 6
        await asyncio.to_thread(tail.join)

    asyncio.run(main())
    assert asked.count == 5


def test_who_waits_for_a_transition_is_patient_with_a_store_that_is_away(asked: Asked, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(reading, "FIRST_PAUSE", 0.001)

    async def main() -> None:
        with Tail(asked) as tail:
            async with crowd_of("x", tail, 0) as crowd:
                waiting = asyncio.create_task(crowd.wait(stopped(0), 0))
                await until(lambda: crowd.waiters)
                asked.away = 3
                events = [
                    change_event(1, id=5, project_id=0, **RUNNING),
                    change_event(2, id=5, project_id=0, **STOPPED),
                ]
                await asyncio.to_thread(asked.append, events)
                assert (await waiting).stored.seq == 2
        await asyncio.to_thread(tail.join)

    asyncio.run(main())


def test_who_begins_to_wait_while_others_transitions_are_looked_up_misses_nothing(asked: Asked):
    async def main() -> None:
        with Tail(asked) as tail:
            async with crowd_of("x", tail, 0) as crowd:
                others = asyncio.create_task(crowd.wait(stopped(99), 0))
                found: list[asyncio.Task[Found]] = []
                for entry in range(1, 61):
                    begin = await asyncio.to_thread(asked.last_seq)
                    events = [
                        change_event(entry * 10, id=entry, project_id=99, **STOPPED),
                        change_event(entry * 10 + 1, id=entry, project_id=entry + 100, **RUNNING),
                        change_event(entry * 10 + 2, id=entry, project_id=entry + 100, **STOPPED),
                    ]
                    await asyncio.to_thread(asked.append, events)
                    found.append(asyncio.create_task(crowd.wait(stopped(entry + 100), begin)))
                assert [(await each).stored.seq for each in found] == [entry * 3 for entry in range(1, 61)]
                others.cancel()
        await asyncio.to_thread(tail.join)

    asyncio.run(main())
