"""Wait for a condition, with a timeout."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any


async def until(condition: Callable[[], Any], *, timeout: float = 15) -> None:
    """Wait, in an event loop, until the condition holds.

    :param timeout: in seconds.
    :raises TimeoutError: it did not hold in time.
    """
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"Waited {timeout:g} s in vain.")
        await asyncio.sleep(0.005)


def wait_until(condition: Callable[[], Any], *, timeout: float = 15) -> None:
    """Wait until the condition holds.

    :param timeout: in seconds.
    :raises TimeoutError: it did not hold in time.
    """
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"Waited {timeout:g} s in vain.")
        time.sleep(0.01)
