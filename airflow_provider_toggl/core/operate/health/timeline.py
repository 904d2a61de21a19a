"""The timeline of a delivery: when it arrived, how it was verified, who read it, and when it was loaded or rejected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow_provider_toggl.core.errors import ConfigurationError
from airflow_provider_toggl.core.events.activity_log import (
    MAX_REFUSALS,
    RefusalFilter,
    consumer_key,
    reader_key,
)
from airflow_provider_toggl.core.events.filters import EventFilter
from airflow_provider_toggl.core.events.model import Consumer, StoredEvent
from airflow_provider_toggl.core.events.search import EventQuery
from airflow_provider_toggl.core.events.store import EventStore
from airflow_provider_toggl.core.wording import duration

UNSIGNED = "replayed from Toggl's log"
"""The anomaly of an event without a signature begins with this."""
LOADER = "loader"
"""The kind of a consumer that loads events, as earlier versions wrote it."""


@dataclass(frozen=True)
class TimelineStep:
    """One step of a delivery.

    :param at: when it happened; the latest possible time if only an interval is known.
    :param after: the earliest possible time if only an interval is known.
    :param done: whether it has happened yet.
    """

    what: str
    text: str
    at: datetime | None = None
    after: datetime | None = None
    done: bool = True


def build_timeline(store: EventStore, stored: StoredEvent) -> list[TimelineStep]:
    """Return the steps of an event: its arrival, then what was done with it by time, then what is still to come."""
    wanted = RefusalFilter(lowest=stored.seq, highest=stored.seq)
    refusals = store.activity_log.list_refusals(stored.event.conn_id, wanted)
    rejections = [TimelineStep("rejected", one.refused.reason, one.refused.last_at) for one in refusals]
    readings = [_reading(store, stored, *one, is_rejected=bool(rejections)) for one in list_described(store)]
    later = [*(readings or [TimelineStep("read", "no consumer", done=False)]), *rejections]
    happened = sorted((one for one in later if one.done), key=lambda one: one.at or stored.event.received_at)
    return [*_arrival(stored), *happened, *(one for one in later if not one.done)]


def find_rejected(store: EventStore, conn_id: str, seqs: Sequence[int]) -> frozenset[int]:
    """Return which of some events were rejected when they were loaded."""
    if not seqs:
        return frozenset()
    wanted = RefusalFilter(rejected=True, lowest=min(seqs), highest=max(seqs))
    kept = store.activity_log.list_refusals(conn_id, wanted, limit=MAX_REFUSALS)
    return frozenset(one.refused.seq for one in kept if one.refused.seq is not None)


def find_loaded_seq(store: EventStore, conn_id: str | None = None) -> int | None:
    """Return the ``seq`` up to which every task that loads events has loaded them, None if no task is known.

    :param conn_id: only tasks that load this connection's events.
    """
    loaders = [
        one.seq
        for one, description in list_described(store)
        if description.get("kind") == LOADER and (conn_id is None or description.get("conn_id") in (None, conn_id))
    ]
    return min(loaders, default=None)


def list_described(store: EventStore) -> list[tuple[Consumer, Mapping[str, Any]]]:
    """Return the consumers of a store with their descriptions, which are empty if none is recorded."""
    descriptions = {entry.name: entry.value for entry in store.activity_log.list_status(reader_key(""))}
    return [(one, descriptions.get(reader_key(one.name), {})) for one in store.consumers()]


def is_relevant(store: EventStore, stored: StoredEvent, description: Mapping[str, Any]) -> bool:
    """Whether a consumer reads an event or skips it, as far as its record describes that."""
    if description.get("kind") == LOADER:
        event = stored.event
        is_of_workspace = description.get("workspace_id") in (None, event.workspace_id)
        return is_of_workspace and description.get("conn_id") in (None, event.conn_id)
    if description.get("kind") == "watcher":
        try:
            wanted = EventFilter.from_dict(description.get("filter"))
        except ConfigurationError:
            return True
        return EventQuery(wanted).find_message(stored, store) is not None
    return True


def _arrival(stored: StoredEvent) -> list[TimelineStep]:
    event = stored.event
    steps = []
    late = ""
    if event.created_at is not None:
        steps.append(TimelineStep("happened", "by Toggl's clock", event.created_at))
        late = f", {duration((event.received_at - event.created_at).total_seconds())} after it happened"
    text = f"for connection {event.conn_id}, {len(event.body):,} bytes{late}"
    steps.append(TimelineStep("received", text, event.received_at))
    anomaly = event.anomaly or ""
    if anomaly.startswith(UNSIGNED):
        verified = "read from Toggl's log with the API token; without a signature"
    elif event.copy_of is not None or anomaly.startswith("replayed"):
        verified = "copy of a verified delivery, made by a person"
    else:
        verified = "signed with the connection's webhook secret"
    steps.append(TimelineStep("verified", verified))
    steps.append(TimelineStep("stored", f"seq {stored.seq:,}", event.received_at))
    if event.anomaly:
        steps.append(TimelineStep("unusual", event.anomaly))
    return steps


def _reading(
    store: EventStore, stored: StoredEvent, consumer: Consumer, description: Mapping[str, Any], *, is_rejected: bool
) -> TimelineStep:
    name = str(description.get("warehouse") or consumer.name)
    kind = str(description.get("kind"))
    if is_rejected and kind == LOADER and consumer.seq >= stored.seq:
        kind = ""  # The loader read the event without loading it.
    what, text = {LOADER: ("loaded", f"into {name}"), "watcher": ("woke", f"watcher {name}")}.get(
        kind, ("read", f"by {name}")
    )
    is_read = is_relevant(store, stored, description)
    if consumer.seq < stored.seq:
        if not is_read:
            return TimelineStep("not for", name, done=False)
        return TimelineStep(what, f"not yet: {name} is at seq {consumer.seq:,}", done=False)
    before, reached = store.activity_log.find_crossing(consumer_key(consumer.name), stored.seq)
    after = None if before is None else before.at
    # Without measurements only the last move of the consumer is known.
    at = consumer.updated_at if reached is None else reached.at
    if not is_read:
        return TimelineStep("skipped", f"by {name}, whose filter does not match", at, after)
    return TimelineStep(what, text, at, after)
