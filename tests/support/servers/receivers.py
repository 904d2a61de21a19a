"""Receivers of webhooks: in a process of its own, in a thread behind HTTP, or called in the test itself."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import requests
import uvicorn
from support.deliveries import HEADER, PREVIOUS_SECRET, SECRET, AsgiResponse, send_request, sign
from support.event_stores import open_sqlite
from support.processes import end_session
from support.waiting import wait_until

from airflow_provider_toggl.core.events.model import StoredEvent
from airflow_provider_toggl.core.events.sqlite.engine import SqliteEventStore
from airflow_provider_toggl.core.events.store import EventStore
from airflow_provider_toggl.core.webhooks.app import Receiver
from airflow_provider_toggl.core.webhooks.delivery import ReceivingConnection
from airflow_provider_toggl.core.webhooks.handler import RequestLimits
from airflow_provider_toggl.sandbox.server import listen

# Airflow prints lines before it.
_LISTENING = re.compile(r"^Receiving at http://[^/]+:(\d+)/.*\n", re.MULTILINE)


class ReceiverProcess:
    """``python -m airflow_provider_toggl receiver`` in a process of its own, within its ``with`` block.

    ::

        with ReceiverProcess(tmp_path, secret="...") as receiver:
            assert receiver.deliver(body).status_code == 200

    :param home: Airflow's home; without an ``event_store_conn_id`` the store is ``home/toggl/events.sqlite``.
    :param secret: the secret of connection ``toggl_default``.
    :param extra: more fields of its extra.
    :param env: more environment variables, such as other connections.
    :param arguments: more arguments of the command.
    :param program: run instead of the module, for a process that limits itself first.
    """

    def __init__(
        self,
        home: Path,
        *,
        secret: str = SECRET,
        extra: Mapping[str, Any] | None = None,
        env: Mapping[str, str] | None = None,
        arguments: Sequence[str] = (),
        program: Sequence[str] = ("-m", "airflow_provider_toggl"),
    ) -> None:
        self.home = home
        self.secret = secret
        fields = {"conn_type": "toggl", "password": "0" * 32, "extra": {"webhook_secret": secret, **(extra or {})}}
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
        self.env = kept | {
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}",
            "AIRFLOW_CONN_TOGGL_DEFAULT": json.dumps(fields),
            **(env or {}),
        }
        self._command = [sys.executable, *program, "receiver", *arguments]
        self._port = 0
        self._log, self._out = home / "receiver.log", home / "receiver.out"
        self.process: subprocess.Popen[bytes] | None = None
        self._http = requests.Session()
        self._http.trust_env = False

    @property
    def url(self) -> str:
        """Return its address; the same after a restart."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def store_path(self) -> Path:
        """Return the file of the default event store."""
        return self.home / "toggl" / "events.sqlite"

    def address(self, conn_id: str = "toggl_default") -> str:
        """Return the callback address of a connection."""
        return f"{self.url}/toggl/webhooks/{conn_id}"

    def __enter__(self) -> ReceiverProcess:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._http.close()
        if self.process is not None:
            end_session([self.process], timeout=15)

    def start(self, *, timeout: float = 60) -> None:
        """Start it and wait until it listens.

        :param timeout: in seconds.
        :raises RuntimeError: it ended, or was not ready in time.
        """
        self.home.mkdir(parents=True, exist_ok=True)
        command = [*self._command, "--port", str(self._port)]
        with self._log.open("ab") as log, self._out.open("wb") as out:
            self.process = subprocess.Popen(command, env=self.env, stdout=out, stderr=log, start_new_session=True)
        deadline = time.monotonic() + timeout
        while (listening := _LISTENING.search(self._out.read_text())) is None:
            if self.process.poll() is not None or time.monotonic() > deadline:
                end_session([self.process], timeout=0)
                raise RuntimeError(f"The receiver is not ready.\n{self._out.read_text()}\n{self.log()}")
            time.sleep(0.02)
        self._port = int(listening[1])

    def kill(self) -> None:
        """Kill it, as ``kill -9`` does."""
        assert self.process is not None
        end_session([self.process], timeout=0)

    def stop(self, *, timeout: float = 15) -> int:
        """Stop it and return its exit status.

        :param timeout: seconds after which it is killed.
        """
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(timeout)

    def log(self) -> str:
        """Return its log."""
        return self._log.read_text(errors="replace")

    def deliver(
        self,
        body: Any,
        *,
        signature: str | bytes | None = "",
        secret: str | None = None,
        conn_id: str = "toggl_default",
        timeout: float = 30,
    ) -> requests.Response:
        """Send a delivery.

        :param signature: instead of the correct one; None sends none.
        :param secret: signs the body instead of the connection's.
        :param timeout: in seconds.
        """
        headers: dict[str, Any] = {"Content-Type": "application/json"}
        if signature == "":
            signature = sign(body, secret or self.secret)
        if signature is not None:
            headers[HEADER] = signature
        return self._http.post(self.address(conn_id), data=body, headers=headers, timeout=timeout)

    def memory(self) -> int:
        """Return the memory of the process in bytes."""
        assert self.process is not None
        return int(psutil.Process(self.process.pid).memory_info().rss)


