"""Read request bodies within limits of size, time and total memory."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, cast

from airflow_provider_toggl.core.webhooks.delivery import BUSY, CUT, TOO_LARGE, TOO_SLOW, refusal

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class ByteBudget:
    """Limits the bytes that all requests of a process hold in memory at once.

    :param limit: bytes.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.held = 0

    def acquire(self, size: int) -> None:
        """Add bytes to those held.

        :raises DeliveryRefused: there would be more than the limit.
        """
        if self.held + size > self._limit:
            raise refusal(BUSY, f"The deliveries that are being received hold {self.held:,} bytes already.")
        self.held += size

    def release(self, size: int) -> None:
        """Subtract bytes from those held."""
        self.held -= size


class RequestBody:
    """The body of one request. Its bytes count against the budget until ``release``.

    :param max_bytes: bytes that this body may have.
    """

    def __init__(self, budget: ByteBudget, *, max_bytes: int) -> None:
        self._budget = budget
        self._max_bytes = max_bytes
        self._held = 0

    async def read(self, receive: Receive, *, timeout: float) -> bytes:
        """Return the whole body.

        :param receive: returns the messages of the request, as the ASGI specification defines.
        :param timeout: seconds for the whole body.
        :raises DeliveryRefused: the body is too large, too slow or cut off, or the budget is used up.
        """
        # Not asyncio.wait_for: it would run each body in a task of its own on Python 3.10 and 3.11.
        task = cast("asyncio.Task[Any]", asyncio.current_task())  # a coroutine that awaits runs in one
        loop = asyncio.get_running_loop()
        timer = loop.call_later(timeout, task.cancel)
        try:
            return await self._read(receive)
        except asyncio.CancelledError:
            if loop.time() < timer.when():
                raise  # the cancellation is not ours
            if sys.version_info >= (3, 11):
                task.uncancel()
            raise refusal(TOO_SLOW, f"The body did not arrive within {timeout:g} s.") from None
        finally:
            timer.cancel()

    def release(self) -> None:
        """Return the body's bytes to the budget."""
        self._budget.release(self._held)
        self._held = 0

    async def _read(self, receive: Receive) -> bytes:
        chunks: list[bytes] = []
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise refusal(CUT, "The sender disconnected before the end of the body.")
            chunk: bytes = message.get("body", b"")
            if self._held + len(chunk) > self._max_bytes:
                raise refusal(TOO_LARGE, f"The body has more than {self._max_bytes:,} bytes.")
            self._budget.acquire(len(chunk))
            self._held += len(chunk)
            if not message.get("more_body", False):
                return b"".join((*chunks, chunk)) if chunks else chunk
            chunks.append(chunk)
