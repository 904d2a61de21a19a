"""Requests by the hour and lane, kept for those who look: hints like all of the host's book."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

HOUR = 3600
KEPT_HOURS = 14 * 24


@dataclass(frozen=True)
class HourlyUsage:
    """What was sent from this host in an hour of the clock.

    :param hour: its begin, seconds since the epoch.
    :param total: requests that a window of the lane gives, None while unknown.
    """

    lane: str
    hour: int
    requests: int
    total: int | None


class Tally:
    """The tally of one token, on an open transaction of the host's book."""

    def __init__(self, db: sqlite3.Connection, token: str) -> None:
        self._db = db
        self._token = token

    def count(self, lane: str, total: int | None, now: float) -> None:
        """Count one request.

        :param total: as far as known.
        """
        hour = int(now // HOUR)
        self._db.execute(
            "INSERT INTO hour_tally (token, lane, hour, requests, total) VALUES (?, ?, ?, 1, ?) ON CONFLICT DO UPDATE "
            "SET requests = requests + 1, total = coalesce(excluded.total, total)",
            (self._token, lane, hour, total),
        )
        self._db.execute(
            "DELETE FROM hour_tally WHERE token = ? AND lane = ? AND hour < ?", (self._token, lane, hour - KEPT_HOURS)
        )

    def since(self, moment: float) -> list[HourlyUsage]:
        """Return the hours that end after a moment, by lane and hour."""
        rows = self._db.execute(
            "SELECT lane, hour, requests, total FROM hour_tally WHERE token = ? AND hour >= ? ORDER BY lane, hour",
            (self._token, int(moment // HOUR)),
        )
        return [HourlyUsage(lane, hour * HOUR, requests, total) for lane, hour, requests, total in rows]
