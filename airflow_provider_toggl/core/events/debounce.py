"""Many changes told as one: what is put together, when it is told, and in how few words."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import date, datetime, timezone
from typing import Any

from airflow_provider_toggl.core.errors import ConfigurationError
from airflow_provider_toggl.core.events.message import Message
from airflow_provider_toggl.core.events.store import StoredEvent
from airflow_provider_toggl.core.instants import parse_instant

MAX_IDS = 100
MAX_DAYS = 62
MAX_WORDS = 20


MIN_INTERVAL = 1.0
"""Seconds between one burst told and the next: a triggerer hands events over about so often, whatever it is given."""


@dataclass(frozen=True)
class Debounce:
    """When a burst of events is told: never within ``BREATH`` of the one before.

    :param quiet_seconds: as soon as so long nothing was added; by default just long enough for what is on its way.
    :param max_wait_seconds: at the latest so long after its first event.
    :param max_events: at the latest when it has so many.
    :raises ConfigurationError: a burst would never be told, or not in time.
    """

    quiet_seconds: float = 0.02
    max_wait_seconds: float = 30.0
    max_events: int = 10_000

    def __post_init__(self) -> None:
        if self.quiet_seconds < 0 or not 0 <= self.max_wait_seconds <= 120 or self.max_events < 1:
            raise ConfigurationError(
                f"A burst of events cannot be put together by quiet_seconds={self.quiet_seconds}, max_wait_seconds="
                f"{self.max_wait_seconds}, max_events={self.max_events}: give 0 seconds or more, of waiting 120 at "
                "most, and 1 event or more."
            )

    def seconds_left(self, burst: ChangeBatch, told: float, now: float) -> float:
        """Return how long to wait for more, 0 when the burst is to be told.

        :param told: when the burst before was told, by the same clock as ``now`` and the times of the burst.
        """
        if burst.count >= self.max_events:
            return 0.0
        due = min(burst.grew + self.quiet_seconds, burst.began + self.max_wait_seconds)
        return max(0.0, max(due, told + MIN_INTERVAL) - now)


@dataclass
class ChangeBatch:
    """Events that count and came close together.

    :param began: when the first was added, in seconds of a clock that only goes on.
    :param grew: when the last was.
    """

    began: float
    grew: float = 0.0
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
        """Count one more event."""
        self.grew = now
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
        """Return the burst in plain JSON of bounded size.

        ``days`` are the days, in UTC, on which the changed time entries begin now; where an entry was moved, the day
        that it began on before is not told by Toggl. ``undated`` counts those that do not say when they begin.
        ``truncated`` is true where there were more entities, days or ids than are told.
        """
        days, words = sorted(self.days), [entity for entity, _ in self.entities.most_common(MAX_WORDS)]
        ids: dict[str, list[int]] = {}
        room = MAX_IDS
        for entity in words:
            ids[entity] = list(self.ids.get(entity, ()))[:room]
            room -= len(ids[entity])
        (workspace,) = self.workspaces if len(self.workspaces) == 1 else (None,)
        whole = sum(map(len, self.ids.values())) == MAX_IDS - room
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
            "truncated": not (whole and len(days) <= MAX_DAYS and len(words) == len(self.entities)),
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
