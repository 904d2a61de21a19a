"""A fair choice of many durations, so that a busy period sends no more of them than a quiet one."""

from __future__ import annotations

import random

MOST = 100
"""So many are kept of one period."""


class Samples:
    """Durations of a period, each with the same chance to be among those that are kept; for one thread.

    :param most: how many are kept.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._kept: list[float] = []
        self._seen = 0

    def add(self, seconds: float) -> None:
        """Take note of one more."""
        self._seen += 1
        if len(self._kept) < self._most:
            self._kept.append(seconds)
        elif (place := random.randrange(self._seen)) < self._most:  # noqa: S311 - a sample, no secret
            self._kept[place] = seconds

    def take(self) -> list[float]:
        """Return those of the period, and begin the next one."""
        kept, self._kept, self._seen = self._kept, [], 0
        return kept
