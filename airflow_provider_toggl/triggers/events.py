"""Waiting for events of Toggl in the triggerer: one reader of the store, however many wait."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Hashable, Mapping
from datetime import datetime, timezone
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseEventTrigger, TaskSuccessEvent, TriggerEvent

from airflow_provider_toggl.core import metrics
from airflow_provider_toggl.core.arguments import (
    Parser,
    is_nothing,
    parse_conn_id,
    parse_flag,
    parse_moment,
    parse_object,
    parse_seconds,
    parse_store_conn_id,
    parse_text,
    parse_whole,
    required,
)
from airflow_provider_toggl.core.errors import ConfigurationError
from airflow_provider_toggl.core.events.bursts import Debounce
from airflow_provider_toggl.core.events.filters import EventFilter
from airflow_provider_toggl.core.events.search import EventQuery, Found
from airflow_provider_toggl.core.events.store import EventStore
from airflow_provider_toggl.core.events.tail import tail_of
from airflow_provider_toggl.core.log_fields import fields, log_line
from airflow_provider_toggl.hooks import telemetry
from airflow_provider_toggl.hooks.events import open_event_store, resolve_store_conn_id
from airflow_provider_toggl.templates import is_unresolved
from airflow_provider_toggl.triggers.reading import patiently
from airflow_provider_toggl.triggers.shared_waiters import crowd_of
from airflow_provider_toggl.triggers.watching import BurstProducer, Watch

if TYPE_CHECKING:
    import jinja2
    from airflow.providers.common.compat.sdk import Context

log = logging.getLogger(__name__)

HANDOVER_SECONDS = 30.0
"""Airflow 3.2 does not tell when it has stored an event, which takes it about two seconds: by then it has."""


ARGUMENT_PARSERS: Mapping[str, Parser] = {
    "toggl_conn_id": parse_conn_id,
    "event_store_conn_id": parse_store_conn_id,
    "event_filter": lambda _, value: _filter_of(value),
    "consumer": parse_text,
    "since": parse_moment,
    "after": partial(parse_whole, minimum=0),
    "quiet_seconds": required(parse_seconds),
    "max_wait_seconds": required(partial(parse_seconds, maximum=120.0)),
    "max_events": required(partial(parse_whole, minimum=1)),
    "once": required(parse_flag),
    "end_from_trigger": required(parse_flag),
}
"""How the arguments of a trigger are parsed."""


class TogglEventTrigger(BaseEventTrigger):
    """Fire when events of Toggl come into the event store.

    For an ``AssetWatcher`` it fires for each burst of them, for ever, at least once, beginning where it was when it
    was stopped. With ``once`` it is for ``self.defer()``: the first event that counts ends it.

    :param toggl_conn_id: the connection whose extra names the event store.
    :param event_store_conn_id: the event store's connection, where it is another; empty: the file on this host.
    :param event_filter: which events count, see ``core.events.filters.EventFilter``; None: all.
    :param consumer: the name under which the store keeps how far it was handed over, one watcher's alone; by default
        one that is made of these arguments. With ``once``: where to begin, and the trigger does not move it.
    :param since: only what was created then or later, RFC 3339, and the place to begin where neither ``after`` nor the
        consumer says another. None: with what comes from now on.
    :param after: begin after this ``seq``.
    :param quiet_seconds: a burst is told when so long no more came.
    :param max_wait_seconds: a burst is told at the latest so long after its first event.
    :param max_events: a burst is told at the latest when it has so many.
    :param once: end with the first event that counts.
    :param end_from_trigger: with ``once``, end the task with it as well, without a worker.
    """

    def __init__(
        self,
        *,
        toggl_conn_id: str = "toggl_default",
        event_store_conn_id: str | None = None,
        event_filter: EventFilter | Mapping[str, Any] | str | None = None,
        consumer: str | None = None,
        since: datetime | str | None = None,
        after: int | None = None,
        quiet_seconds: float = 0.02,
        max_wait_seconds: float = 30.0,
        max_events: int = 10_000,
        once: bool = False,
        end_from_trigger: bool = False,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        # Templates are filled in for a task that starts in the triggerer, and never for a watcher.
        self._renders = required(parse_flag)("once", once)
        self.toggl_conn_id = self._parse("toggl_conn_id", toggl_conn_id)
        self.event_store_conn_id: str | None = self._parse("event_store_conn_id", event_store_conn_id)
        self.event_filter = event_filter
        self.consumer = self._parse("consumer", consumer)
        self.since = self._parse("since", since)
        self.after = self._parse("after", after)
        # Whoever waits once and says nothing of where to begin begins now, also when the triggerer starts again.
        if self._renders and not (self.since or self.consumer) and self.after is None:
            self.since = datetime.now(timezone.utc)
        self.quiet_seconds = self._parse("quiet_seconds", quiet_seconds)
        self.max_wait_seconds = self._parse("max_wait_seconds", max_wait_seconds)
        self.max_events = self._parse("max_events", max_events)
        self.once = self._renders
        self.end_from_trigger = self._parse("end_from_trigger", end_from_trigger)
        if not (self.once and is_unresolved(event_filter)):
            _filter_of(event_filter)
        self._debounce()

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class and its arguments; there is no secret among them."""
        given = self.event_filter
        plain = given if self.once and is_unresolved(given) else json.dumps(_filter_of(given).to_dict(), sort_keys=True)
        return (
            f"{TogglEventTrigger.__module__}.{TogglEventTrigger.__qualname__}",
            {
                "toggl_conn_id": self.toggl_conn_id,
                "event_store_conn_id": self.event_store_conn_id,
                "event_filter": plain,
                "consumer": self.consumer,
                "since": self.since.isoformat() if isinstance(self.since, datetime) else self.since,
                "after": self.after,
                "quiet_seconds": self.quiet_seconds,
                "max_wait_seconds": self.max_wait_seconds,
                "max_events": self.max_events,
                "once": self.once,
                "end_from_trigger": self.end_from_trigger,
            },
        )

    def render_template_fields(self, context: Context, jinja_env: jinja2.Environment | None = None) -> None:
        """Fill in the templates of a task that starts in the triggerer."""
        self.template_fields = ("toggl_conn_id", "event_store_conn_id", "event_filter", "consumer", "since")
        super().render_template_fields(context, jinja_env)
        if isinstance(self.event_filter, Mapping):
            for name, value in self.event_filter.items():
                if is_nothing(value):
                    raise ConfigurationError(
                        f"{name} of the filter is {value!r}, which is what its template came to: without it every "
                        "event would count."
                    )
        self.consumer, self.since = self._parse("consumer", self.consumer), self._parse("since", self.since)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield the events of this trigger."""
        if self.once:
            found = await self._wait()
            metrics.FIRED.add(way="wait")
            metrics.FIRED_EVENTS.add(found.count, way="wait")
            self._tell(found)
            yield await self._ending(found.as_dict())
            return
        async with self.open_watch() as watch, contextlib.aclosing(watch.bursts()) as bursts:
            async for burst in bursts:
                yield _event(burst.as_dict())
                watch.hand_over(burst.last_seq, safe_in=HANDOVER_SECONDS)

    def shared_stream_key(self) -> Hashable | None:
        """Return what tells watchers apart: each is a stream of its own, whose events Airflow acknowledges.

        They all read by the one tail of their store. Who waits once needs no acknowledgement: he begins where he began.
        """
        return None if self.once else ("toggl", json.dumps(self.serialize()[1], sort_keys=True))

    @classmethod
    def create_shared_stream_producer(cls, kwargs: dict[str, Any]) -> Any:
        """Return what produces the bursts and moves the consumer when they are stored."""
        return BurstProducer(cls(**kwargs).open_watch)

    async def filter_shared_stream(self, shared_stream: AsyncIterator[Any]) -> AsyncIterator[TriggerEvent]:
        """Yield each burst as an event."""
        async for burst in shared_stream:
            yield _event(burst)

    async def _wait(self) -> Found:
        """Return the first event that counts, whenever it comes."""
        telemetry.connect()
        with fields(connection=self.toggl_conn_id, by="wait", consumer=self.consumer):
            key = await self._store_key()
            query, after = await patiently(lambda: self._begin(key))
        with tail_of(key, lambda: _open_store(key)) as tail:
            async with crowd_of(key, tail, after) as crowd:
                return await crowd.wait(query, after)

    def _tell(self, found: Found) -> None:
        """Say what has ended the wait."""
        seq, message = found.stored.seq, found.message
        log_line(
            log,
            "Event %d ends the wait: %s %s in workspace %s.",
            seq,
            message.entity,
            message.action,
            message.workspace_id,
            connection=self.toggl_conn_id,
            workspace_id=message.workspace_id,
            by="wait",
            consumer=self.consumer,
            seq=seq,
        )

    def _begin(self, key: str) -> tuple[EventQuery, int]:
        """Return what to look for, and after which place; the store is asked only where it must be."""
        query = self._query()
        if self.after is not None:
            return query, self.after
        with _open_store(key) as store:
            return query.begin(store, self.consumer if self.once else None)

    async def _ending(self, result: dict[str, Any]) -> TriggerEvent:
        """Return what ends the waiting with this result.

        An XCom that is given to ``TaskSuccessEvent`` is encoded twice (Airflow 3.2.2 and 3.3.2), so that who pulls it
        gets a text. So it is pushed the way that a task pushes.
        """
        ti = self.task_instance
        if not self.end_from_trigger or ti is None:
            return _event(result)
        from airflow.sdk.execution_time.xcom import XCom  # noqa: PLC0415 - only here is there somebody to take it

        await asyncio.to_thread(
            XCom.set,
            "return_value",
            result,
            dag_id=ti.dag_id,
            task_id=ti.task_id,
            run_id=ti.run_id,
            map_index=ti.map_index,
        )
        return TaskSuccessEvent()

    @contextlib.asynccontextmanager
    async def open_watch(self) -> AsyncGenerator[Watch, None]:
        """Read for the consumer of this trigger."""
        consumer = self.consumer or self._own_name()
        telemetry.connect()
        with fields(connection=self.toggl_conn_id, by="watch", consumer=consumer):
            key = await self._store_key()
            query, start = await patiently(lambda: self._begin(key))
            store = await patiently(lambda: _open_store(key))
        with store, tail_of(key, lambda: _open_store(key)) as tail:
            yield Watch(
                store,
                tail,
                query,
                consumer=consumer,
                debounce=self._debounce(),
                start=start,
                store_name=key,
            )

    async def _store_key(self) -> str:
        """Return the connection of the store, by which all triggers of this process share one tail."""
        if self.event_store_conn_id is not None:
            return self.event_store_conn_id
        return await asyncio.to_thread(resolve_store_conn_id, self.toggl_conn_id)

    def _query(self) -> EventQuery:
        return EventQuery(_filter_of(self.event_filter), parse_moment("since", self.since))

    def _parse(self, name: str, value: Any) -> Any:
        """Return an argument parsed, or as it is where the triggerer will fill something in."""
        return value if self._renders and is_unresolved(value) else ARGUMENT_PARSERS[name](name, value)

    def _debounce(self) -> Debounce:
        return Debounce(self.quiet_seconds, self.max_wait_seconds, self.max_events)

    def _own_name(self) -> str:
        """Return a name that no other watcher has, unless it is the very same."""
        return "watcher:" + hashlib.sha256(json.dumps(self.serialize()[1], sort_keys=True).encode()).hexdigest()[:16]


def _open_store(conn_id: str) -> EventStore:
    return open_event_store(event_store_conn_id=conn_id)


def _event(payload: dict[str, Any]) -> TriggerEvent:
    return TriggerEvent(payload)  # type: ignore[no-untyped-call]


def _filter_of(given: EventFilter | Mapping[str, Any] | str | None) -> EventFilter:
    if isinstance(given, EventFilter):
        return given
    return EventFilter.from_dict(parse_object("event_filter", given))
