"""Fire on events of Toggl. All triggers of a triggerer share one reader of the event store."""

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
    is_blank,
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
from airflow_provider_toggl.core.events.debounce import Debounce
from airflow_provider_toggl.core.events.filters import EventFilter
from airflow_provider_toggl.core.events.search import EventQuery, FirstMatch
from airflow_provider_toggl.core.events.store import EventStore
from airflow_provider_toggl.core.events.tail import shared_tail
from airflow_provider_toggl.core.log_fields import fields, log_line
from airflow_provider_toggl.hooks import telemetry
from airflow_provider_toggl.hooks.events import open_event_store, resolve_store_conn_id
from airflow_provider_toggl.templates import is_unresolved
from airflow_provider_toggl.triggers.reading import retry_while_unavailable
from airflow_provider_toggl.triggers.shared_waiters import join_waiters
from airflow_provider_toggl.triggers.watcher import EventWatcher, WatcherStreamProducer

if TYPE_CHECKING:
    import jinja2
    from airflow.providers.common.compat.sdk import Context

log = logging.getLogger(__name__)

ACKNOWLEDGE_DELAY = 30.0
"""Seconds after which an event counts as stored by Airflow 3.2, which reports nothing and needs about two."""

ARGUMENT_PARSERS: Mapping[str, Parser] = {
    "toggl_conn_id": parse_conn_id,
    "event_store_conn_id": parse_store_conn_id,
    "event_filter": lambda _, value: _build_filter(value),
    "consumer": parse_text,
    "since": parse_moment,
    "after": partial(parse_whole, minimum=0),
    "quiet_seconds": required(parse_seconds),
    "max_wait_seconds": required(partial(parse_seconds, maximum=120.0)),
    "max_events": required(partial(parse_whole, minimum=1)),
    "once": required(parse_flag),
    "end_from_trigger": required(parse_flag),
}
"""The parser of each argument of a trigger."""


