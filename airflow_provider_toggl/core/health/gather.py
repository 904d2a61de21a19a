"""Health out of an event store and a quota book, part by part: what one cannot tell is unknown, with the reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, TypeVar

from airflow_provider_toggl.core.api.quota import Lane
from airflow_provider_toggl.core.clock import utc
from airflow_provider_toggl.core.errors import TogglError
from airflow_provider_toggl.core.events.logbook import reader_name, received_name
from airflow_provider_toggl.core.events.store import Consumer, EventStore
from airflow_provider_toggl.core.health import notes
from airflow_provider_toggl.core.health.state import Freshness, Health, LaneLeft, ReaderPlace
from airflow_provider_toggl.core.health.story import concerns
from airflow_provider_toggl.core.instants import parse_instant

T = TypeVar("T")

LOOKED_AT = 500
"""Events behind a reader's place among which the first that it is to land is looked for."""
NOT_REFUSED = frozenset({"stored", "duplicate", "ping"})
ENTITY_OF = {
    "time_entries": "time_entry",
    "projects": "project",
    "clients": "client",
    "tags": "tag",
    "tasks": "task",
    "users": "workspace_user",
    "project_users": "project_user",
}
"""The word that events have for what is in a stream."""


@dataclass(frozen=True)
class Sources:
    """Where health comes from; each may raise.

    :param open_store: opens the event store of the connection.
    :param lanes: tells what is left of each lane of the connection's token.
    :param workspace_id: of the connection, None where it names none.
    :param receives: whether deliveries may come in for it.
    """

    conn_id: str
    open_store: Callable[[], EventStore]
    lanes: Callable[[], Mapping[str, Lane]]
    workspace_id: int | None = None
    receives: bool = False


def gather(sources: Sources, now: datetime) -> Health:
    """Return the health of a connection; never raises for what cannot be found out.

    :param now: aware.
    """
    unknown: dict[str, str] = {}
    parts: dict[str, Any] = {}

    def find(part: str, look: Callable[[], T]) -> T | None:
        try:
            return look()
        except (TogglError, OSError) as error:
            unknown[part] = str(error)
            return None

    lanes = find("quota", sources.lanes) or {}
    store = find("store", sources.open_store)
    if store is None:
        reason = unknown.pop("store")
        unknown |= dict.fromkeys(("subscription", "freshness", "reconciliation"), reason)
    else:
        with store:
            looks = _Looks(store, sources.conn_id, now)
            for part, look in looks.all().items():
                parts |= find(part, look) or {}
    return Health(
        conn_id=sources.conn_id,
        at=now,
        workspace_id=sources.workspace_id,
        receives=sources.receives,
        lanes=tuple(_lane_left(name, lane) for name, lane in sorted(lanes.items())),
        unknown=unknown,
        **parts,
    )


def _lane_left(name: str, lane: Lane) -> LaneLeft:
    return LaneLeft(name, lane.total, lane.remaining, None if lane.resets_at is None else utc(lane.resets_at))


class _Looks:
    """Looks at one store; each look may raise."""

    def __init__(self, store: EventStore, conn_id: str, now: datetime) -> None:
        self._store = store
        self._conn_id = conn_id
        self._now = now

    @cached_property
    def _newest(self) -> dict[str | None, datetime]:
        return self._store.newest(self._conn_id)

    @cached_property
    def _last_seq(self) -> int:
        return self._store.last_seq()

    def all(self) -> dict[str, Callable[[], dict[str, Any]]]:
        """Return the looks by the part that they find out."""
        return {
            "subscription": self.subscription,
            "freshness": self.freshness,
            "reconciliation": self.reconciliation,
            "readers": self.readers,
        }

    def subscription(self) -> dict[str, Any]:
        conn_id = self._conn_id
        found: dict[str, Any] = {
            "last_delivery": max(self._newest.values(), default=None),
            "last_seq": self._last_seq,
        }
        day_ago = self._now - timedelta(days=1)
        found["refused"] = int(
            sum(
                sample.value
                for sample in self._store.logbook.samples(received_name(conn_id, ""), day_ago)
                if sample.name.rpartition("/")[2] not in NOT_REFUSED
            )
        )
        for note in self._store.logbook.notes(notes.subscriptions_name(conn_id)):
            told = notes.subscriptions_from(note.value["subscriptions"])
            found["subscriptions"] = (*found.get("subscriptions", ()), *told)
            found["told_at"] = min(note.noted_at, found.get("told_at", note.noted_at))
        return found

    def freshness(self) -> dict[str, Any]:
        streams = []
        for note in self._store.logbook.notes(notes.landing_name(self._conn_id)):
            workspace_id, stream = note.name.split("/")[-2:]
            watermark = note.value.get("watermark")
            streams.append(
                Freshness(
                    stream=stream,
                    workspace_id=int(workspace_id),
                    watermark=None if watermark is None else parse_instant(watermark),
                    ran_at=parse_instant(note.value["ran_at"]),
                    event_at=self._newest.get(ENTITY_OF.get(stream, "")),
                    warehouse=str(note.value.get("warehouse") or ""),
                )
            )
        return {"streams": tuple(streams)}

    def reconciliation(self) -> dict[str, Any]:
        found = self._store.logbook.notes(notes.reconciliation_name(self._conn_id))
        oldest = self._now - timedelta(days=notes.ALLOWED_FOR_DAYS)
        allowances = self._store.logbook.notes(notes.allowance_name(self._conn_id))
        allowed = [note for note in allowances if note.noted_at >= oldest]
        return {
            "reconciled": tuple(notes.reconciled_from(note.value) for note in found),
            "allowances": tuple(sorted(int(note.name.rpartition("/")[2]) for note in allowed)),
        }

    def readers(self) -> dict[str, Any]:
        said = {note.name: note.value for note in self._store.logbook.notes(reader_name(""))}
        return {
            "readers": tuple(self._place(one, said.get(reader_name(one.name), {})) for one in self._store.consumers())
        }

    def _place(self, consumer: Consumer, said: Mapping[str, Any]) -> ReaderPlace:
        lands_this = said.get("kind") == "landing" and said.get("conn_id") in (None, self._conn_id)
        return ReaderPlace(
            consumer.name,
            consumer.seq,
            self._last_seq - consumer.seq,
            consumer.updated_at,
            self._find_waiting(consumer, said) if lands_this else None,
            str(said.get("warehouse") or consumer.name) if lands_this else None,
        )

    def _find_waiting(self, consumer: Consumer, said: Mapping[str, Any]) -> datetime | None:
        """Return when the first event came that a reader is to land; what it passes over waits for nobody."""
        unread = self._store.read(consumer.seq, LOOKED_AT)
        return next((one.event.received_at for one in unread if concerns(self._store, one, said)), None)
