"""The connections that deliveries come in for: looked up in threads, kept a while, and looked up again with a limit."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from airflow_provider_toggl.core.webhooks.delivery import NO_CONNECTION, ReceivingConnection, refuse

log = logging.getLogger(__name__)

LookUp = Callable[[str], ReceivingConnection | None]
"""Finds a connection by its id, None where there is none of it; may block and may raise anything."""

LIFETIME = 60.0
"""Seconds for which a connection is not looked up again while its secrets verify what comes."""
PAUSE = 2.0
"""Seconds between two looks at the same connection, so that wrong signatures do not flood a secrets backend."""
PATIENCE = 5.0
"""Seconds that a delivery waits for a look."""


@dataclass(frozen=True)
class _Look:
    """What was found at a moment of the monotonic clock, at which it was begun."""

    begun: float
    connection: ReceivingConnection | None


class Connections:
    """The allow-listed connections, for one event loop.

    :param conn_ids: the only ones that are ever looked up.
    :param lifetime: in seconds, as ``LIFETIME``.
    :param pause: in seconds, as ``PAUSE``.
    :param patience: in seconds, as ``PATIENCE``.
    """

    def __init__(
        self,
        conn_ids: Iterable[str],
        look_up: LookUp,
        *,
        lifetime: float = LIFETIME,
        pause: float = PAUSE,
        patience: float = PATIENCE,
    ) -> None:
        self._allowed = frozenset(conn_ids)
        self._look_up = look_up
        self._lifetime = lifetime
        self._pause = pause
        self._patience = patience
        self._looks: dict[str, _Look] = {}
        self._looking: dict[str, asyncio.Task[None]] = {}

    def __contains__(self, conn_id: str) -> bool:
        return conn_id in self._allowed

    def find_kept(self, conn_id: str) -> ReceivingConnection | None:
        """Return a connection that need not be looked up, None where it must."""
        look = self._looks.get(conn_id)
        return look.connection if look and time.monotonic() - look.begun < self._lifetime else None

    async def get(self, conn_id: str) -> ReceivingConnection:
        """Return a connection as it was not long ago.

        :raises DeliveryRefused: it is not there, or cannot be looked up now.
        """
        kept = self.find_kept(conn_id)
        if kept is not None:
            return kept
        look = self._looks.get(conn_id)
        now = time.monotonic()
        # What was not there a moment ago is not waited for.
        return await self.get_later_than(now - self._pause if look and look.connection is None else now, conn_id)

    async def get_later_than(self, moment: float, conn_id: str) -> ReceivingConnection:
        """Return a connection as it is after a moment of the monotonic clock, by a look that many may wait for.

        :raises DeliveryRefused: it is not there, or could not be looked up in time.
        """
        try:
            look = await asyncio.wait_for(self._look_later_than(moment, conn_id), self._patience)
        except asyncio.TimeoutError:
            raise refuse(NO_CONNECTION, f"Connection {conn_id!r} could not be looked up in time.") from None
        if look.connection is None:
            raise refuse(NO_CONNECTION, f"Connection {conn_id!r} is not there, or cannot be looked up now.")
        return look.connection

    def close(self) -> None:
        """End what is being looked up."""
        for task in self._looking.values():
            task.cancel()

    async def _look_later_than(self, moment: float, conn_id: str) -> _Look:
        while True:
            look = self._looks.get(conn_id)
            if look is not None and look.begun >= moment:
                return look
            task = self._looking.get(conn_id)
            if task is None:
                task = self._looking[conn_id] = asyncio.create_task(self._look(conn_id))
            # Shielded: one that gives up must not end the look of the others.
            await asyncio.shield(task)

    async def _look(self, conn_id: str) -> None:
        try:
            last = self._looks.get(conn_id)
            if last is not None:
                await asyncio.sleep(max(0.0, last.begun + self._pause - time.monotonic()))
            begun = time.monotonic()
            try:
                found = await asyncio.get_running_loop().run_in_executor(None, self._look_up, conn_id)
            except Exception as error:  # noqa: BLE001 - secrets backends raise anything; the text may hold what they keep
                log.warning("Connection %r could not be looked up: %s", conn_id, type(error).__name__)
                found = None
            self._looks[conn_id] = _Look(begun, found)
        finally:
            del self._looking[conn_id]