CONN_ID = "model"


@dataclass
class ShiftedClock:
    """A clock that is ``off`` seconds fast."""

    off: float = 0.0
    base: float = 0.0

    def now(self) -> float:
        return self.base + self.off

    def sleep(self, seconds: float) -> None:
        self.base += seconds


class ReceiverThread:
    """A receiver behind real HTTP in a thread, for one store after another; ``clock`` is its machine's clock."""

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
            # A test may wait long between two deliveries.
            timeout_keep_alive=3600,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), daemon=True)
        self._thread.start()
        wait_until(lambda: self._server.started, timeout=20)

    def receive_into(self, path: Path) -> None:
        """Store deliveries in this file from now on."""
        self._let_go()
        self._path = path
        self._app.receiver = self._build()

    def deliver(self, bodies: Iterable[bytes], *, secret: str = SECRET) -> list[int]:
        """Deliver bodies; return the statuses of the answers."""
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
        """Close the current store."""
        if self._loop is not None:
            asyncio.run_coroutine_threadsafe(self._app.receiver.close(), self._loop).result(20)

    async def _serve(self, scope: object, receive: object, send: object) -> None:
        self._loop = asyncio.get_running_loop()
        await self._app.receiver(scope, receive, send)


class InProcessReceiver:
    """A receiver of one connection without HTTP; records the connections and stores that it asked for."""

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

    async def __aenter__(self) -> InProcessReceiver:
        return self

    async def __aexit__(self, *_: object) -> None:
        await send_lifespan(self.receiver, "lifespan.shutdown")

    async def post(self, body: bytes, secret: str = SECRET, **options: Any) -> AsgiResponse:
        """Send one delivery, signed with a secret."""
        return await send_request(self.receiver, body, signature=sign(body, secret), **options)

    def ask(self, *args: Any, **options: Any) -> AsgiResponse:
        """Send one request, in an event loop of its own, and shut the receiver down afterwards."""

        async def main() -> AsgiResponse:
            async with self:
                return await send_request(self.receiver, *args, **options)

        return asyncio.run(main())

    def stored(self) -> list[StoredEvent]:
        if not self.path.exists():
            return []
        with SqliteEventStore(self.path) as store:
            return store.read(0, 1_000_000)


async def send_lifespan(receiver: Receiver, *messages: str) -> list[str]:
    """Send lifespan messages, and return the types of the answers."""
    coming = [{"type": message} for message in messages]
    answered: list[str] = []

    async def receive() -> dict[str, str]:
        return coming.pop(0)

    async def send(message: Any) -> None:
        answered.append(message["type"])

    await receiver({"type": "lifespan"}, receive, send)
    return answered
