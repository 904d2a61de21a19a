"""The real receiver behind real HTTP in this process, for tests that make many stores and kill nothing."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import requests
import uvicorn
from support.deliveries import HEADER, SECRET, sign
from support.waiting import wait_until

from airflow_provider_toggl.core.events.sqlite_store import SqliteEventStore
from airflow_provider_toggl.core.events.store import EventStore
from airflow_provider_toggl.core.webhooks.app import Receiver
from airflow_provider_toggl.core.webhooks.delivery import ReceivingConnection
from airflow_provider_toggl.sandbox.server import listen

CONN_ID = "model"


@dataclass
class ShiftedClock:
    """A clock that is so many seconds off."""

    off: float = 0.0
    base: float = 0.0

    def now(self) -> float:
        return self.base + self.off

    def sleep(self, seconds: float) -> None:
        self.base += seconds


class ReceiverHost:
    """Receives for one store after the other.

    :param clock: that of the receiver's machine.
    """

    def __init__(self) -> None:
        self.clock = ShiftedClock()
        self._path: Path | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._http = requests.Session()
        self._http.trust_env = False
        self._app = SimpleNamespace(receiver=self._build())
        self._socket = listen("127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/toggl/webhooks/{CONN_ID}"
        config = uvicorn.Config(
            self._serve,
            log_level="error",
            access_log=False,
            lifespan="off",
            ws="none",
            interface="asgi3",
            # A test may take its time between two deliveries.
            timeout_keep_alive=3600,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), daemon=True)
        self._thread.start()
        wait_until(lambda: self._server.started, timeout=20)

    def receive_into(self, path: Path) -> None:
        """Keep what comes from now on in this file."""
        self._let_go()
        self._path = path
        self._app.receiver = self._build()

    def deliver(self, bodies: Iterable[bytes], *, secret: str = SECRET) -> list[int]:
        """Send bodies as Toggl does; return the statuses of the answers."""
        return [
            self._http.post(self.url, data=body, headers={HEADER: sign(body, secret)}, timeout=30).status_code
            for body in bodies
        ]

    def close(self) -> None:
        """Stop receiving."""
        self._let_go()
        self._http.close()
        self._server.should_exit = self._server.force_exit = True
        self._thread.join(timeout=10)
        self._socket.close()

    def _build(self) -> Receiver:
        path = self._path

        def look_up(conn_id: str) -> ReceivingConnection:
            return ReceivingConnection(conn_id, (SECRET,), store=str(path))

        def open_store(name: str) -> EventStore:
            store = SqliteEventStore(name)
            store.prepare()
            return store

        return Receiver([CONN_ID], look_up, open_store, clock=self.clock)

    def _let_go(self) -> None:
        """Close the store that was received into."""
        if self._loop is not None:
            asyncio.run_coroutine_threadsafe(self._app.receiver.close(), self._loop).result(20)

    async def _serve(self, scope: object, receive: object, send: object) -> None:
        self._loop = asyncio.get_running_loop()
        await self._app.receiver(scope, receive, send)
