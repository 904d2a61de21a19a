"""Instants as Toggl writes them."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

_INSTANT = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?\s?(?:([Zz])|([+-])(\d\d):?(\d\d)?)", re.ASCII
)


def parse_instant(text: str) -> datetime:
    """Return the instant of an RFC 3339 text, in UTC, cut to whole microseconds.

    :raises ValueError: it is no date and time, or has no zone or offset.
    """
    match = _INSTANT.fullmatch(text)
    if match is None:
        raise ValueError(f"not a date and time with its offset: {text[:40]!r}")
    day, clock, fraction, _, sign, hours, minutes = match.groups()
    offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
    try:
        local = datetime.fromisoformat(f"{day}T{clock}+00:00") + timedelta(microseconds=int(f"{fraction or '0':0<6.6}"))
        return (local + offset if sign == "-" else local - offset).astimezone(timezone.utc)
    except (ValueError, OverflowError):
        raise ValueError(f"no such date and time: {text[:40]!r}") from None


def instant_text(moment: datetime) -> str:
    """Return a moment in the form that Toggl takes, in UTC and whole seconds."""
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
