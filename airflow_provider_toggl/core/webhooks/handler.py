"""What is asked of the receiver, in the order of ``receive``'s table, and what it answers.

Plain ASGI, without a framework: routing and validation by one cost as much again as all that is done here.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

from airflow_provider_toggl.core import metrics
from airflow_provider_toggl.core.clock import Clock, utc
from airflow_provider_toggl.core.errors import DeliveryRefused
from airflow_provider_toggl.core.events.model import NewEvent
from airflow_provider_toggl.core.events.store import EventStore
from airflow_provider_toggl.core.webhooks.connection_cache import LIFETIME, PAUSE, Connections
from airflow_provider_toggl.core.webhooks.delivery import (
    BUSY,
    CAP,
    CUT,
    FAILED,
    METHOD,
    OUTCOMES,
    PING,
    UNKNOWN_CONNECTION,
    Outcome,
    Ping,
    ReceivingConnection,
    check_head,
    echo,
    outcome_of,
    read_delivery,
    refuse,
)
from airflow_provider_toggl.core.webhooks.group_commit import PATIENCE, Note, Writer
from airflow_provider_toggl.core.webhooks.log_once import Faults
from airflow_provider_toggl.core.webhooks.outcome_buffer import PERIOD, Notebook
from airflow_provider_toggl.core.webhooks.outcome_counters import Counters
from airflow_provider_toggl.core.webhooks.request_body import Body, Budget, Receive
from airflow_provider_toggl.core.webhooks.signature import HEADER, is_signed, parse_signature, wrong_signature

log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
OpenStore = Callable[[str], EventStore]
"""Opens the event store that a ``ReceivingConnection.store`` names, its tables made; called in a thread."""

PREFIX = "/toggl"
"""Where the receiver is mounted, and what its paths begin with where it stands alone."""

_SIGNATURE = HEADER.lower().encode()
_ECHO_PATIENCE = 1.0
"""Seconds that a PING waits for what it leaves behind to be stored; it is answered then without."""


_LAST_WORDS = 2.0
"""Seconds that the end waits for what was noted to be in the store."""


@dataclass(frozen=True)
class Limits:
    """How much, and for how long.

    :param cap: bytes of a body.
    :param held: bytes of all bodies that are being received at once.
    :param doubted: bytes of those bodies whose signature waits for a look at newer secrets.
    :param slowest_body: seconds within which a body must have come.
    :param store_patience: seconds within which an event must be on disk.
    :param lifetime: seconds for which a connection is kept before it is looked up again.
    :param pause: seconds between two looks at one connection that wrong signatures cause.
    """

    cap: int = CAP
    held: int = 64 << 20
    doubted: int = 8 << 20
    slowest_body: float = 10.0
    store_patience: float = PATIENCE
    lifetime: float = LIFETIME
    pause: float = PAUSE


@dataclass(frozen=True)
class Reply:
    """What is answered, ready to be sent."""

    outcome: Outcome
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...]


def build_reply(outcome: Outcome, body: bytes | None = None) -> Reply:
    """Return the answer of an outcome.

    :param body: JSON; by default the outcome's name where it is a refusal. A duplicate gets what the first one got.
    """
    if body is None:
        body = b'{"received":true}' if outcome.status == 200 else json.dumps({"refused": outcome.name}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if outcome.retry_after is not None:
        headers.append((b"retry-after", str(outcome.retry_after).encode()))
    if outcome is METHOD:
        headers.append((b"allow", b"POST"))
    return Reply(outcome, body, tuple(headers))


_REPLIES = {name: build_reply(outcome) for name, outcome in OUTCOMES.items()}
_HEALTHY = Reply(Outcome("health", 200), b'{"status":"ok"}', build_reply(PING, b'{"status":"ok"}').headers)


class Desk:
    """What serves requests in one event loop.

    :param connections: those that deliveries may come in for.
    :param open_store: opens an event store.
    :param limits: how much and how long.
    :param counters: of the outcomes; they are published as metrics.
    """

    def __init__(
        self, connections: Connections, open_store: OpenStore, limits: Limits, counters: Counters, clock: Clock
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.counters = counters
        counters.publish = self.measure
        self._connections = connections
        self._open_store = open_store
        self._limits = limits
        self._clock = clock
        self._budget = Budget(limits.held)
        self._doubted = Budget(limits.doubted)
        self._writers: dict[str, Writer] = {}
        self._faults = Faults()
        self._notebook = Notebook()
        self._telling: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        path = _path(scope)
        if path == "/health":
            await _send(send, _HEALTHY)
            return
        conn_id = path[len("/webhooks/") :] if path.startswith("/webhooks/") else ""
        reason = None
        try:
            reply = await self._handle(conn_id, scope, receive)
        except DeliveryRefused as refusal:
            reply, reason = _REPLIES[refusal.outcome], str(refusal)
            log.debug("Refused for connection %r as %s: %s", conn_id[:100], refusal.outcome, reason)
        except Exception as error:  # noqa: BLE001 - it is told, and the sender may try again
            reply, reason = _REPLIES[FAILED.name], self._faults.tell(error)
        self.counters.count(reply.outcome.name, reason)
        if conn_id in self._connections:
            self._remember(conn_id, reply.outcome, reason, scope)
        if reply.outcome is not CUT:
            await _send(send, reply)

    def measure(self, outcomes: Mapping[str, int]) -> None:
        """Send how many more there are of each outcome, and let the writers tell of their stores."""
        for name, number in outcomes.items():
            metrics.DELIVERIES.add(number, outcome=name)
        for writer in self._writers.values():
            writer.measure()

    async def close(self) -> None:
        """Finish what is being written, and tell the last counts."""
        if self._telling is not None:
            self._telling.cancel()
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._tell(), _LAST_WORDS)
        for writer in self._writers.values():
            await writer.close()
        self._connections.close()
        self.counters.flush()

    def _remember(self, conn_id: str, outcome: Outcome, reason: str | None, scope: Scope) -> None:
        """Note a delivery for those who look at the store's logbook; what nobody is waiting for comes later."""
        self._notebook.count(conn_id, outcome.name)
        if reason is not None:
            length = dict(scope["headers"]).get(b"content-length", b"")
            size = int(length) if length.isdigit() and len(length) < 10 else None
            self._notebook.refuse(conn_id, outcome.name, reason, at=utc(self._clock.now()), size=size)
        if self._telling is None:
            self._telling = self.loop.call_later(PERIOD, self._begin_telling)

    def _begin_telling(self) -> None:
        self._telling = None
        task = self.loop.create_task(self._tell())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _tell(self) -> None:
        """Hand what was noted to the stores; what they do not take is forgotten."""
        for conn_id, received in self._notebook.take(utc(self._clock.now())).items():
            try:
                connection = self._connections.find_kept(conn_id) or await self._connections.get(conn_id)
                writer = self._writers.get(connection.store) or self._open_writer(connection.store)
                await writer.keep(received)
            except DeliveryRefused as refusal:
                log.debug("What came for connection %r is not in the logbook: %s", conn_id, refusal)

    async def _handle(self, conn_id: str, scope: Scope, receive: Receive) -> Reply:
        if conn_id not in self._connections:
            raise refuse(UNKNOWN_CONNECTION, "The path names no connection that receives.")
        lengths, signatures = [], []
        for name, value in scope["headers"]:
            if name == _SIGNATURE:
                signatures.append(value)
            elif name == b"content-length":
                lengths.append(value)
        check_head(scope["method"], lengths, cap=self._limits.cap)
        signature = parse_signature(signatures)
        body = Body(self._budget, cap=self._limits.cap)
        try:
            raw = await body.read(receive, patience=self._limits.slowest_body)
            connection = await self._verify(conn_id, raw, signature)
            return await self.keep(connection, raw)
        finally:
            body.release()

    async def _verify(self, conn_id: str, raw: bytes, signature: bytes) -> ReceivingConnection:
        """Return the connection one of whose secrets signed the bytes.

        A signature is called wrong only after a look at the secrets that was begun after the bytes had come: else a
        delivery with a secret that was set a moment ago would be refused.
        """
        arrived = time.monotonic()
        connection = self._connections.find_kept(conn_id) or await self._connections.get(conn_id)
        if is_signed(connection.secrets, raw, signature):
            return connection
        try:
            self._doubted.take(len(raw))
        except DeliveryRefused:
            raise refuse(BUSY, "Too many deliveries with wrong signatures wait for a look at the secrets.") from None
        try:
            connection = await self._connections.get_later_than(arrived, conn_id)
        finally:
            self._doubted.give_back(len(raw))
        if not is_signed(connection.secrets, raw, signature):
            raise wrong_signature()
        return connection

    async def keep(self, connection: ReceivingConnection, raw: bytes) -> Reply:
        """Store rightly signed bytes and return what is answered to them.

        :raises DeliveryRefused: they are no event, or cannot be stored now.
        """
        delivery = read_delivery(connection, raw, utc(self._clock.now()))
        writer = self._writers.get(connection.store) or self._open_writer(connection.store)
        if isinstance(delivery, NewEvent):
            return _REPLIES[outcome_of(await writer.append(delivery)).name]
        return await self._answer_ping(connection, delivery, writer)

    async def _answer_ping(self, connection: ReceivingConnection, ping: Ping, writer: Writer) -> Reply:
        if ping.handshake is None:
            await _keep_soon(writer, ping.mark)
            return _REPLIES[PING.name]
        if not connection.echoes:
            await writer.keep(ping.handshake)
            await _keep_soon(writer, ping.mark)
            return _REPLIES[PING.name]
        if not await _keep_soon(writer, ping.handshake, ping.mark):
            log.warning("The validation code for connection %r was echoed but not stored.", connection.conn_id)
        return build_reply(PING, echo(ping.handshake))

    def _open_writer(self, store: str) -> Writer:
        writer = Writer(lambda: self._open_store(store), name=store, patience=self._limits.store_patience)
        self._writers[store] = writer
        return writer


async def _keep_soon(writer: Writer, *notes: Note) -> bool:
    """Keep notes and return whether they are kept; the PING is answered in time and rightly either way."""
    try:
        await asyncio.wait_for(asyncio.gather(*map(writer.keep, notes)), _ECHO_PATIENCE)
    except (DeliveryRefused, asyncio.TimeoutError):
        return False
    return True


def _path(scope: Scope) -> str:
    """Return the path below where the application is mounted, with or without its prefix."""
    path, root = scope["path"], scope.get("root_path", "")
    # By the ASGI specification the path has the root in it; older servers and frameworks cut it off.
    if root and path.startswith(root + "/"):
        path = path[len(root) :]
    return str(path[len(PREFIX) :] if path.startswith(PREFIX + "/") else path)


async def _send(send: Send, reply: Reply) -> None:
    # A list of its own: middleware around a mounted application adds to it.
    await send({"type": "http.response.start", "status": reply.outcome.status, "headers": list(reply.headers)})
    await send({"type": "http.response.body", "body": reply.body})
