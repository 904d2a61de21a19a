"""Numbers in sentences."""

from __future__ import annotations


def plural(number: int, noun: str) -> str:
    """Return a number with its noun: ``1 request``, ``2,000 requests``, ``2 entries``."""
    if number == 1:
        return f"1 {noun}"
    return f"{number:,} {noun[:-1]}ies" if noun.endswith("y") else f"{number:,} {noun}s"


def duration(seconds: float) -> str:
    """Return a time in its largest sensible unit: ``45 s``, ``59 min``, ``3.5 h``."""
    if seconds < 90:
        return f"{max(0.0, seconds):.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
