"""Numbers, durations and ages as people read them."""

from __future__ import annotations

from datetime import datetime


def plural(number: int, noun: str) -> str:
    """Return a number with its noun: ``1 request``, ``2,000 requests``, ``2 entries``."""
    if number == 1:
        return f"1 {noun}"
    ends_in_ies = noun.endswith("y") and noun[-2:-1] not in "aeo"
    return f"{number:,} {noun[:-1]}ies" if ends_in_ies else f"{number:,} {noun}s"


def duration(seconds: float) -> str:
    """Return a duration in its largest suitable unit: ``45 s``, ``59 min``, ``3.5 h``, ``12 d``."""
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            digits = 1 if unit != "min" and seconds < 10 * size else 0
            return f"{seconds / size:.{digits}f}".removesuffix(".0") + f" {unit}"
    return f"{max(0.0, seconds):.0f} s"


def ago(moment: datetime, now: datetime) -> str:
    """Return the age of a moment, ``5 min ago``, or the time until then, ``in 5 min``."""
    seconds = (now - moment).total_seconds()
    return f"{duration(seconds)} ago" if seconds >= 0 else f"in {duration(-seconds)}"
