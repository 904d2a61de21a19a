"""Collection of the facts about a connection, from the event store, the rate-limit state and on request a warehouse."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_toggl.core.client.limits.quota import Lane
from airflow_provider_toggl.core.client.limits.state import ClaimedShare
from airflow_provider_toggl.core.clock import utc
from airflow_provider_toggl.core.errors import TogglError
from airflow_provider_toggl.core.events.activity_log import received_key
from airflow_provider_toggl.core.events.listing import list_deliveries
from airflow_provider_toggl.core.events.model import Consumer, DeliveryFilter
from airflow_provider_toggl.core.events.store import EventStore
from airflow_provider_toggl.core.instants import parse_instant
from airflow_provider_toggl.core.operate.health import records
from airflow_provider_toggl.core.operate.health.diagnosis import PARTS
from airflow_provider_toggl.core.operate.health.facts import (
    MAX_PENDING,
    ConsumerPosition,
    DeclaredSubscription,
    Health,
    LaneQuota,
    StreamFreshness,
)
from airflow_provider_toggl.core.operate.health.timeline import LOADER, is_relevant, list_described
from airflow_provider_toggl.core.operate.health.waiting import waiting_from, waiting_key
from airflow_provider_toggl.core.streams import STREAM_BY_ENTITY

if TYPE_CHECKING:
    from airflow_provider_toggl.core.load.warehouse import Warehouse

T = TypeVar("T")

SEARCHED_EVENTS = 500
"""Events after a consumer's position among which the oldest pending one is searched."""
STORED_OUTCOMES = frozenset({"stored", "duplicate", "ping"})
_FIND_PROGRESS = (
    'select "stream", "scope", "watermark", "last_run_at", "cursor" from "sync_state" order by "stream", "scope"'
)


@dataclass(frozen=True)
class HealthSources:
    """Where the facts are read from; each source may raise.

    :param open_store: opens the event store of the connection.
    :param lanes: returns the quota lanes of the connection's token.
    :param shares: returns which tasks sent the requests of the current windows.
    :param workspace_id: of the connection, None if it names none.
    :param receives: whether this host's receiver accepts deliveries for it.
    """

    conn_id: str
    open_store: Callable[[], EventStore]
    lanes: Callable[[], Mapping[str, Lane]]
    shares: Callable[[], Sequence[ClaimedShare]] = tuple
    workspace_id: int | None = None
    receives: bool = False
    has_secret: bool = False


def collect_health(sources: HealthSources, now: datetime) -> Health:
    """Return what is recorded about a connection. A part that cannot be read is in ``unknown``, with the reason.

    :param now: aware.
    """
    unknown: dict[str, str] = {}
    facts: dict[str, Any] = {}

    def read(part: str, source: Callable[[], T]) -> T | None:
        try:
            return source()
        except (TogglError, OSError) as error:
            unknown[part] = str(error)
            return None

    lanes = read("quota", sources.lanes) or {}
    shares = read("quota", sources.shares) or ()
    store = read("store", sources.open_store)
    if store is None:
        reason = unknown.pop("store")
        unknown |= dict.fromkeys((part for part in PARTS if part != "quota"), reason)
    else:
        with store:
            reader = _StoreReader(store, sources.conn_id, now, sources.workspace_id)
            for part, source in reader.sources().items():
                facts |= read(part, source) or {}
    return Health(
        conn_id=sources.conn_id,
        at=now,
        workspace_id=sources.workspace_id,
        receives=sources.receives,
        has_secret=sources.has_secret,
        lanes=lanes_from(lanes),
        shares=tuple(shares),
        unknown=unknown,
        **facts,
    )


def lanes_from(lanes: Mapping[str, Lane]) -> tuple[LaneQuota, ...]:
    """Return lanes by name."""
    return tuple(
        LaneQuota(name, lane.total, lane.remaining, None if lane.resets_at is None else utc(lane.resets_at))
        for name, lane in sorted(lanes.items())
    )


def read_streams(target: Warehouse, health: Health, warehouse: str) -> Health:
    """Return health with the streams as the warehouse has them, instead of those that tasks recorded.

    :param warehouse: connection and schema, for display.
    """
    from airflow_provider_toggl.core.load.engines.contract import instants_of  # noqa: PLC0415 - loads pyarrow

    found = target.query(_FIND_PROGRESS)
    names = [found[name].to_pylist() for name in ("stream", "scope", "cursor")]
    moments = [instants_of(found[name]) for name in ("watermark", "last_run_at")]
    events = {one.stream: one.event_at for one in health.streams}
    streams = tuple(
        StreamFreshness(
            stream, int(scope), watermark, ran_at, events.get(stream), warehouse, skipped=_find_skipped(cursor)
        )
        for stream, scope, cursor, watermark, ran_at in zip(*names, *moments, strict=True)
        # Other scopes are cursors of the event store and of reconciliation.
        if str(scope).isdecimal()
    )
    return replace(health, streams=streams)


def _find_skipped(cursor: str) -> str:
    """Return why the stream was skipped at its last run, as its cursor says; empty if it was not."""
    try:
        found = json.loads(cursor)
    except ValueError:
        return ""
    return str(found.get("skipped") or "") if isinstance(found, dict) else ""


