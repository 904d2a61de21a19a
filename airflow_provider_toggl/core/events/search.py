"""Search the event store for matching events.

``find_state`` reads what was known of an entity before an event, with which transitions are compared. ``EventQuery``
decides whether an event matches; ``search`` reads the store for the first match.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_toggl.core.events.filters import EventFilter
from airflow_provider_toggl.core.events.message import Message, parse_stored_message
from airflow_provider_toggl.core.events.model import StoredEvent
from airflow_provider_toggl.core.events.transitions import MAX_VERSIONS, EntityState, build_state, read_version

if TYPE_CHECKING:
    from airflow_provider_toggl.core.events.store import EventStore

CACHE_SIZE = 1000
"""States that are cached, so that all followers of a store together cost one query an event."""
MAX_CLOCK_LAG = timedelta(hours=1)
"""How far the receiver's clock, by which the store finds events, may be behind Toggl's, by which ``since`` is."""


def find_state(store: EventStore, stored: StoredEvent) -> EntityState | None:
    """Return the state of an event's entity before the event, None where no earlier version is stored.

    Later events do not change the result, so an event that is read again gets the same transitions.
    """
    earlier = store.read_earlier(stored, MAX_VERSIONS)
    return build_state(read_version(one.event, parse_stored_message(one.event)) for one in earlier)


class StateCache:
    """Caches ``find_state`` by ``seq``. Any thread may use it."""

    def __init__(self) -> None:
        self._states: OrderedDict[int, EntityState | None] = OrderedDict()
        self._lock = threading.Lock()

    def find_states(self, store: EventStore, events: Iterable[StoredEvent]) -> dict[int, EntityState | None]:
        """Return, by ``seq``, the state of each event's entity before it. May block.

        :raises EventStoreError: the store cannot be read.
        """
        found: dict[int, EntityState | None] = {}
        with self._lock:
            for stored in events:
                if stored.seq not in self._states:
                    self._states[stored.seq] = find_state(store, stored)
                    if len(self._states) > CACHE_SIZE:
                        self._states.popitem(last=False)
                found[stored.seq] = self._states[stored.seq]
        return found

    def clear(self) -> None:
        """Forget all states: the store was replaced by another."""
        with self._lock:
            self._states.clear()


@dataclass(frozen=True)
class EventQuery:
    """Which events match.

    :param event_filter: what they must be.
    :param since: the earliest time of their creation, aware, by Toggl's clock; by the receiver's for events without a
        time of their own. None: any time.
    """

    event_filter: EventFilter
    since: datetime | None = None

    def find_candidate(self, stored: StoredEvent, message: Message | None = None) -> Message | None:
        """Return the message of an event that matches in everything but its transition, else None. Needs no query.

        :param message: the event's body, if it was parsed already.
        """
        event = stored.event
        if not self.event_filter.may_match(event):
            return None
        if self.since is not None and (event.created_at or event.received_at) < self.since:
            return None
        message = message or parse_stored_message(event)
        return message if self.event_filter.matches(message) else None

    def find_message(
        self,
        stored: StoredEvent,
        history: EventStore | Mapping[int, EntityState | None],
        message: Message | None = None,
    ) -> Message | None:
        """Return the message of a matching event, with its matching transitions, else None.

        :param history: where the entity's earlier state is: the store, which is queried only for a candidate of a
            filter with transitions, or states by ``seq``.
        :param message: the event's body, if it was parsed already.
        """
        found = self.find_candidate(stored, message)
        if found is None or not self.event_filter.transitions:
            return found
        state = history[stored.seq] if isinstance(history, Mapping) else find_state(history, stored)
        transitions = self.event_filter.find_transitions(stored.event, found, state)
        return replace(found, transitions=transitions) if transitions else None

    def resolve_start(self, store: EventStore, consumer: str | None = None) -> tuple[EventQuery, int]:
        """Return the query to use, and the ``seq`` after which all its matches are.

        :param consumer: start after what this consumer has committed, whenever that was created. Without a commit,
            start by ``since``.
        """
        known = store.find_consumer(consumer) if consumer else None
        if known:
            return replace(self, since=None), known.seq
        return self, store.last_seq() if self.since is None else store.seq_before(self.since - MAX_CLOCK_LAG)


@dataclass(frozen=True)
class FirstMatch:
    """The first matching event of those that were read.

    :param count: how many of those matched, the first included.
    :param last_seq: the last of them.
    """

    stored: StoredEvent
    message: Message
    count: int
    last_seq: int

    def as_dict(self) -> dict[str, Any]:
        """Return a task's result: small JSON without the payload.

        ``event_id`` is text, because it may have more digits than a JSON number keeps.
        """
        event = self.stored.event
        return {
            "seq": self.stored.seq,
            "event_id": str(event.event_id),
            "entity": self.message.entity,
            "action": self.message.action,
            "entity_id": self.message.entity_id,
            "workspace_id": self.message.workspace_id,
            "created_at": _isoformat(event.created_at),
            "received_at": _isoformat(event.received_at),
            "count": self.count,
            "last_seq": self.last_seq,
            **({"transitions": list(self.message.transitions)} if self.message.transitions else {}),
        }


def count_match(first: FirstMatch | None, stored: StoredEvent, message: Message) -> FirstMatch:
    """Return the first match, with one more counted."""
    if first is None:
        return FirstMatch(stored, message, 1, stored.seq)
    return replace(first, count=first.count + 1, last_seq=stored.seq)


def search(store: EventStore, query: EventQuery, after: int) -> tuple[FirstMatch | None, int]:
    """Read the store to its end, or to the end of the batch with the first match.

    :param after: the ``seq`` after which to start.
    :return: the first match, if any, and the last ``seq`` that was read.
    """
    while events := store.read(after):
        after = events[-1].seq
        first: FirstMatch | None = None
        for stored in events:
            if message := query.find_message(stored, store):
                first = count_match(first, stored, message)
        if first:
            return first, after
    return None, after


def _isoformat(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
