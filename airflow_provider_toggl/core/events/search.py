"""What is looked for in the store, and what is told of the first event found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from airflow_provider_toggl.core.events.batch import read_message
from airflow_provider_toggl.core.events.filters import EventFilter
from airflow_provider_toggl.core.events.message import Message
from airflow_provider_toggl.core.events.store import EventStore, StoredEvent
from airflow_provider_toggl.core.events.transitions import MAX_VERSIONS, EntityState, build_state, read_version

CLOCKS_APART = timedelta(hours=1)
"""So far may the receiver's clock be behind: the time of an event is Toggl's, the store finds it by the receiver's."""


@dataclass(frozen=True)
class EventQuery:
    """Which events count.

    :param wanted: what they must be.
    :param since: when they must have been created at the earliest, aware, by Toggl's clock; by the receiver's where
        Toggl does not say. None: at any time.
    """

    wanted: EventFilter
    since: datetime | None = None

    def find_candidate(self, stored: StoredEvent, message: Message | None = None) -> Message | None:
        """Return the message of an event that counts if it brought a wanted transition, where any is wanted.

        Costs no query.

        :param message: the event's body, where it is read already.
        """
        event = stored.event
        if not self.wanted.may_match(event):
            return None
        if self.since is not None and (event.created_at or event.received_at) < self.since:
            return None
        message = message or read_message(event)
        return message if self.wanted.matches(message) else None

    def find_message(
        self,
        stored: StoredEvent,
        history: EventStore | Mapping[int, EntityState | None],
        message: Message | None = None,
    ) -> Message | None:
        """Return the message of an event that counts, with its wanted transitions; None for any other.

        :param history: where the version before is found: the store, asked only where a transition is wanted and
            everything else counts, or what it has said already, by ``seq``.
        :param message: the event's body, where it is read already.
        """
        found = self.find_candidate(stored, message)
        if found is None or not self.wanted.transitions:
            return found
        state = history[stored.seq] if isinstance(history, Mapping) else find_state(history, stored)
        transitions = self.wanted.find_transitions(stored.event, found, state)
        return replace(found, transitions=transitions) if transitions else None

    def begin(self, store: EventStore, consumer: str | None = None) -> tuple[EventQuery, int]:
        """Return the query as it is to be used, and the ``seq`` after which everything that counts is found.

        :param consumer: begin after what it has committed, whenever that was created; it may have committed nothing.
        """
        known = store.find_consumer(consumer) if consumer else None
        if known:
            return replace(self, since=None), known.seq
        return self, store.last_seq() if self.since is None else store.seq_before(self.since - CLOCKS_APART)


@dataclass(frozen=True)
class FirstMatch:
    """The first event that counts.

    :param count: how many did of those that were read, itself included.
    :param last_seq: place of the last of them.
    """

    stored: StoredEvent
    message: Message
    count: int
    last_seq: int

    def and_also(self, stored: StoredEvent) -> FirstMatch:
        """Return the same with one more counted."""
        return replace(self, count=self.count + 1, last_seq=stored.seq)

    def as_dict(self) -> dict[str, Any]:
        """Return what a task is told: small, of plain JSON, and without the payload.

        ``event_id`` is text: it may have more digits than a number of JSON keeps on its way.
        """
        event = self.stored.event
        return {
            "seq": self.stored.seq,
            "event_id": str(event.event_id),
            "entity": self.message.entity,
            "action": self.message.action,
            "entity_id": self.message.entity_id,
            "workspace_id": self.message.workspace_id,
            "created_at": _text(event.created_at),
            "received_at": _text(event.received_at),
            "count": self.count,
            "last_seq": self.last_seq,
            **({"transitions": list(self.message.transitions)} if self.message.transitions else {}),
        }


def find_state(store: EventStore, stored: StoredEvent) -> EntityState | None:
    """Return what a store says about an event's entity from before the event, None where it says nothing.

    The same whenever it is asked, so that an event that is read again is decided again in the same way.
    """
    earlier = store.read_earlier(stored, MAX_VERSIONS)
    return build_state(read_version(one.event, read_message(one.event)) for one in earlier)


def search(store: EventStore, query: EventQuery, after: int) -> tuple[FirstMatch | None, int]:
    """Read the store to its present end; return what was found first and how far it was read.

    Reading ends with the batch that has the first.

    :param after: the ``seq`` after which to begin.
    """
    while events := store.read(after):
        after = events[-1].seq
        found: FirstMatch | None = None
        for stored in events:
            if message := query.find_message(stored, store):
                found = found.and_also(stored) if found else FirstMatch(stored, message, 1, stored.seq)
        if found:
            return found, after
    return None, after


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
