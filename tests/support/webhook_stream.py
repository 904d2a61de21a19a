"""The webhook deliveries of a sandbox's changes: duplicated, late and out of order, without a network."""

from __future__ import annotations

import random
from datetime import timedelta
from pathlib import Path
from typing import Any

from support.sandboxes import write_subscription
from support.webhook_events import received_event

from airflow_provider_toggl.core.events.model import NewEvent
from airflow_provider_toggl.core.events.sqlite.engine import SqliteEventStore
from airflow_provider_toggl.core.load.engines.duckdb.engine import build_duckdb_warehouse
from airflow_provider_toggl.core.load.merging import rule
from airflow_provider_toggl.core.load.warehouse import Warehouse
from airflow_provider_toggl.core.sync.drain import Drain, DrainRequest, DrainSummary
from airflow_provider_toggl.sandbox.mutate import mutate
from airflow_provider_toggl.sandbox.webhooks.bodies import build_envelope, encode, nanos_z
from airflow_provider_toggl.sandbox.webhooks.records import WebhookEvent
from airflow_provider_toggl.sandbox.webhooks.registry import WebhookRegistry
from airflow_provider_toggl.sandbox.workspace.truth import truth
from airflow_provider_toggl.sandbox.workspace.world import World, WorldChange

#: The fields of each stream that events contain.
FIELDS: dict[str, tuple[str, ...]] = {
    "time_entries": (
        "workspace_id", "user_id", "project_id", "task_id", "description", "billable", "tag_ids", "start", "stop",
        "duration",
    ),
    "projects": ("workspace_id", "client_id", "name", "active", "is_private", "color", "currency", "start_date"),
    "clients": ("workspace_id", "name", "archived", "notes", "creator_id"),
    "tags": ("workspace_id", "name", "creator_id"),
    "tasks": ("workspace_id", "project_id", "user_id", "name", "active", "estimated_seconds"),
    "users": ("workspace_id", "fullname", "email", "is_admin", "inactive"),
    "project_users": ("workspace_id", "project_id", "user_id", "manager"),
}  # fmt: skip
REQUEST = DrainRequest("default", "test")


class WebhookStream:
    """Collects the events of a world's changes.

    :param seed: decides the time between changes: often less than a second, so that several changes of a record have
        the same ``at``.
    :param subscriptions: the number of subscriptions to all events.
    """

    def __init__(self, world: World, seed: int, subscriptions: int = 1) -> None:
        self.world = world
        self.events: list[WebhookEvent] = []
        self.rng = random.Random(seed)
        self._registry = WebhookRegistry(world)
        for _ in range(subscriptions):
            write_subscription(self._registry, world)
        world.listeners.append(self._record)

    def change(self, count: int) -> None:
        """Make random changes."""
        mutate(self.world, seed=self.rng.randrange(1_000_000), n=count)

    def deliveries(self, lateness: float = 200.0) -> list[NewEvent]:
        """Return the deliveries since the last call, as they arrive: late, out of order, and some of them twice.

        :param lateness: the average number of positions that a late event is late.
        """
        events, self.events = self.events, []
        arrivals: list[tuple[float, WebhookEvent]] = []
        for position, one in enumerate(events):
            # Most arrive as they are sent, some late, a few very late; and any may arrive more than once.
            for _ in range(1 + (self.rng.random() < 0.1) + (self.rng.random() < 0.02)):
                late = self.rng.choice((0.0, 3.0, lateness, lateness * 20))
                arrivals.append((position + self.rng.expovariate(1.0) * late, one))
        arrivals.sort(key=lambda pair: pair[0])
        return [received_event(self._body(one)) for _, one in arrivals]

    def bodies(self) -> list[NewEvent]:
        """Return the deliveries since the last call, once and in order."""
        events, self.events = self.events, []
        return [received_event(self._body(one)) for one in events]

    def _record(self, change: WorldChange) -> None:
        self.events += self._registry.create_events(change)
        self.world.advance(self.rng.choice((0.002, 0.05, 0.3, 2.0)))

    def _body(self, one: WebhookEvent) -> bytes:
        subscription = self._registry.subscriptions[one.subscription_id]
        # Later attempts have other timestamps.
        sent_at = self.world.now() + timedelta(seconds=self.rng.random())
        return encode(build_envelope(one, subscription=subscription, timestamp=nanos_z(sent_at, 7)))


def drain(store: SqliteEventStore, warehouse: Path) -> DrainSummary:
    """Drain all of a store into a warehouse."""
    with build_duckdb_warehouse(warehouse, lock_timeout=1) as target:
        return Drain(store, target, REQUEST).run()


def wrong(world: World, warehouse: Path) -> list[str]:
    """Return how the live rows of a DuckDB file differ from the truth, in every field that events contain."""
    with build_duckdb_warehouse(warehouse, lock_timeout=1) as target:
        return warehouse_differences(world, target)


def warehouse_differences(world: World, target: Warehouse) -> list[str]:
    """Return how the live rows of any warehouse differ from the truth, in every field that events contain."""
    words: list[str] = []
    for stream, fields in FIELDS.items():
        names = ", ".join(f'"{name}"' for name in ("id", *fields))
        found = target.query(f'select {names} from "{stream}" where {rule.is_live()}').to_pylist()
        words += differences(world, stream, {row.pop("id"): row for row in found})
    return words


def differences(world: World, stream: str, rows: dict[int, dict[str, Any]]) -> list[str]:
    """Return how the live rows of a stream differ from the truth.

    :param rows: by id, with the fields of ``FIELDS``.
    """
    wanted = {row["id"]: row for row in truth(world, stream) if not row["deleted_at"]}
    words = [f"{stream} {id_} is missing" for id_ in wanted.keys() - rows.keys()]
    if stream != "users":
        # The list of users does not show who was removed.
        words += [f"{stream} {id_} should be gone" for id_ in rows.keys() - wanted.keys()]
    for id_ in wanted.keys() & rows.keys():
        words += _differences(f"{stream} {id_}", wanted[id_], rows[id_])
    return words


def _differences(name: str, wanted: dict[str, Any], found: dict[str, Any]) -> list[str]:
    if "running" in wanted:
        duration = None if wanted["running"] else wanted["duration"]
        wanted = {**wanted, "description": wanted["description"] or "", "duration": duration}
        found = {**found, "description": found["description"] or "", "tag_ids": sorted(found["tag_ids"] or ())}
        for moment in ("start", "stop"):
            found[moment] = found[moment] and found[moment].strftime("%Y-%m-%dT%H:%M:%SZ")
    if "start_date" in found:
        found = {**found, "start_date": str(found["start_date"])}
    return [f"{name}: {key} is {found[key]!r}, not {wanted[key]!r}" for key in found if found[key] != wanted[key]]
