"""One delivery's story: when it came, what was proved, where it is, whom it woke, and when it was landed or why not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from airflow_provider_toggl.core.errors import ConfigurationError
from airflow_provider_toggl.core.events.filters import EventFilter
from airflow_provider_toggl.core.events.logbook import (
    MOST_REFUSALS,
    RefusalFilter,
    Sample,
    consumer_name,
    reader_name,
)
from airflow_provider_toggl.core.events.search import EventQuery
from airflow_provider_toggl.core.events.store import Consumer, EventStore, StoredEvent
from airflow_provider_toggl.core.operate.health.facts import span

UNSIGNED = "replayed from Toggl's log"
"""The begin of the oddity of an event that no signature was over."""


@dataclass(frozen=True)
class TimelineStep:
    """One thing that happened, or has not yet.

    :param at: when; the latest moment where only an interval is known.
    :param after: the earliest moment where only an interval is known.
    :param done: whether it has happened.
    """

    what: str
    text: str
    at: datetime | None = None
    after: datetime | None = None
    done: bool = True


def build_timeline(store: EventStore, stored: StoredEvent) -> list[TimelineStep]:
    """Return the timeline of an event: how it arrived, then what was done with it by time, then what is to come."""
    rejections = _rejections(store, stored)
    readings = _readings(store, stored)
    if rejections:
        # Landing has gone by, and left it where it is.
        readings = [replace(one, what="read") if one.what == "landed" and one.done else one for one in readings]
    later = [*readings, *rejections]
    happened = sorted((one for one in later if one.done), key=lambda one: one.at or stored.event.received_at)
    return [*_arrival(stored), *happened, *(one for one in later if not one.done)]


def find_rejected(store: EventStore, conn_id: str, seqs: Sequence[int]) -> frozenset[int]:
    """Return which of some places have events that landing rejected, the last time it said so."""
    if not seqs:
        return frozenset()
    wanted = RefusalFilter(rejected=True, lowest=min(seqs), highest=max(seqs))
    kept = store.logbook.refusals(conn_id, wanted, limit=MOST_REFUSALS)
    return frozenset(one.refused.seq for one in kept if one.refused.seq is not None)


def find_loaded_seq(store: EventStore, conn_id: str | None = None) -> int | None:
    """Return the place up to which every task that lands has landed, None where none is known.

    :param conn_id: of the tasks that land this connection's events.
    """
    notes = {note.name: note.value for note in store.logbook.notes(reader_name(""))}
    said = ((one, notes.get(reader_name(one.name), {})) for one in store.consumers())
    landing = [
        one
        for one, note in said
        if note.get("kind") == "landing" and (conn_id is None or note.get("conn_id") in (None, conn_id))
    ]
    return min((one.seq for one in landing), default=None)


def _arrival(stored: StoredEvent) -> list[TimelineStep]:
    event = stored.event
    steps = []
    if event.created_at is not None:
        steps.append(TimelineStep("happened", "in Toggl, by Toggl's clock", event.created_at))
    late = ""
    if event.created_at is not None:
        late = f", {span(max(0.0, (event.received_at - event.created_at).total_seconds()))} after it happened"
    steps.append(
        TimelineStep("received", f"for connection {event.conn_id}, {len(event.body):,} bytes{late}", event.received_at)
    )
    oddity = event.oddity or ""
    if oddity.startswith(UNSIGNED):
        steps.append(TimelineStep("verified", "fetched from Toggl's log with the API token; no signature was over it"))
    elif event.copy_of is not None or oddity.startswith("replayed"):
        steps.append(TimelineStep("verified", "a copy that a person had made of a delivery that was verified"))
    else:
        steps.append(TimelineStep("verified", "signed with the connection's webhook secret"))
    steps.append(TimelineStep("stored", f"durably, in place {stored.seq:,}", event.received_at))
    if event.oddity:
        steps.append(TimelineStep("noted", f"unusual: {event.oddity}"))
    return steps


def _readings(store: EventStore, stored: StoredEvent) -> list[TimelineStep]:
    notes = {note.name: note.value for note in store.logbook.notes(reader_name(""))}
    steps = []
    for consumer in store.consumers():
        below, reached = store.logbook.find_rise(consumer_name(consumer.name), stored.seq)
        steps.append(_reading(store, stored, consumer, notes.get(reader_name(consumer.name), {}), (below, reached)))
    if not steps:
        steps.append(TimelineStep("read", "nobody who has a name in this store reads it", done=False))
    return steps


def _reading(
    store: EventStore,
    stored: StoredEvent,
    consumer: Consumer,
    note: Mapping[str, Any],
    rise: tuple[Sample | None, Sample | None],
) -> TimelineStep:
    kind = note.get("kind")
    what = {"landing": "landed", "watcher": "woke"}.get(str(kind), "read")
    who = str(note.get("warehouse") or consumer.name)
    counts = concerns(store, stored, note)
    if consumer.seq < stored.seq:
        if not counts:
            return TimelineStep("not for", who, done=False)
        return TimelineStep(what, f"not yet: {who} is at place {consumer.seq:,}", done=False)
    below, reached = rise
    after = None if below is None else below.at
    # Before the places were kept, only the last move of all is known.
    at = consumer.updated_at if reached is None else reached.at
    if not counts:
        return TimelineStep("passed over", f"by {who}: it does not count for it", at, after)
    verb = {"landing": f"in {who}", "watcher": f"watcher {who}"}.get(str(kind), f"and done with by {who}")
    return TimelineStep(what, verb, at, after)


def concerns(store: EventStore, stored: StoredEvent, note: Mapping[str, Any]) -> bool:
    """Whether an event counts for a reader, as far as the reader has said what does."""
    event = stored.event
    if note.get("kind") == "landing":
        return note.get("conn_id") in (None, event.conn_id) and note.get("workspace_id") in (None, event.workspace_id)
    if note.get("kind") == "watcher":
        try:
            wanted = EventFilter.from_dict(note.get("filter"))
        except ConfigurationError:
            return True
        return EventQuery(wanted).find_message(stored, store) is not None
    return True


def _rejections(store: EventStore, stored: StoredEvent) -> list[TimelineStep]:
    kept = store.logbook.refusals(stored.event.conn_id, RefusalFilter(lowest=stored.seq, highest=stored.seq))
    return [TimelineStep("rejected", f"by landing: {one.refused.reason}", one.refused.last_at) for one in kept]
