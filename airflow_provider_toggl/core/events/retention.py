"""How long events are kept."""

from __future__ import annotations

import re
from datetime import timedelta

from airflow_provider_toggl.core.clock import Clock, SystemClock, utc
from airflow_provider_toggl.core.errors import ConfigurationError
from airflow_provider_toggl.core.events.store import EventStore

MIN_AGE = timedelta(days=1)
"""An event that Toggl sends again after it was removed would count as new. As observed, Toggl retries for hours."""
TRANSACTION_PAUSE = 0.05
"""Seconds between two transactions, in which others can write."""

_AGE = re.compile(r"(\d{1,6})([hdw])", re.ASCII)
_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


def parse_age(text: str) -> timedelta:
    """Return the duration that a text such as ``36h``, ``30d`` or ``4w`` means.

    :raises ConfigurationError: the text is no duration, or one that is too short.
    """
    match = _AGE.fullmatch(text.strip())
    if match is None:
        raise ConfigurationError(f"{text[:40]!r} is no age: write a number of hours, days or weeks as 36h, 30d or 4w.")
    age = int(match[1]) * _UNITS[match[2]]
    if age < MIN_AGE:
        raise ConfigurationError(
            f"Events must be kept for a day at least, not for {text.strip()}: one that Toggl sends again after it was "
            "removed would count as new."
        )
    return age


def prune_older(store: EventStore, age: timedelta, *, clock: Clock | None = None, limit: int = 5_000) -> int:
    """Remove the events of at least an age that every consumer has read; return how many.

    :param limit: the most to remove in one transaction.
    """
    clock = clock or SystemClock()
    received_before = utc(clock.now()) - age
    removed = 0
    while True:
        found = store.prune(received_before, limit)
        removed += found
        if found < limit:
            return removed
        clock.sleep(TRANSACTION_PAUSE)
