"""The receiver as an ASGI application.

It works below any mount path, without lifespan events, and if it was built before a fork. Therefore the first request
builds everything with threads or tasks, in the process and the event loop that serve it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from airflow_provider_toggl.core.clock import Clock, SystemClock
from airflow_provider_toggl.core.webhooks.connection_cache import ConnectionCache, LookUp
from airflow_provider_toggl.core.webhooks.handler import OpenStore, RequestHandler, RequestLimits, Scope, Send
from airflow_provider_toggl.core.webhooks.request_body import Receive


class Receiver:
    """An ASGI application that receives webhook deliveries.

    :param conn_ids: connections that receive; any other ID in ``/webhooks/{conn_id}`` is answered 404.
    :param look_up: returns a connection by its ID; it may block.
    :param open_store: opens an event store.
    """

    def __init__(
        self,
        conn_ids: Iterable[str],
        look_up: LookUp,
        open_store: OpenStore,
        *,
        limits: RequestLimits | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._conn_ids = tuple(conn_ids)
        self._look_up = look_up
        self._open_store = open_store
        self._limits = limits or RequestLimits()
        self._clock = clock or SystemClock()
        self._handler: RequestHandler | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection: a request, the server's lifespan, or a WebSocket, which is closed."""
        if scope["type"] == "http":
            await self._get_handler().handle(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._serve_lifespan(receive, send)
        else:
            await receive()
            await send({"type": "websocket.close", "code": 1000})

    def build_handler(self) -> RequestHandler:
        """Return a new request handler for the running event loop; benchmarks replace it."""
        limits = self._limits
        connections = ConnectionCache(
            self._conn_ids, self._look_up, lifetime=limits.connection_lifetime, pause=limits.lookup_pause
        )
        return RequestHandler(connections, self._open_store, limits, self._clock)

    async def close(self) -> None:
        """Finish what is being written and close the stores. Call it in the event loop that served the requests."""
        if self._handler is not None:
            await self._handler.close()

    def _get_handler(self) -> RequestHandler:
        """Return the handler of this event loop. A handler inherited by a fork belongs to another loop."""
        if self._handler is None or self._handler.loop is not asyncio.get_running_loop():
            self._handler = self.build_handler()
        return self._handler

    async def _serve_lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                await self.close()
                await send({"type": "lifespan.shutdown.complete"})
                return
            await send({"type": "lifespan.startup.complete"})
