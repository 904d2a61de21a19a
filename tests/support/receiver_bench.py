"""A receiver of one connection over a real SQLite store, in the process of the test."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from support.deliveries import (
    PREVIOUS_SECRET,
    SECRET,
    Answered,
    ask,
)

from airflow_provider_toggl.core.events.sqlite_store import SqliteEventStore
from airflow_provider_toggl.core.events.store import StoredEvent
from airflow_provider_toggl.core.webhooks.app import Receiver
from airflow_provider_toggl.core.webhooks.delivery import ReceivingConnection
from airflow_provider_toggl.core.webhooks.handler import RequestLimits


def open_sqlite(path: Path) -> SqliteEventStore:
    """Open an event store with its tables."""
    store = SqliteEventStore(path)
    store.prepare()
    return store


class Bench:
    """A receiver of one connection over a real store, and what it was asked for."""

    def __init__(self, path: Path, **limits: Any) -> None:
        self.path = path
        self.connections: dict[str, ReceivingConnection] = {
            "toggl_default": ReceivingConnection("toggl_default", (SECRET, PREVIOUS_SECRET), workspace_id=7000001)
        }
        self.looked_up: list[str] = []
        self.opened: list[str] = []
        self.open_store: Callable[[], SqliteEventStore] = lambda: open_sqlite(path)
        self.receiver = Receiver(
            ["toggl_default", "removed"],
            self._look_up,
            self._open,
            limits=RequestLimits(lookup_pause=0.0) if not limits else RequestLimits(**limits),
        )

    def _look_up(self, conn_id: str) -> ReceivingConnection | None:
        self.looked_up.append(conn_id)
        return self.connections.get(conn_id)

    def _open(self, store: str) -> SqliteEventStore:
        self.opened.append(store)
        return self.open_store()

    def run(self, scenario: Callable[[], Awaitable[Any]]) -> Any:
        """Run a scenario in a loop of its own, as a server does: with the receiver's shutdown at its end."""

        async def main() -> Any:
            try:
                return await scenario()
            finally:
                await live(self.receiver, "lifespan.shutdown")

        return asyncio.run(main())

    def ask(self, *args: Any, **options: Any) -> Answered:
        """Send one request."""
        answered: Answered = self.run(lambda: ask(self.receiver, *args, **options))
        return answered

    def stored(self) -> list[StoredEvent]:
        if not self.path.exists():
            return []
        with SqliteEventStore(self.path) as store:
            return store.read(0, 1_000_000)


async def live(receiver: Receiver, *messages: str) -> list[str]:
    """Send lifespan messages and return what was answered."""
    coming = [{"type": message} for message in messages]
    answered: list[str] = []

    async def receive() -> dict[str, str]:
        return coming.pop(0)

    async def send(message: Any) -> None:
        answered.append(message["type"])

    await receiver({"type": "lifespan"}, receive, send)
    return answered
