"""The clock that the package uses, as a protocol that tests replace, and the real one."""

from __future__ import annotations

import time
from datetime import datetime, timezone
from typing import Protocol


class Clock(Protocol):
    """Reads the time and waits."""

    def now(self) -> float:
        """Return seconds since the Unix epoch."""

    def sleep(self, seconds: float) -> None:
        """Wait. ``seconds`` is never negative."""


class SystemClock:
    """The machine's clock.

    It is wall time and not a monotonic clock, because processes share times (pace, quota windows) in files that outlive
    a reboot.
    """

    def now(self) -> float:
        """Return seconds since the Unix epoch."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


def utc(seconds: float) -> datetime:
    """Return the UTC datetime of seconds since the Unix epoch."""
    return datetime.fromtimestamp(seconds, tz=timezone.utc)
