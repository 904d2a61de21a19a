"""What a receiver remembers of the last seconds, until it is in the store's logbook: how many, and why not.

A flood of refusals is a few rows: those of one reason are one, and of the reasons only so many are kept.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import datetime

from airflow_provider_toggl.core.events.activity_log import DeliveryCounts, RefusedDelivery

PERIOD = 10.0
"""Seconds after which what was remembered is handed to the store."""
MOST_REASONS = 50
"""Different reasons that are remembered of one connection and period."""


class Notebook:
    """Remembers, for one event loop, what came for each connection."""

    def __init__(self) -> None:
        self._counts: dict[str, Counter[str]] = {}
        self._refused: dict[str, dict[tuple[str, str], RefusedDelivery]] = {}

    def __bool__(self) -> bool:
        return bool(self._counts)

    def count(self, conn_id: str, outcome: str) -> None:
        """Count a delivery."""
        counts = self._counts.get(conn_id)
        if counts is None:
            counts = self._counts[conn_id] = Counter()
        counts[outcome] += 1

    def refuse(self, conn_id: str, outcome: str, reason: str, *, at: datetime, size: int | None) -> None:
        """Remember why a delivery was refused; it is counted by itself.

        :param size: bytes that it announced.
        """
        reasons = self._refused.setdefault(conn_id, {})
        known = reasons.get((outcome, reason))
        if known is not None:
            reasons[outcome, reason] = replace(known, times=known.times + 1, last_at=at, size=size)
        elif len(reasons) < MOST_REASONS:
            reasons[outcome, reason] = RefusedDelivery(conn_id, outcome, reason, 1, at, at, size)

    def take(self, at: datetime) -> dict[str, DeliveryCounts]:
        """Return what was remembered, by connection, and forget it."""
        counts, self._counts = self._counts, {}
        refused, self._refused = self._refused, {}
        return {
            conn_id: DeliveryCounts(
                at,
                {(conn_id, outcome): number for outcome, number in some.items()},
                tuple(refused.get(conn_id, {}).values()),
            )
            for conn_id, some in counts.items()
        }
