"""Time as a seam: what the package asks of a clock, and the real one."""

from __future__ import annotations

import time
from datetime import datetime, timezone
from typing import Protocol


class Clock(Protocol):
    """The two things that code here may ask of time."""

    def now(self) -> float:
        """Return seconds since the Unix epoch."""

    def sleep(self, seconds: float) -> None:
        """Wait; never called with a negative number."""


class SystemClock:
    """The machine's clock.

    Wall time and not a monotonic clock, because what is shared between processes (paces, quota windows) is kept in
    files that outlive a boot.
    """

    def now(self) -> float:
        """Return seconds since the Unix epoch."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


def utc(seconds: float) -> datetime:
    """Return an aware UTC datetime of seconds since the Unix epoch."""
    return datetime.fromtimestamp(seconds, tz=timezone.utc)
