from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest
from airflow.triggers.base import BaseEventTrigger, TriggerEvent
from support.waiting import until
from support.webhook_events import EVENT_WORKSPACE, change_event

from airflow_provider_toggl.core.errors import ConfigurationError
from airflow_provider_toggl.core.events import debounce
from airflow_provider_toggl.core.events.filters import EventFilter
from airflow_provider_toggl.core.events.model import NewEvent
from airflow_provider_toggl.core.events.sqlite.engine import SqliteEventStore
from airflow_provider_toggl.triggers import events
from airflow_provider_toggl.triggers.events import TogglEventTrigger

pytestmark = [pytest.mark.airflow, pytest.mark.anyio]

LONG_AGO = datetime(2020, 1, 1, tzinfo=timezone.utc)


def again(trigger: TogglEventTrigger) -> TogglEventTrigger:
    """Return the trigger as a triggerer builds it from the database."""
    path, kwargs = trigger.serialize()
    assert path == "airflow_provider_toggl.triggers.events.TogglEventTrigger"
    return TogglEventTrigger(**json.loads(json.dumps(kwargs)))


class Running:
    """A trigger that runs as in a triggerer, and what it has fired."""

    def __init__(self, trigger: TogglEventTrigger) -> None:
        self.trigger = again(trigger)
        self.fired: list[TriggerEvent] = []

    async def __aenter__(self) -> Running:
        self.task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task

    async def _run(self) -> None:
        async for event in self.trigger.run():
            self.fired.append(event)

    def payloads(self) -> list[Any]:
        if self.task.done():
            self.task.result()
        return [event.payload for event in self.fired]


async def fire(trigger: TogglEventTrigger) -> Any:
    """Return what a wait fires."""
    (event,) = [event async for event in again(trigger).run()]
    return event.payload


def place(store: SqliteEventStore) -> int:
    consumer = store.find_consumer("watcher:x")
    return consumer.seq if consumer else -1


@pytest.mark.parametrize(
    "trigger",
    [
        TogglEventTrigger(),
        TogglEventTrigger(
            event_filter={"entities": "project", "where": {"active": True}}, consumer="c", since=LONG_AGO
        ),
        TogglEventTrigger(event_filter=EventFilter.from_dict({"tag_ids": [1, 2]}), quiet_seconds=3, max_events=7),
        TogglEventTrigger(toggl_conn_id="a", event_store_conn_id="b", once=True, after=5, end_from_trigger=True),
        TogglEventTrigger(event_filter={"project_ids": ["{{ params.project }}"]}, since="{{ ts }}", once=True),
    ],
)
def test_a_trigger_is_the_same_after_serialization(trigger: TogglEventTrigger):
    assert again(trigger).serialize() == trigger.serialize()


def test_a_watcher_has_the_same_hash_before_and_after_airflow_stores_it():
    from airflow.serialization.encoders import encode_trigger

    trigger = TogglEventTrigger(event_filter={"entities": "project", "where": {"active": True}}, since=LONG_AGO)
    path, kwargs = trigger.serialize()
    assert BaseEventTrigger.hash(path, encode_trigger(trigger)["kwargs"]) == BaseEventTrigger.hash(path, kwargs)


@pytest.mark.parametrize(
    "wrong",
    [
        {"event_filter": {"project": 1}},
        {"event_filter": "{"},
        {"event_filter": [1]},
        {"since": "yesterday"},
        {"since": datetime(2026, 1, 1)},  # noqa: DTZ001
        {"max_events": 0},
        {"event_filter": {"project_ids": "{{ params.project }}"}},
    ],
)
def test_wrong_arguments_are_refused_when_the_dag_is_parsed(wrong: dict[str, Any]):
    with pytest.raises(ConfigurationError):
        TogglEventTrigger(**wrong)


def test_a_wait_without_a_start_starts_now_and_keeps_that_start():
    trigger = TogglEventTrigger(once=True)
    assert isinstance(trigger.since, datetime)
    assert again(trigger).serialize() == trigger.serialize()


