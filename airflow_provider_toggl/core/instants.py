"""Parsing and formatting of times in Toggl's format, RFC 3339."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

# Times between these have a date in every time zone: the calendars of Python and databases cover the years 1 to 9999,
# and time zones are at most 16 hours from UTC.
EARLIEST = datetime(1, 1, 2, tzinfo=timezone.utc)
LATEST = datetime(9999, 12, 30, tzinfo=timezone.utc)

_INSTANT = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d)(?::(\d\d)(?::(\d\d)(?:\.(\d{1,9})\d*)?)?)?"
    r"\s?(?:[Zz]|([+-])([01]\d|2[0-3])(?::?([0-5]\d))?)",
    re.ASCII,
)


def parse_instant(text: str) -> datetime:
    """Return the time of an RFC 3339 text in UTC, truncated to microseconds.

    Seconds, or minutes and seconds, may be missing, as in ISO 8601. Leap seconds and 24:00 are refused.

    :raises ValueError: it is no date and time, or has no offset.
    """
    match = _INSTANT.fullmatch(text)
    if match is None:
        raise ValueError(f"not a date and time with its offset: {text[:40]!r}")
    year, month, day, hour, minute, second, fraction, sign, hours, minutes = match.groups()
    offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
    micros = int(f"{fraction or '0':0<6.6}")
    try:
        local = datetime(
            int(year), int(month), int(day), int(hour), int(minute or 0), int(second or 0), micros, timezone.utc
        )
        return local + offset if sign == "-" else local - offset
    except (ValueError, OverflowError):
        raise ValueError(f"no such date and time: {text[:40]!r}") from None


def rfc3339(moment: datetime | None) -> str | None:
    """Return a time as RFC 3339 in UTC, with its microseconds."""
    return None if moment is None else moment.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")


def format_instant(moment: datetime) -> str:
    """Return a time in Toggl's format, in UTC and whole seconds."""
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
