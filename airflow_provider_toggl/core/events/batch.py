"""Events that follow each other in a store, with what they say."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from airflow_provider_toggl.core.errors import DeliveryRefused
from airflow_provider_toggl.core.events.message import Message, parse_message
from airflow_provider_toggl.core.events.store import NewEvent, StoredEvent


@dataclass(frozen=True)
class Batch:
    """Events that follow each other in the store, at least one.

    :param messages: what they say, one for each event.
    :param first_seq: the place of the first one.
    :param last_seq: the place of the last one.
    """

    events: tuple[StoredEvent, ...]
    messages: tuple[Message, ...]
    first_seq: int
    last_seq: int

    def after(self, seq: int) -> Batch:
        """Return what of it is after a place, itself where that is all; the place must be before its last one."""
        if seq < self.first_seq:
            return self
        start = bisect_right([event.seq for event in self.events], seq)
        return Batch(self.events[start:], self.messages[start:], self.events[start].seq, self.last_seq)


def build_batch(events: Sequence[StoredEvent]) -> Batch:
    """Return events, at least one, with what they say."""
    messages = tuple(read_message(stored.event) for stored in events)
    return Batch(tuple(events), messages, events[0].seq, events[-1].seq)


def read_message(event: NewEvent) -> Message:
    """Return what an event says; of one that cannot be read, its ids and why."""
    try:
        return parse_message(event.body)
    except DeliveryRefused as refused:
        return Message(event.event_id, event.subscription_id, anomalies=(f"unreadable: {refused}",))