async def test_a_stored_match_ends_the_wait_at_once(store: SqliteEventStore):
    store.append([change_event(1), change_event(2, project_id=9), change_event(3, project_id=9)])
    payload = await fire(TogglEventTrigger(event_filter={"project_ids": 9}, since=LONG_AGO, once=True))
    assert (payload["seq"], payload["event_id"], payload["count"], payload["last_seq"]) == (2, "2", 2, 3)


async def test_the_end_of_a_wait_is_logged_with_fields(store: SqliteEventStore, caplog: pytest.LogCaptureFixture):
    store.append([change_event(1), change_event(2, entity="project", action="created")])
    with caplog.at_level(logging.INFO):
        await fire(TogglEventTrigger(event_filter={"entities": "project"}, after=0, once=True))
    (line,) = [record for record in caplog.records if "ends the wait" in record.getMessage()]
    assert line.getMessage() == f"Event 2 ends the wait: project created in workspace {EVENT_WORKSPACE}."
    named = {name: vars(line)[name] for name in ("connection", "workspace_id", "by", "seq")}
    assert named == {"connection": "toggl_default", "workspace_id": EVENT_WORKSPACE, "by": "wait", "seq": 2}


async def test_the_start_of_a_wait_is_logged_also_where_no_event_comes(
    store: SqliteEventStore, caplog: pytest.LogCaptureFixture
):
    store.append([change_event(1)])
    with caplog.at_level(logging.INFO):
        async with Running(TogglEventTrigger(event_filter={"entities": "tag"}, after=1, consumer="c", once=True)):
            await until(lambda: "Waiting for an event after 1." in caplog.text)
    (line,) = [record for record in caplog.records if "Waiting for" in record.getMessage()]
    assert {name: vars(line)[name] for name in ("by", "consumer", "seq")} == {"by": "wait", "consumer": "c", "seq": 1}


async def test_a_wait_starts_after_its_consumer_s_commit_and_does_not_move_it(store: SqliteEventStore):
    store.append([change_event(number) for number in range(1, 6)])
    store.commit("report", 3)
    trigger = TogglEventTrigger(consumer="report", since=datetime.now(timezone.utc), once=True)
    assert (await fire(trigger))["seq"] == 4
    consumer = store.find_consumer("report")
    assert consumer
    assert consumer.seq == 3


async def test_many_waits_end_independently(store: SqliteEventStore):
    async with contextlib.AsyncExitStack() as stack:
        waiting = [
            await stack.enter_async_context(
                Running(TogglEventTrigger(event_filter={"project_ids": number % 5}, after=0, once=True))
            )
            for number in range(50)
        ]
        for number in range(5):
            await asyncio.to_thread(store.append, [change_event(number + 1, project_id=number)])
        await until(lambda: all(one.task.done() for one in waiting))
    assert [one.payloads()[0]["seq"] for one in waiting] == [number % 5 + 1 for number in range(50)]


