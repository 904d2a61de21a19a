"""Cache the Airflow connections that the receiver accepts deliveries for, and limit how often they are looked up."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from airflow_provider_toggl.core.webhooks.delivery import NO_CONNECTION, ReceivingConnection, refusal

log = logging.getLogger(__name__)

LookUp = Callable[[str], ReceivingConnection | None]
"""Returns the connection with an ID, or None where there is none. May block and may raise any exception."""

LIFETIME = 60.0
"""Seconds for which a connection is used without a new lookup, unless a signature does not match."""
PAUSE = 2.0
"""Least seconds between two lookups of one connection, so that wrong signatures do not flood a secrets backend."""
LOOKUP_TIMEOUT = 5.0
"""Seconds that a delivery waits for a lookup."""


@dataclass(frozen=True)
class _Lookup:
    """The result of a lookup, and when it began by the monotonic clock."""

    began: float
    connection: ReceivingConnection | None


class ConnectionCache:
    """The connections that the receiver accepts deliveries for, for one event loop. Lookups run in threads.

    A connection stays cached for its lifetime while lookups fail: somebody's wrong signatures cause lookups, and must
    not make valid deliveries fail too.

    :param conn_ids: the only connections that are ever looked up.
    :param lifetime: in seconds, as ``LIFETIME``.
    :param pause: in seconds, as ``PAUSE``.
    :param timeout: in seconds, as ``LOOKUP_TIMEOUT``.
    """

    def __init__(
        self,
        conn_ids: Iterable[str],
        look_up: LookUp,
        *,
        lifetime: float = LIFETIME,
        pause: float = PAUSE,
        timeout: float = LOOKUP_TIMEOUT,
    ) -> None:
        self._allowed = frozenset(conn_ids)
        self._look_up = look_up
        self._lifetime = lifetime
        self._pause = pause
        self._timeout = timeout
        # The latest lookup of each connection, and the latest that did not fail.
        self._lookups: dict[str, _Lookup] = {}
        self._answered: dict[str, _Lookup] = {}
        self._running: dict[str, asyncio.Task[None]] = {}

    def __contains__(self, conn_id: str) -> bool:
        return conn_id in self._allowed

    async def get(self, conn_id: str) -> ReceivingConnection:
        """Return a connection, cached or looked up.

        :raises DeliveryRefused: the connection does not exist, or the lookup failed.
        """
        now = time.monotonic()
        answered = self._answered.get(conn_id)
        if answered and answered.connection and now - answered.began < self._lifetime:
            return answered.connection
        lookup = self._lookups.get(conn_id)
        # A connection that was missing a moment ago is refused at once, without another lookup.
        return await self.get_newer_than(now - self._pause if lookup and lookup.connection is None else now, conn_id)

    async def get_newer_than(self, moment: float, conn_id: str) -> ReceivingConnection:
        """Return a connection by a lookup that began at or after a moment. Concurrent callers share one lookup.

        :param moment: of the monotonic clock.
        :raises DeliveryRefused: the connection does not exist, or the lookup failed or took too long.
        """
        try:
            lookup = await asyncio.wait_for(self._get_lookup(moment, conn_id), self._timeout)
        except asyncio.TimeoutError:
            raise refusal(NO_CONNECTION, f"The lookup of connection {conn_id!r} took too long.") from None
        if lookup.connection is None:
            raise refusal(NO_CONNECTION, f"Connection {conn_id!r} does not exist, or its lookup failed.")
        return lookup.connection

    def close(self) -> None:
        """Cancel the running lookups."""
        for task in self._running.values():
            task.cancel()

    async def _get_lookup(self, moment: float, conn_id: str) -> _Lookup:
        while True:
            lookup = self._lookups.get(conn_id)
            if lookup is not None and lookup.began >= moment:
                return lookup
            task = self._running.get(conn_id)
            if task is None:
                task = self._running[conn_id] = asyncio.create_task(self._run_lookup(conn_id))
            # Shielded: a caller that times out must not cancel the lookup that others wait for.
            await asyncio.shield(task)

    async def _run_lookup(self, conn_id: str) -> None:
        try:
            previous = self._lookups.get(conn_id)
            if previous is not None:
                await asyncio.sleep(max(0.0, previous.began + self._pause - time.monotonic()))
            began = time.monotonic()
            try:
                found = await asyncio.get_running_loop().run_in_executor(None, self._look_up, conn_id)
                self._answered[conn_id] = _Lookup(began, found)
            except Exception as error:  # noqa: BLE001 - a secrets backend may raise anything, with secrets in its text
                log.warning("The lookup of connection %r failed: %s", conn_id, type(error).__name__)
                found = None
            self._lookups[conn_id] = _Lookup(began, found)
        finally:
            del self._running[conn_id]
