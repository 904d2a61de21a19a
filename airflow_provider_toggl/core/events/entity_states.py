"""Read from the store what was known of an entity before an event, which is what transitions are compared with."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable

from airflow_provider_toggl.core.events.message import read_message
from airflow_provider_toggl.core.events.model import StoredEvent
from airflow_provider_toggl.core.events.store import EventStore
from airflow_provider_toggl.core.events.transitions import MAX_VERSIONS, EntityState, build_state, read_version

CACHE_SIZE = 1000
"""States that are cached, so that all followers of a store together cost one query an event."""


def find_state(store: EventStore, stored: StoredEvent) -> EntityState | None:
    """Return the state of an event's entity before the event, None where no earlier version is stored.

    Later events do not change the result, so an event that is read again gets the same transitions.
    """
    earlier = store.read_earlier(stored, MAX_VERSIONS)
    return build_state(read_version(one.event, read_message(one.event)) for one in earlier)


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