class _StoreReader:
    """Reads facts of a connection from one store; each method returns fields of ``Health`` and may raise."""

    def __init__(self, store: EventStore, conn_id: str, now: datetime, workspace_id: int | None) -> None:
        self._store = store
        self._log = store.activity_log
        self._workspace_id = workspace_id
        self._conn_id = conn_id
        self._now = now

    @cached_property
    def _newest(self) -> dict[str | None, datetime]:
        return self._store.find_newest_by_entity(self._conn_id)

    @cached_property
    def _last_seq(self) -> int:
        return self._store.last_seq()

    def sources(self) -> dict[str, Callable[[], dict[str, Any]]]:
        """Return the methods by the part that they belong to."""
        return {
            "subscription": self._subscription,
            "freshness": self._freshness,
            "reconciliation": self._reconciliation,
            "pending_events": self._consumers,
            "waiting": self._waiting,
        }

    def _subscription(self) -> dict[str, Any]:
        received = self._log.list_measurements(received_key(self._conn_id, ""), self._now - timedelta(days=1))
        refused = sum(one.value for one in received if one.name.rpartition("/")[2] not in STORED_OUTCOMES)
        lists = self._log.list_status(records.subscriptions_key(self._conn_id))
        rows = [row for entry in lists for row in entry.value["subscriptions"]]
        declared = records.find_declaration(self._log, self._conn_id)
        return {
            "last_delivery": max(self._newest.values(), default=None),
            "last_seq": self._last_seq,
            "refused": int(refused),
            "subscriptions": records.subscriptions_from(rows) if lists else None,
            "listed_at": min((entry.recorded_at for entry in lists), default=None),
            "declared": declared
            and DeclaredSubscription(str(declared.get("description") or ""), declared.get("enabled") is not False),
        }

    def _freshness(self) -> dict[str, Any]:
        newest = {stream: self._newest.get(entity) for entity, stream in STREAM_BY_ENTITY.items()}
        loads = records.loads_from(self._log.list_status(records.load_key(self._conn_id)))
        streams = []
        for (workspace_id, stream, warehouse), value in sorted(loads.items()):
            watermark = None if value.get("watermark") is None else parse_instant(value["watermark"])
            ran_at = parse_instant(value["ran_at"])
            skipped = str(value.get("skipped") or "")
            event_at = newest.get(stream)
            streams.append(StreamFreshness(stream, workspace_id, watermark, ran_at, event_at, warehouse, skipped))
        return {"streams": tuple(streams)}

    def _reconciliation(self) -> dict[str, Any]:
        oldest = self._now - timedelta(days=records.APPROVAL_DAYS)
        approvals = self._log.list_status(records.approval_key(self._conn_id))
        approved = sorted(int(one.name.rpartition("/")[2]) for one in approvals if one.recorded_at >= oldest)
        reconciliations = self._log.list_status(records.reconciliation_key(self._conn_id))
        return {
            "reconciliations": records.reconciliations_from(reconciliations),
            "approvals": tuple(approved),
        }

    def _consumers(self) -> dict[str, Any]:
        positions = (self._find_position(one, description) for one, description in list_described(self._store))
        return {"consumers": tuple(one for one in positions if one is not None)}

    def _waiting(self) -> dict[str, Any]:
        found = [waiting_from(entry.value) for entry in self._log.list_status(waiting_key(self._conn_id))]
        current = [one for one in found if one is not None and one.is_current(self._now)]
        return {"waiting": tuple(sorted(current, key=lambda one: one.until))}

    def _find_position(self, consumer: Consumer, described: Mapping[str, Any]) -> ConsumerPosition | None:
        """Return the position of a consumer, None for one that does not read this connection's events."""
        workspaces = (described.get("filter") or {}).get("workspace_ids") or [described.get("workspace_id")]
        if described.get("conn_id") not in (None, self._conn_id):
            return None
        if self._workspace_id is not None and not {None, self._workspace_id} & set(workspaces):
            return None
        behind = self._last_seq - consumer.seq
        position = ConsumerPosition(consumer.name, consumer.seq, behind, consumer.updated_at)
        if described.get("kind") != LOADER:
            return position
        pending, oldest_at = self._find_pending(consumer, described)
        warehouse = str(described.get("warehouse") or consumer.name)
        return replace(position, oldest_pending_at=oldest_at, loads_into=warehouse, pending=pending)

    def _find_pending(self, consumer: Consumer, described: Mapping[str, Any]) -> tuple[int, datetime | None]:
        """Return how many events of this connection a consumer has still to load, and when the oldest was received.

        Events that it skips, and those of other connections in the same store, are not counted.
        """
        if self._last_seq <= consumer.seq:
            return 0, None
        wanted = DeliveryFilter(self._conn_id, above=consumer.seq)
        newer = list_deliveries(self._store, wanted, limit=MAX_PENDING).deliveries
        pending = [one for one in newer if described.get("workspace_id") in (None, one.workspace_id)]
        if not pending:
            return 0, None
        # The list starts with the newest and may not reach back to the oldest.
        oldest = next(
            (
                one.event.received_at
                for one in self._store.read(consumer.seq, SEARCHED_EVENTS)
                if one.event.conn_id == self._conn_id and is_relevant(self._store, one, described)
            ),
            pending[-1].received_at,
        )
        return len(pending), oldest
