"""Handle one HTTP request to the receiver: check the head, read the body, verify the signature, store, answer.

``RequestHandler.handle`` calls the steps in the order of the table in ``delivery``. This is plain ASGI: routing and
validation by a framework would cost as much again as all that is done here.
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

from airflow_provider_toggl.core.clock import Clock, utc
from airflow_provider_toggl.core.errors import DeliveryRefused
from airflow_provider_toggl.core.events.activity_log import DeliveryCounts
from airflow_provider_toggl.core.events.model import NewEvent
from airflow_provider_toggl.core.events.store import EventStore
from airflow_provider_toggl.core.webhooks.connection_cache import LIFETIME, PAUSE, ConnectionCache
from airflow_provider_toggl.core.webhooks.delivery import (
    BUSY,
    CUT,
    DUPLICATE,
    FAILED,
    MAX_BODY_BYTES,
    METHOD_NOT_ALLOWED,
    OUTCOMES,
    PING,
    STORED,
    UNKNOWN_CONNECTION,
    WRONG_SIGNATURE,
    Outcome,
    Ping,
    ReceivingConnection,
    check_head,
    read_delivery,
    refusal,
)
from airflow_provider_toggl.core.webhooks.group_commit import STORE_TIMEOUT, GroupCommit, Record, UnexpectedErrors
from airflow_provider_toggl.core.webhooks.outcome_buffer import PERIOD, OutcomeBuffer
from airflow_provider_toggl.core.webhooks.request_body import ByteBudget, Receive, RequestBody
from airflow_provider_toggl.core.webhooks.signature import HEADER, is_signed, parse_signature

log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
OpenStore = Callable[[str], EventStore]
"""Opens the event store that ``ReceivingConnection.store`` names, with its tables. Called in a thread."""

PREFIX = "/toggl"
"""Where the receiver is mounted in the API server, and how the paths of the standalone receiver begin."""
PING_TIMEOUT = 1.0
"""Seconds that the answer to a PING waits for its record to be stored. Then it is answered without."""
FLUSH_TIMEOUT = 2.0
"""Seconds that ``close`` waits for the last outcomes to be stored."""

_SIGNATURE = HEADER.lower().encode()


@dataclass(frozen=True)
class RequestLimits:
    """Limits of size and time.

    :param max_body_bytes: of one body.
    :param max_held_bytes: of all bodies that are being handled at once.
    :param max_unverified_bytes: of the bodies among them that wait for newer secrets to be looked up.
    :param body_timeout: seconds within which a body must arrive.
    :param store_timeout: seconds within which an event must be on disk.
    :param connection_lifetime: seconds for which a cached connection is used.
    :param lookup_pause: least seconds between two lookups of one connection.
    :param outcome_period: seconds between two reports of outcomes.
    """

    max_body_bytes: int = MAX_BODY_BYTES
    max_held_bytes: int = 64 << 20
    max_unverified_bytes: int = 8 << 20
    body_timeout: float = 10.0
    store_timeout: float = STORE_TIMEOUT
    connection_lifetime: float = LIFETIME
    lookup_pause: float = PAUSE
    outcome_period: float = PERIOD


@dataclass(frozen=True)
class Reply:
    """An HTTP response, ready to be sent."""

    outcome: Outcome
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...]


def build_reply(outcome: Outcome, body: bytes | None = None) -> Reply:
    """Return the response of an outcome.

    :param body: JSON; by default the outcome's name if it is a refusal. A duplicate gets the response of the first.
    """
    if body is None:
        body = b'{"received":true}' if outcome.status == 200 else json.dumps({"refused": outcome.name}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if outcome.retry_after is not None:
        headers.append((b"retry-after", str(outcome.retry_after).encode()))
    if outcome is METHOD_NOT_ALLOWED:
        headers.append((b"allow", b"POST"))
    return Reply(outcome, body, tuple(headers))


_REPLIES = {name: build_reply(outcome) for name, outcome in OUTCOMES.items()}
_HEALTHY = build_reply(Outcome("health", 200), b'{"status":"ok"}')


class RequestHandler:
    """Handles the receiver's requests in one event loop.

    :param connections: the connections that receive.
    :param open_store: opens an event store.
    """

    def __init__(
        self, connections: ConnectionCache, open_store: OpenStore, limits: RequestLimits, clock: Clock
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self._connections = connections
        self._open_store = open_store
        self._limits = limits
        self._clock = clock
        self._held = ByteBudget(limits.max_held_bytes)
        self._unverified = ByteBudget(limits.max_unverified_bytes)
        self._group_commits: dict[str, GroupCommit] = {}
        self._outcomes = OutcomeBuffer(self._report_outcomes, clock, period=limits.outcome_period)
        self._errors = UnexpectedErrors()

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one HTTP request and record its outcome."""
        path = _path(scope)
        if path == "/health":
            await _send(send, _HEALTHY)
            return
        conn_id = path[len("/webhooks/") :] if path.startswith("/webhooks/") else ""
        reason = None
        try:
            reply = await self._receive(conn_id, scope, receive)
        except DeliveryRefused as refused:
            reply, reason = _REPLIES[refused.outcome], str(refused)
            log.debug("Refused a delivery for connection %r as %s: %s", conn_id[:100], refused.outcome, reason)
        except Exception as error:  # noqa: BLE001 - it is logged, and the sender may try again
            reply, reason = _REPLIES[FAILED.name], self._errors.log_once(error)
        self._record_outcome(conn_id, reply.outcome, reason, scope)
        if reply.outcome is not CUT:
            await _send(send, reply)

    async def close(self) -> None:
        """Finish what is being written, and report the last outcomes."""
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._outcomes.flush(), FLUSH_TIMEOUT)
        for group_commit in self._group_commits.values():
            await group_commit.close()
        self._connections.close()

    # -- the steps of one request --------------------------------------------------------------------------------------

    async def _receive(self, conn_id: str, scope: Scope, receive: Receive) -> Reply:
        if conn_id not in self._connections:
            raise refusal(UNKNOWN_CONNECTION, "The path names no connection that receives.")
        content_lengths, signatures = [], []
        for name, value in scope["headers"]:
            if name == _SIGNATURE:
                signatures.append(value)
            elif name == b"content-length":
                content_lengths.append(value)
        check_head(scope["method"], content_lengths, max_bytes=self._limits.max_body_bytes)
        signature = parse_signature(signatures)
        body = RequestBody(self._held, max_bytes=self._limits.max_body_bytes)
        try:
            raw = await body.read(receive, timeout=self._limits.body_timeout)
            connection = await self._verify(conn_id, raw, signature)
            return await self.store(connection, raw)
        finally:
            body.release()

    async def _verify(self, conn_id: str, raw: bytes, signature: bytes) -> ReceivingConnection:
        """Return the connection if one of its secrets signed the body.

        A signature is refused only after a lookup of the secrets that began after the body had arrived. Otherwise a
        delivery that is signed with a secret set a moment ago would be refused.
        """
        arrived = time.monotonic()
        connection = await self._connections.get(conn_id)
        if is_signed(connection.secrets, raw, signature):
            return connection
        try:
            self._unverified.acquire(len(raw))
        except DeliveryRefused:
            raise refusal(BUSY, "Too many deliveries with wrong signatures wait for a lookup of the secrets.") from None
        try:
            connection = await self._connections.get_newer_than(arrived, conn_id)
        finally:
            self._unverified.release(len(raw))
        if not is_signed(connection.secrets, raw, signature):
            raise refusal(
                WRONG_SIGNATURE,
                "None of the connection's webhook secrets signed the body: the subscription has another secret, a "
                "proxy changed the body, or the sender is not Toggl.",
            )
        return connection

    async def store(self, connection: ReceivingConnection, raw: bytes) -> Reply:
        """Store a verified body and return its response.

        :raises DeliveryRefused: it is no event, or cannot be stored now.
        """
        delivery = read_delivery(connection, raw, utc(self._clock.now()))
        group_commit = self._get_group_commit(connection.store)
        if isinstance(delivery, NewEvent):
            appended = await group_commit.append(delivery)
            return _REPLIES[(DUPLICATE if appended.duplicate else STORED).name]
        return await self._answer_ping(connection, delivery, group_commit)

    async def _answer_ping(self, connection: ReceivingConnection, ping: Ping, group_commit: GroupCommit) -> Reply:
        if ping.handshake is None:
            await _save_soon(group_commit, ping.mark)
            return _REPLIES[PING.name]
        if not connection.echo_validation:
            await group_commit.save(ping.handshake)
            await _save_soon(group_commit, ping.mark)
            return _REPLIES[PING.name]
        if not await _save_soon(group_commit, ping.handshake, ping.mark):
            log.warning("Returned the validation code for connection %r without storing it.", connection.conn_id)
        return build_reply(PING, json.dumps({"validation_code": ping.handshake.validation_code}).encode())

    def _get_group_commit(self, store: str) -> GroupCommit:
        found = self._group_commits.get(store)
        if found is None:
            found = GroupCommit(lambda: self._open_store(store), name=store, timeout=self._limits.store_timeout)
            self._group_commits[store] = found
        return found

    # -- outcomes ------------------------------------------------------------------------------------------------------

    def _record_outcome(self, conn_id: str, outcome: Outcome, reason: str | None, scope: Scope) -> None:
        size = None
        if reason is not None:
            length = dict(scope["headers"]).get(b"content-length", b"")
            size = int(length) if length.isdigit() and len(length) < 10 else None
        known = conn_id if conn_id in self._connections else None
        self._outcomes.record(outcome.name, reason, conn_id=known, size=size)

    async def _report_outcomes(self, received: Mapping[str, DeliveryCounts]) -> None:
        """Save the outcomes of a period in the stores, and send the stores' metrics. What cannot be saved is lost."""
        for group_commit in self._group_commits.values():
            group_commit.measure()
        for conn_id, outcomes in received.items():
            try:
                connection = await self._connections.get(conn_id)
                await self._get_group_commit(connection.store).save(outcomes)
            except DeliveryRefused as refused:
                log.debug("The outcomes of connection %r were not stored: %s", conn_id, refused)


async def _save_soon(group_commit: GroupCommit, *records: Record) -> bool:
    """Save records for a limited time; return whether they are stored."""
    try:
        await asyncio.wait_for(asyncio.gather(*map(group_commit.save, records)), PING_TIMEOUT)
    except (DeliveryRefused, asyncio.TimeoutError):
        return False
    return True


def _path(scope: Scope) -> str:
    """Return the path below where the application is mounted, without its prefix."""
    path, root = scope["path"], scope.get("root_path", "")
    # The ASGI specification includes the root in the path; older servers and frameworks cut it off.
    if root and path.startswith(root + "/"):
        path = path[len(root) :]
    return str(path[len(PREFIX) :] if path.startswith(PREFIX + "/") else path)


async def _send(send: Send, reply: Reply) -> None:
    # A new list, because middleware around a mounted application appends to it.
    await send({"type": "http.response.start", "status": reply.outcome.status, "headers": list(reply.headers)})
    await send({"type": "http.response.body", "body": reply.body})
