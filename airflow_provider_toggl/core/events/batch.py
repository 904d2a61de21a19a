"""Consecutive events of a store with their parsed messages."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from airflow_provider_toggl.core.errors import DeliveryRefused
from airflow_provider_toggl.core.events.message import Message, parse_message
from airflow_provider_toggl.core.events.model import NewEvent, StoredEvent


@dataclass(frozen=True)
class EventBatch:
    """Consecutive events of the store, at least one.

    :param messages: their parsed messages, one for each event.
    :param first_seq: the ``seq`` of the first one.
    :param last_seq: the ``seq`` of the last one.
    """

    events: tuple[StoredEvent, ...]
    messages: tuple[Message, ...]
    first_seq: int
    last_seq: int

    def after(self, seq: int) -> EventBatch:
        """Return the part after a ``seq`` below the last one, the batch itself where that is all of it."""
        if seq < self.first_seq:
            return self
        start = bisect_right([event.seq for event in self.events], seq)
        return EventBatch(self.events[start:], self.messages[start:], self.events[start].seq, self.last_seq)


def build_event_batch(events: Sequence[StoredEvent]) -> EventBatch:
    """Return the batch of some events, at least one."""
    messages = tuple(read_message(stored.event) for stored in events)
    return EventBatch(tuple(events), messages, events[0].seq, events[-1].seq)


def read_message(event: NewEvent) -> Message:
    """Return the message of an event; of one that cannot be parsed, its ids and why."""
    try:
        return parse_message(event.body)
    except DeliveryRefused as refused:
        return Message(event.event_id, event.subscription_id, anomalies=(f"unreadable: {refused}",))