class TogglEventTrigger(BaseEventTrigger):
    """Fire when matching events of Toggl are in the event store.

    For an ``AssetWatcher`` it fires for each batch of matching events, at least once, and continues after a restart
    where it was. With ``once`` it is for ``self.defer()`` and ends with the first match.

    :param toggl_conn_id: the connection whose extra names the event store.
    :param event_store_conn_id: the event store's connection, if it is another; empty: the file on this host.
    :param event_filter: which events match, see ``core.events.filters.EventFilter``; None: all.
    :param consumer: the name under which the store keeps how far this watcher has read, for this watcher alone; by
        default a name derived from the arguments. With ``once``: the consumer after whose commit to start; the trigger
        does not move it.
    :param since: only events created then or later, RFC 3339. Also where to start without ``after`` and without a
        commit of the consumer. None: start with new events.
    :param after: start after this ``seq``.
    :param quiet_seconds: a batch is complete when no event came for so long.
    :param max_wait_seconds: a batch is complete at the latest so long after its first event.
    :param max_events: a batch is complete at the latest when it has so many events.
    :param once: end with the first match.
    :param end_from_trigger: with ``once``, also end the task, without a worker.
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
        # Airflow renders templates for a task that starts in the triggerer, and never for a watcher.
        self._renders = required(parse_flag)("once", once)
        self.toggl_conn_id = self._parse("toggl_conn_id", toggl_conn_id)
        self.event_store_conn_id: str | None = self._parse("event_store_conn_id", event_store_conn_id)
        self.event_filter = event_filter
        self.consumer = self._parse("consumer", consumer)
        self.since = self._parse("since", since)
        self.after = self._parse("after", after)
        # A wait without a start begins now, and keeps that start when the triggerer restarts.
        if self._renders and not (self.since or self.consumer) and self.after is None:
            self.since = datetime.now(timezone.utc)
        self.quiet_seconds = self._parse("quiet_seconds", quiet_seconds)
        self.max_wait_seconds = self._parse("max_wait_seconds", max_wait_seconds)
        self.max_events = self._parse("max_events", max_events)
        self.once = self._renders
        self.end_from_trigger = self._parse("end_from_trigger", end_from_trigger)
        if not (self.once and is_unresolved(event_filter)):
            _build_filter(event_filter)
        self._debounce()

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class and its arguments, which include no secret."""
        event_filter = self.event_filter
        if not (self.once and is_unresolved(event_filter)):
            event_filter = json.dumps(_build_filter(event_filter).to_dict(), sort_keys=True)
        since = self.since.isoformat() if isinstance(self.since, datetime) else self.since
        kwargs = {name: getattr(self, name) for name in ARGUMENT_PARSERS}
        return (
            f"{TogglEventTrigger.__module__}.{TogglEventTrigger.__qualname__}",
            {**kwargs, "event_filter": event_filter, "since": since},
        )

    def render_template_fields(self, context: Context, jinja_env: jinja2.Environment | None = None) -> None:
        """Render the templates of a task that starts in the triggerer."""
        self.template_fields = ("toggl_conn_id", "event_store_conn_id", "event_filter", "consumer", "since")
        super().render_template_fields(context, jinja_env)
        if isinstance(self.event_filter, Mapping):
            for name, value in self.event_filter.items():
                if is_blank(value):
                    raise ConfigurationError(
                        f"{name} of the filter was rendered as {value!r}. Without a value every event would match. "
                        "Correct the template."
                    )
        self.consumer, self.since = self._parse("consumer", self.consumer), self._parse("since", self.since)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield the trigger's events."""
        if self.once:
            found = await self._wait()
            metrics.FIRED.add(way="wait")
            metrics.FIRED_EVENTS.add(found.count, way="wait")
            self._log_match(found)
            yield await self._end_task(found.as_dict())
            return
        async with self.open_watcher() as watcher, contextlib.aclosing(watcher.batches()) as batches:
            async for batch in batches:
                yield _event(batch.as_dict())
                watcher.acknowledge(batch.last_seq, delay=ACKNOWLEDGE_DELAY)

    def shared_stream_key(self) -> Hashable | None:
        """Return a key by which each watcher is a shared stream of its own, whose events Airflow acknowledges.

        All of them read by the shared tail of their store. With ``once`` no acknowledgement is needed: after a restart
        the wait starts where it started before.
        """
        return None if self.once else ("toggl", json.dumps(self.serialize()[1], sort_keys=True))

    @classmethod
    def create_shared_stream_producer(cls, kwargs: dict[str, Any]) -> Any:
        """Return what produces the batches, and moves the consumer when Airflow has stored them."""
        return WatcherStreamProducer(cls(**kwargs).open_watcher)

    async def filter_shared_stream(self, shared_stream: AsyncIterator[Any]) -> AsyncIterator[TriggerEvent]:
        """Yield each batch as a trigger event."""
        async for batch in shared_stream:
            yield _event(batch)

    async def _wait(self) -> FirstMatch:
        telemetry.connect()
        with fields(connection=self.toggl_conn_id, by="wait", consumer=self.consumer):
            key = await self._store_key()
            query, after = await retry_while_unavailable(lambda: self._begin(key))
            log_line(log, "Waiting for an event after %d.", after, seq=after)
        with shared_tail(key, lambda: _open_store(key)) as tail:
            async with join_waiters(key, tail, after) as waiters:
                return await waiters.wait(query, after)

    def _log_match(self, found: FirstMatch) -> None:
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
        """Return the query, and the ``seq`` after which to start; reads the store only if needed."""
        query = self._query()
        if self.after is not None:
            return query, self.after
        with _open_store(key) as store:
            return query.resolve_start(store, self.consumer if self.once else None)

    async def _end_task(self, result: dict[str, Any]) -> TriggerEvent:
        """Return the event that resumes the task, or ends it here.

        An XCom that is passed to ``TaskSuccessEvent`` is encoded twice (Airflow 3.2.2 and 3.3.2), so a task that pulls
        it gets text. Therefore it is pushed as a task pushes it.
        """
        ti = self.task_instance
        if not self.end_from_trigger or ti is None:
            return _event(result)
        from airflow.sdk.execution_time.xcom import XCom  # noqa: PLC0415 - needed only where the task ends here

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
    async def open_watcher(self) -> AsyncGenerator[EventWatcher, None]:
        """Open the watcher of this trigger's consumer."""
        consumer = self.consumer or self._derive_consumer()
        telemetry.connect()
        with fields(connection=self.toggl_conn_id, by="watch", consumer=consumer):
            key = await self._store_key()
            query, start = await retry_while_unavailable(lambda: self._begin(key))
            store = await retry_while_unavailable(lambda: _open_store(key))
        with store, shared_tail(key, lambda: _open_store(key)) as tail:
            yield EventWatcher(
                store,
                tail,
                query,
                consumer=consumer,
                debounce=self._debounce(),
                start=start,
                store_name=key,
            )

    async def _store_key(self) -> str:
        """Return the store's connection, the key by which the triggers of this process share a reader."""
        if self.event_store_conn_id is not None:
            return self.event_store_conn_id
        return await asyncio.to_thread(resolve_store_conn_id, self.toggl_conn_id)

    def _query(self) -> EventQuery:
        return EventQuery(_build_filter(self.event_filter), parse_moment("since", self.since))

    def _parse(self, name: str, value: Any) -> Any:
        """Return a parsed argument, or the argument itself if the triggerer will render it."""
        return value if self._renders and is_unresolved(value) else ARGUMENT_PARSERS[name](name, value)

    def _debounce(self) -> Debounce:
        return Debounce(self.quiet_seconds, self.max_wait_seconds, self.max_events)

    def _derive_consumer(self) -> str:
        """Return a name that only watchers with the same arguments have."""
        return "watcher:" + hashlib.sha256(json.dumps(self.serialize()[1], sort_keys=True).encode()).hexdigest()[:16]


def _open_store(conn_id: str) -> EventStore:
    return open_event_store(event_store_conn_id=conn_id)


def _event(payload: dict[str, Any]) -> TriggerEvent:
    return TriggerEvent(payload)  # type: ignore[no-untyped-call]


def _build_filter(data: EventFilter | Mapping[str, Any] | str | None) -> EventFilter:
    return data if isinstance(data, EventFilter) else EventFilter.from_dict(parse_object("event_filter", data))
