"""Reading a request's body: not more of it, not longer and not beside more others than was allowed."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, cast

from airflow_provider_toggl.core.webhooks.delivery import BUSY, CUT, TOO_LARGE, TOO_SLOW, refuse

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class Budget:
    """How many bytes of bodies a process holds at once, from their first byte until they are answered.

    :param limit: bytes.
    """

    def __init__(self, limit: int) -> None:
        self._left = self._limit = limit

    @property
    def held(self) -> int:
        """Bytes that are held now."""
        return self._limit - self._left

    def take(self, size: int) -> None:
        """Hold so many bytes more.

        :raises DeliveryRefused: that is more than there may be.
        """
        if size > self._left:
            raise refuse(BUSY, f"The deliveries that are being received hold {self.held:,} bytes already.")
        self._left -= size

    def give_back(self, size: int) -> None:
        """Hold so many bytes less."""
        self._left += size


class Body:
    """The body of one request, whose bytes are held until ``release``.

    :param cap: bytes that it may have.
    """

    def __init__(self, budget: Budget, *, cap: int) -> None:
        self._budget = budget
        self._cap = cap
        self._held = 0

    async def read(self, receive: Receive, *, patience: float) -> bytes:
        """Return the whole body.

        :param receive: gives the messages of the request, by the ASGI specification.
        :param patience: seconds within which all of it must have come.
        :raises DeliveryRefused: it is too long, too slow, cut, or too much beside others.
        """
        task = cast("asyncio.Task[Any]", asyncio.current_task())  # a coroutine that awaits runs in one
        loop = asyncio.get_running_loop()
        timer = loop.call_later(patience, task.cancel)
        try:
            return await self._read(receive)
        except asyncio.CancelledError:
            if loop.time() < timer.when():
                raise  # somebody else's wish
            if sys.version_info >= (3, 11):
                task.uncancel()
            raise refuse(TOO_SLOW, f"The body did not come within {patience:g} s.") from None
        finally:
            timer.cancel()

    def release(self) -> None:
        """Hold it no longer."""
        self._budget.give_back(self._held)
        self._held = 0

    async def _read(self, receive: Receive) -> bytes:
        chunks: list[bytes] = []
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise refuse(CUT, "The sender hung up in the middle of the body.")
            chunk: bytes = message.get("body", b"")
            if self._held + len(chunk) > self._cap:
                raise refuse(TOO_LARGE, f"The body has more than {self._cap:,} bytes.")
            self._budget.take(len(chunk))
            self._held += len(chunk)
            if not message.get("more_body", False):
                return b"".join((*chunks, chunk)) if chunks else chunk
            chunks.append(chunk)
