"""Collect changes into batches, so that many changes at once start few DAG runs.

``Debounce`` decides when a batch is complete; ``ChangeBatch`` counts what is in it and summarizes it for the DAG.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import date, datetime, timezone
from typing import Any

from airflow_provider_toggl.core.errors import ConfigurationError
from airflow_provider_toggl.core.events.message import Message
from airflow_provider_toggl.core.events.model import StoredEvent
from airflow_provider_toggl.core.instants import parse_instant

MAX_IDS = 100
MAX_DAYS = 62
MAX_WORDS = 20

MIN_INTERVAL = 1.0
"""Least seconds between two batches: a triggerer passes its events on about once a second."""


@dataclass(frozen=True)
class Debounce:
    """When a batch of changes is complete. Two batches are at least ``MIN_INTERVAL`` apart.

    :param quiet_seconds: when no change was added for so long; the default waits just for those on their way.
    :param max_wait_seconds: at the latest so long after its first change.
    :param max_events: at the latest when it has so many changes.
    :raises ConfigurationError: a batch would never be complete, or too late.
    """

    quiet_seconds: float = 0.02
    max_wait_seconds: float = 30.0
    max_events: int = 10_000

    def __post_init__(self) -> None:
        if self.quiet_seconds < 0 or not 0 <= self.max_wait_seconds <= 120 or self.max_events < 1:
            raise ConfigurationError(
                f"Changes cannot be collected with quiet_seconds={self.quiet_seconds}, max_wait_seconds="
                f"{self.max_wait_seconds}, max_events={self.max_events}. quiet_seconds must be at least 0, "
                "max_wait_seconds from 0 to 120, and max_events at least 1."
            )

    def seconds_left(self, batch: ChangeBatch, previous_at: float, now: float) -> float:
        """Return how long to wait for more changes, 0 when the batch is complete.

        :param previous_at: when the previous batch was complete, by the same clock as ``now`` and the batch's times.
        """
        if batch.count >= self.max_events:
            return 0.0
        due = min(batch.last_added_at + self.quiet_seconds, batch.first_added_at + self.max_wait_seconds)
        return max(0.0, max(due, previous_at + MIN_INTERVAL) - now)


@dataclass
class ChangeBatch:
    """Matching events that came close together.

    :param first_added_at: when the first was added, by a monotonic clock, in seconds.
    :param last_added_at: when the last was added.
    """

    first_added_at: float
    last_added_at: float = 0.0
    first_seq: int = 0
    last_seq: int = 0
    count: int = 0
    entities: Counter[str] = field(default_factory=Counter)
    actions: set[str] = field(default_factory=set)
    transitions: Counter[str] = field(default_factory=Counter)
    days: set[date] = field(default_factory=set)
    workspaces: set[int | None] = field(default_factory=set)
    undated: int = 0
    ids: dict[str, dict[int, None]] = field(default_factory=dict)

    def add(self, stored: StoredEvent, message: Message, now: float) -> None:
        """Add one event."""
        self.last_added_at = now
        self.first_seq = self.first_seq or stored.seq
        self.last_seq = stored.seq
        self.count += 1
        entity = message.entity or "unknown"
        self.entities[entity] += 1
        self.actions.add(message.action or "unknown")
        self.transitions.update(message.transitions)
        self.workspaces.add(message.workspace_id)
        if message.entity_id is not None:
            self.ids.setdefault(entity, {}).setdefault(message.entity_id)
        if entity == "time_entry":
            day = _find_day(message)
            if day is None:
                self.undated += 1
            else:
                self.days.add(day)

    def as_dict(self) -> dict[str, Any]:
        """Return a summary as JSON of bounded size.

        ``days`` are the days, in UTC, on which the changed time entries start now. Toggl does not send the day on
        which an entry started before it was moved. ``undated`` counts time entries without a start. ``truncated`` is
        true if entities, days or ids are left out.
        """
        days, words = sorted(self.days), [entity for entity, _ in self.entities.most_common(MAX_WORDS)]
        ids: dict[str, list[int]] = {}
        room = MAX_IDS
        for entity in words:
            ids[entity] = list(self.ids.get(entity, ()))[:room]
            room -= len(ids[entity])
        (workspace,) = self.workspaces if len(self.workspaces) == 1 else (None,)
        has_all_ids = sum(map(len, self.ids.values())) == MAX_IDS - room
        return {
            "first_seq": self.first_seq,
            "last_seq": self.last_seq,
            "count": self.count,
            "workspace_id": workspace,
            "entities": {entity: self.entities[entity] for entity in words},
            "actions": sorted(self.actions)[:MAX_WORDS],
            **({"transitions": dict(sorted(self.transitions.items()))} if self.transitions else {}),
            "days": [day.isoformat() for day in days[:MAX_DAYS]],
            "undated": self.undated,
            "ids": ids,
            "truncated": not (has_all_ids and len(days) <= MAX_DAYS and len(words) == len(self.entities)),
        }


def _find_day(message: Message) -> date | None:
    start: Any = message.payload.get("start")
    if not isinstance(start, str):
        return None
    try:
        moment: datetime = parse_instant(start)
    except ValueError:
        return None
    return moment.astimezone(timezone.utc).date()
