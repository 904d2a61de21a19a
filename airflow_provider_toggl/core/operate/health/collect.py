"""Health out of an event store and a quota book, part by part: what one cannot tell is unknown, with the reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, TypeVar

from airflow_provider_toggl.core.client.limits.quota import Lane
from airflow_provider_toggl.core.clock import utc
from airflow_provider_toggl.core.errors import TogglError
from airflow_provider_toggl.core.events.listing import DeliveryFilter, list_deliveries
from airflow_provider_toggl.core.events.logbook import reader_name, received_name
from airflow_provider_toggl.core.events.store import Consumer, EventStore
from airflow_provider_toggl.core.instants import parse_instant
from airflow_provider_toggl.core.operate.health import records
from airflow_provider_toggl.core.operate.health.facts import (
    MAX_PENDING,
    PARTS,
    ConsumerPosition,
    Health,
    LaneQuota,
    StreamFreshness,
)
from airflow_provider_toggl.core.operate.health.timeline import concerns
from airflow_provider_toggl.core.operate.health.waiting import waiting_from, waiting_key

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
class HealthSources:
    """Where health comes from; each may raise.

    :param open_store: opens the event store of the connection.
    :param lanes: tells what is left of each lane of the connection's token.
    :param workspace_id: of the connection, None where it names none.
    :param receives: whether deliveries may come in for it.
    :param has_secret: whether it has a webhook secret.
    """

    conn_id: str
    open_store: Callable[[], EventStore]
    lanes: Callable[[], Mapping[str, Lane]]
    workspace_id: int | None = None
    receives: bool = False
    has_secret: bool = False


def collect_health(sources: HealthSources, now: datetime) -> Health:
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
        unknown |= dict.fromkeys((part for part in PARTS if part != "quota"), reason)
    else:
        with store:
            looks = _Looks(store, sources.conn_id, now, sources.workspace_id)
            for part, look in looks.all().items():
                parts |= find(part, look) or {}
    return Health(
        conn_id=sources.conn_id,
        at=now,
        workspace_id=sources.workspace_id,
        receives=sources.receives,
        has_secret=sources.has_secret,
        lanes=tuple(_lane_left(name, lane) for name, lane in sorted(lanes.items())),
        unknown=unknown,
        **parts,
    )


def _lane_left(name: str, lane: Lane) -> LaneQuota:
    return LaneQuota(name, lane.total, lane.remaining, None if lane.resets_at is None else utc(lane.resets_at))


class _Looks:
    """Looks at one store; each look may raise."""

    def __init__(self, store: EventStore, conn_id: str, now: datetime, workspace_id: int | None) -> None:
        self._store = store
        self._workspace_id = workspace_id
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
            "landing": self.landing,
            "waiting": self.waiting,
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
        for note in self._store.logbook.notes(records.subscriptions_key(conn_id)):
            told = records.subscriptions_from(note.value["subscriptions"])
            found["subscriptions"] = (*found.get("subscriptions", ()), *told)
            found["told_at"] = min(note.noted_at, found.get("told_at", note.noted_at))
        found["declared"] = records.find_declaration(self._store.logbook, conn_id)
        return found

    def freshness(self) -> dict[str, Any]:
        landings = records.loads_from(self._store.logbook.notes(records.load_key(self._conn_id)))
        streams = []
        for (workspace_id, stream, warehouse), value in sorted(landings.items()):
            watermark = value.get("watermark")
            streams.append(
                StreamFreshness(
                    stream=stream,
                    workspace_id=workspace_id,
                    watermark=None if watermark is None else parse_instant(watermark),
                    ran_at=parse_instant(value["ran_at"]),
                    event_at=self._newest.get(ENTITY_OF.get(stream, "")),
                    warehouse=warehouse,
                )
            )
        return {"streams": tuple(streams)}

    def reconciliation(self) -> dict[str, Any]:
        found = self._store.logbook.notes(records.reconciliation_key(self._conn_id))
        oldest = self._now - timedelta(days=records.APPROVAL_DAYS)
        allowances = self._store.logbook.notes(records.approval_key(self._conn_id))
        allowed = [note for note in allowances if note.noted_at >= oldest]
        return {
            "reconciled": records.reconciliations_from(found),
            "allowances": tuple(sorted(int(note.name.rpartition("/")[2]) for note in allowed)),
        }

    def landing(self) -> dict[str, Any]:
        said = {note.name: note.value for note in self._store.logbook.notes(reader_name(""))}
        places = (self._place(one, said.get(reader_name(one.name), {})) for one in self._store.consumers())
        return {"readers": tuple(place for place in places if place is not None)}

    def waiting(self) -> dict[str, Any]:
        found = (waiting_from(note.value) for note in self._store.logbook.notes(waiting_key(self._conn_id)))
        current = [one for one in found if one is not None and one.is_current(self._now)]
        return {"waiting": tuple(sorted(current, key=lambda one: one.until))}

    def _place(self, consumer: Consumer, said: Mapping[str, Any]) -> ConsumerPosition | None:
        """Return where a reader is, None for one that is not interested in this connection's events."""
        workspaces = (said.get("filter") or {}).get("workspace_ids") or [said.get("workspace_id")]
        if said.get("conn_id") not in (None, self._conn_id):
            return None
        if self._workspace_id is not None and not {None, self._workspace_id} & set(workspaces):
            return None
        if said.get("kind") != "landing":
            behind = self._last_seq - consumer.seq
            return ConsumerPosition(consumer.name, consumer.seq, behind, consumer.updated_at)
        pending, since = self._find_pending(consumer, said)
        return ConsumerPosition(
            consumer.name,
            consumer.seq,
            self._last_seq - consumer.seq,
            consumer.updated_at,
            since,
            str(said.get("warehouse") or consumer.name),
            pending,
        )

    def _find_pending(self, consumer: Consumer, said: Mapping[str, Any]) -> tuple[int, datetime | None]:
        """Return how many of this connection's events a reader is to land, and when the first of them came.

        Of what it passes over, and of other connections that share the store, nothing waits for it.
        """
        if self._last_seq <= consumer.seq:
            return 0, None
        wanted = DeliveryFilter(self._conn_id, above=consumer.seq)
        newer = list_deliveries(self._store, wanted, limit=MAX_PENDING).deliveries
        pending = [one for one in newer if said.get("workspace_id") in (None, one.workspace_id)]
        if not pending:
            return 0, None
        # The listing begins with the newest; of a long queue the first stands here.
        first = next(
            (
                one.event.received_at
                for one in self._store.read(consumer.seq, LOOKED_AT)
                if one.event.conn_id == self._conn_id and concerns(self._store, one, said)
            ),
            pending[-1].received_at,
        )
        return len(pending), first
