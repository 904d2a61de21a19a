"""A sandbox whose changes are told in its own bodies: doubled, late and out of order, without a network."""

from __future__ import annotations

import random
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
from support.told_events import event

from airflow_provider_toggl.core.events.model import NewEvent
from airflow_provider_toggl.core.events.sqlite.engine import SqliteEventStore
from airflow_provider_toggl.core.load import merge
from airflow_provider_toggl.core.load.duckdb_target import DuckdbTarget
from airflow_provider_toggl.core.sync.drain import Drain, DrainRequest, DrainSummary
from airflow_provider_toggl.sandbox.mutate import mutate
from airflow_provider_toggl.sandbox.truth import truth
from airflow_provider_toggl.sandbox.webhooks.bodies import build_envelope, encode, nanos_z
from airflow_provider_toggl.sandbox.webhooks.book import Book, Event, Subscription
from airflow_provider_toggl.sandbox.world import Change, World

#: What must be right of each stream that events tell of.
FIELDS: dict[str, tuple[str, ...]] = {
    "time_entries": (
        "workspace_id",
        "user_id",
        "project_id",
        "task_id",
        "description",
        "billable",
        "tag_ids",
        "start",
        "stop",
        "duration",
    ),
    "projects": ("workspace_id", "client_id", "name", "active", "is_private", "color", "currency", "start_date"),
    "clients": ("workspace_id", "name", "archived", "notes", "creator_id"),
    "tags": ("workspace_id", "name", "creator_id"),
    "tasks": ("workspace_id", "project_id", "user_id", "name", "active", "estimated_seconds"),
    "users": ("workspace_id", "fullname", "email", "is_admin", "inactive"),
    "project_users": ("workspace_id", "project_id", "user_id", "manager"),
}
REQUEST = DrainRequest("default", "test")


class Telling:
    """Listens to a world and keeps what its webhooks would send.

    :param seed: decides how much time passes after each change: often less than a second, so that several changes of
        a thing have the same ``at``.
    :param subscriptions: how many want every event.
    """

    def __init__(self, world: World, seed: int, subscriptions: int = 1) -> None:
        self.world = world
        self.told: list[Event] = []
        self.rng = random.Random(seed)
        self._book = Book(world)
        for _ in range(subscriptions):
            self._subscribe()
        world.listeners.append(self._note)

    def change(self, count: int) -> None:
        """Make so many changes of any kind."""
        mutate(self.world, seed=self.rng.randrange(1_000_000), n=count)

    def deliveries(self, lateness: float = 200.0) -> list[NewEvent]:
        """Return what was told since the last call, as it comes: late, not in order, and some of it again.

        :param lateness: by how many places an event is late on the average of those that are.
        """
        told, self.told = self.told, []
        arrivals: list[tuple[float, Event]] = []
        for place, one in enumerate(told):
            # Most come as they are sent, some late, a few very late; and any may come more than once.
            for _ in range(1 + (self.rng.random() < 0.1) + (self.rng.random() < 0.02)):
                late = self.rng.choice((0.0, 3.0, lateness, lateness * 20))
                arrivals.append((place + self.rng.expovariate(1.0) * late, one))
        arrivals.sort(key=lambda pair: pair[0])
        return [event(self._body(one)) for _, one in arrivals]

    def bodies(self) -> list[NewEvent]:
        """Return what was told since the last call, once and in order."""
        told, self.told = self.told, []
        return [event(self._body(one)) for one in told]

    def _note(self, change: Change) -> None:
        self.told += self._book.make_events(change)
        self.world.advance(self.rng.choice((0.002, 0.05, 0.3, 2.0)))

    def _body(self, one: Event) -> bytes:
        subscription = self._book.subscriptions[one.subscription_id]
        # A try later than the first has another timestamp.
        sent_at = self.world.now() + timedelta(seconds=self.rng.random())
        return encode(build_envelope(one, subscription=subscription, timestamp=nanos_z(sent_at, 7)))

    def _subscribe(self) -> None:
        world, id_ = self.world, self._book.next_subscription_id()
        self._book.subscriptions[id_] = Subscription(
            id=id_,
            workspace_id=world.workspace.id,
            user_id=world.owner.id,
            description="",
            url_callback="https://example.org/hook",
            filters=(("*", "*"),),
            enabled=True,
            secret="",
            validation_code="",
            created_at=world.now(),
            validated_at=world.now(),
        )


def drain(store: SqliteEventStore, warehouse: Path) -> DrainSummary:
    """Drain all of a store into a warehouse."""
    with DuckdbTarget(warehouse, lock_timeout=1) as target:
        return Drain(store, target, REQUEST).run()


def wrong(world: World, warehouse: Path) -> list[str]:
    """Return how the live rows of a warehouse differ from what is true, in every field that events tell."""
    words: list[str] = []
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'; set schema = 'toggl'").fetchall()
        for stream, fields in FIELDS.items():
            names = ", ".join(f'"{name}"' for name in ("id", *fields))
            found = connection.execute(f"select {names} from {stream} where {merge.is_live()}").fetchall()
            words += differences(world, stream, {row[0]: dict(zip(fields, row[1:], strict=True)) for row in found})
    return words


def differences(world: World, stream: str, rows: dict[int, dict[str, Any]]) -> list[str]:
    """Return how live rows of a stream differ from what is true.

    :param rows: by id, with the fields of ``FIELDS``.
    """
    wanted = {row["id"]: row for row in truth(world, stream) if not row["deleted_at"]}
    words = [f"{stream} {id_} is missing" for id_ in wanted.keys() - rows.keys()]
    if stream != "users":
        # Nothing in the list of users says who has left.
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