async def test_a_watcher_starts_with_new_events_and_fires_many_of_them_in_few_batches(
    store: SqliteEventStore, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(debounce, "MIN_INTERVAL", 0.2)
    store.append([change_event(1)])
    async with Running(TogglEventTrigger(consumer="watcher:x")) as watching:
        await until(lambda: store.find_consumer("watcher:x"))
        for number in range(2, 1002, 20):
            await asyncio.to_thread(store.append, [change_event(number + more) for more in range(20)])
        await until(lambda: sum(payload["count"] for payload in watching.payloads()) >= 1000)
        batches = watching.payloads()
    assert [batches[0]["first_seq"], batches[-1]["last_seq"]] == [2, 1001]
    assert [batch["first_seq"] for batch in batches[1:]] == [batch["last_seq"] + 1 for batch in batches[:-1]]
    assert len(batches) <= 8


async def test_a_watcher_fires_again_for_a_batch_that_was_not_acknowledged(store: SqliteEventStore):
    for fired in ([1], [1, 2]):
        async with Running(TogglEventTrigger(consumer="watcher:x", since=LONG_AGO)) as watching:
            await asyncio.to_thread(store.append, [change_event(len(fired))])
            await until(lambda: sum(payload["count"] for payload in watching.payloads()) == len(fired))  # noqa: B023
            assert watching.payloads()[0]["first_seq"] == 1


async def test_a_watcher_continues_after_the_acknowledged_batches(
    store: SqliteEventStore, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(events, "ACKNOWLEDGE_DELAY", 0.0)
    for number in (1, 2, 3):
        async with Running(TogglEventTrigger(consumer="watcher:x", since=LONG_AGO)) as watching:
            await asyncio.to_thread(store.append, [change_event(number)])
            await until(watching.payloads)
            await until(lambda: place(store) == number)  # noqa: B023
            assert [payload["first_seq"] for payload in watching.payloads()] == [number]


async def test_watchers_without_a_consumer_get_one_by_their_arguments(store: SqliteEventStore):
    one, other = TogglEventTrigger(event_filter={"entities": "tag"}), TogglEventTrigger()
    async with Running(one), Running(other), Running(other):
        await until(lambda: len(store.consumers()) == 2)


def test_a_watcher_has_a_shared_stream_of_its_own_and_a_wait_has_none():
    watcher = TogglEventTrigger(event_filter={"entities": "tag"})
    assert TogglEventTrigger(once=True).shared_stream_key() is None
    assert watcher.shared_stream_key() == again(watcher).shared_stream_key()
    assert watcher.shared_stream_key() != TogglEventTrigger().shared_stream_key()


class Acknowledging:
    """A watcher in a shared stream of Airflow 3.3. The test confirms which events were stored."""

    def __init__(self, trigger: TogglEventTrigger, trigger_id: int = 1) -> None:
        shared_stream = pytest.importorskip("airflow.triggers.shared_stream")
        self.manager = shared_stream.SharedStreamManager(ack_timeout=60)
        self.trigger = again(trigger)
        self.trigger_id = trigger_id
        self.key = trigger.shared_stream_key()
        self.bound: list[int] = []
        self.payloads: list[Any] = []

    async def __aenter__(self) -> Acknowledging:
        stream = self.manager.subscribe(trigger_id=self.trigger_id, trigger=self.trigger, key=self.key)
        self.task = asyncio.create_task(self._run(self.trigger.filter_shared_stream(stream)))
        return self

    async def _run(self, fired: AsyncIterator[TriggerEvent]) -> None:
        async for event in fired:
            self.payloads.append(event.payload)
            self.bound.append(self.manager.bind_pending_event(trigger_id=self.trigger_id, key=self.key))

    async def __aexit__(self, *exc: object) -> None:
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task
        await self.manager.unsubscribe(self.trigger_id, self.key)


async def test_the_consumer_moves_only_when_airflow_has_stored_the_event(store: SqliteEventStore):
    trigger = TogglEventTrigger(consumer="watcher:x", since=LONG_AGO, max_events=1)
    async with Acknowledging(trigger) as watching:
        await asyncio.to_thread(store.append, [change_event(1)])
        await until(lambda: len(watching.bound) == 1)
        await asyncio.to_thread(store.append, [change_event(2)])
        await until(lambda: len(watching.bound) == 2)
        assert place(store) == 0
        watching.manager.confirm_persisted(watching.bound[:1])
        await until(lambda: place(store) == 1)
    # The second batch was not stored, so it comes again.
    async with Acknowledging(trigger) as watching:
        await until(lambda: watching.bound)
        assert watching.payloads[0]["first_seq"] == 2
        watching.manager.confirm_persisted(watching.bound)
        await until(lambda: place(store) == 2)


RUNNING: dict[str, Any] = {"duration": -1, "stop": None}
STOPPED: dict[str, Any] = {"duration": 60, "stop": "2026-05-02T11:00:00Z"}


async def test_a_wait_for_a_stop_ends_with_the_same_stop_after_a_restart(store: SqliteEventStore):
    events = [
        change_event(1, id=5, action="created", **RUNNING),
        change_event(2, id=5, **STOPPED),
        change_event(3, id=5, **STOPPED),
    ]
    store.append(events)
    wanted = {"transitions": "stopped"}
    for after, seq in ((0, 2), (0, 2), (2, 5)):
        if after:
            store.append([change_event(4, id=6, **RUNNING), change_event(5, id=6, **STOPPED)])
        payload = await fire(TogglEventTrigger(event_filter=wanted, after=after, once=True))
        assert (payload["seq"], payload["transitions"]) == (seq, ["stopped"])


@pytest.mark.parametrize("rounds", [pytest.param(15, id="few"), pytest.param(500, id="many", marks=pytest.mark.soak)])
async def test_a_wait_and_watchers_that_start_together_after_a_kill_all_fire_whatever_the_timing(
    store: SqliteEventStore, monkeypatch: pytest.MonkeyPatch, rounds: int
):
    monkeypatch.setattr(events, "ACKNOWLEDGE_DELAY", 0.0)
    chance, stopped = random.Random(rounds), {"transitions": "stopped", "project_ids": 1}
    filters: list[dict[str, Any]] = [stopped, {"project_ids": 1}, {"entities": "time_entry"}]

    def change(entry: int, number: int, project: int = 1, **fields: Any) -> NewEvent:
        return change_event(entry * 10 + number, id=entry * 2 + project, project_id=project, **fields)

    async def write_later(late: list[NewEvent]) -> None:
        for event in late:
            await asyncio.sleep(chance.random() * 0.004)
            await asyncio.to_thread(store.append, [event])

    for entry in range(1, rounds + 1):
        store.append([change(entry, 0, **RUNNING), change(entry, 1, 2, **RUNNING)])
        wait = TogglEventTrigger(event_filter=stopped, after=store.last_seq(), once=True)
        watchers = [
            TogglEventTrigger(consumer=f"watcher:{number}", event_filter=wanted, since=LONG_AGO)
            for number, wanted in enumerate(filters)
        ]
        changes = [change(entry, 2, 2, **STOPPED), change(entry, 3, **STOPPED), change(entry, 4, **STOPPED)]
        behind = chance.randint(0, 3)  # so many come while there is no triggerer
        if behind:
            store.append(changes[:behind])
        async with contextlib.AsyncExitStack() as stack:
            writing = asyncio.create_task(write_later(changes[behind:]))
            running = []
            for trigger in chance.sample([wait, *watchers], 4):
                running.append(await stack.enter_async_context(Running(trigger)))
                await asyncio.sleep(chance.choice([0, 0, chance.random() * 0.004]))
            await writing
            await until(lambda: all(one.fired for one in running))  # noqa: B023
            (found,) = [one.payloads()[0] for one in running if one.trigger.once]
            assert (found["entity_id"], found["transitions"]) == (entry * 2 + 1, ["stopped"])
            assert found["event_id"] == str(entry * 10 + 3)


async def test_a_watcher_fires_once_for_each_stop_across_restarts(
    store: SqliteEventStore, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(events, "ACKNOWLEDGE_DELAY", 0.0)
    batches: list[Any] = []
    for entry in (1, 2, 3):
        trigger = TogglEventTrigger(consumer="watcher:x", event_filter={"transitions": ["started", "stopped"]}, after=0)
        async with Running(trigger) as watching:
            for number, fields in enumerate(({"action": "created", **RUNNING}, STOPPED, STOPPED)):
                event = change_event(entry * 10 + number, id=entry, **fields)
                await asyncio.to_thread(store.append, [event, replace(event, copy_of=1)])
            await until(lambda: sum(batch["count"] for batch in watching.payloads()) >= 2)
            await until(lambda: place(store) >= entry * 6 - 3)  # noqa: B023
            batches += watching.payloads()
    assert sum(batch["count"] for batch in batches) == 6
    assert sum(batch["transitions"].get("stopped", 0) for batch in batches) == 3
