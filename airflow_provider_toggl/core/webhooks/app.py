"""The receiver as an ASGI application.

It may be mounted below any path, also by a server that sends it no lifespan events, and be inherited by forked
processes: all that has threads and tasks is made by the first request, in the process and the event loop that serve it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from airflow_provider_toggl.core.clock import Clock, SystemClock
from airflow_provider_toggl.core.webhooks.connection_cache import Connections, LookUp
from airflow_provider_toggl.core.webhooks.handler import Desk, Limits, OpenStore, Scope, Send
from airflow_provider_toggl.core.webhooks.outcome_counters import Counters
from airflow_provider_toggl.core.webhooks.request_body import Receive


class Receiver:
    """The application.

    :param conn_ids: the connections that deliveries may come in for; all others are answered 404.
    :param look_up: finds one of them.
    :param open_store: opens an event store.
    :param limits: how much and how long.
    """

    def __init__(
        self,
        conn_ids: Iterable[str],
        look_up: LookUp,
        open_store: OpenStore,
        *,
        limits: Limits | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._conn_ids = tuple(conn_ids)
        self._look_up = look_up
        self._open_store = open_store
        self._limits = limits or Limits()
        self._clock = clock or SystemClock()
        self._desk: Desk | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the life of the server."""
        if scope["type"] == "http":
            await self._here().serve(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            await receive()
            await send({"type": "websocket.close", "code": 1000})

    def counts(self) -> dict[str, int]:
        """Return how many requests had each outcome in this process, as of the last settling."""
        return dict(self._desk.counters.totals) if self._desk is not None else {}

    def build_desk(self) -> Desk:
        """Return what serves in the running event loop."""
        limits = self._limits
        connections = Connections(self._conn_ids, self._look_up, lifetime=limits.lifetime, pause=limits.pause)
        return Desk(connections, self._open_store, limits, Counters(), self._clock)

    def _here(self) -> Desk:
        """Return what serves in this event loop. One that was inherited by a fork belongs to another."""
        loop = asyncio.get_running_loop()
        if self._desk is None or self._desk.loop is not loop:
            self._desk = self.build_desk()
        return self._desk

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                if self._desk is not None:
                    await self._desk.close()
                await send({"type": "lifespan.shutdown.complete"})
                return
            await send({"type": "lifespan.startup.complete"})
