"""Requests per clock hour and quota lane, for charts."""

from __future__ import annotations

from dataclasses import dataclass

HOUR = 3600
KEPT_HOURS = 14 * 24


@dataclass(frozen=True)
class HourlyUsage:
    """Requests that were sent in one clock hour.

    :param hour: start of the hour, seconds since the epoch.
    :param total: requests that one quota window of the lane has; None while unknown.
    """

    lane: str
    hour: int
    requests: int
    total: int | None


def hour_number(moment: float) -> int:
    """Return the number of a moment's hour since the epoch."""
    return int(moment // HOUR)
