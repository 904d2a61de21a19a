"""Numbers in sentences."""

from __future__ import annotations


def plural(number: int, noun: str) -> str:
    """Return a number with its noun: ``1 request``, ``2,000 requests``, ``2 entries``."""
    if number == 1:
        return f"1 {noun}"
    return f"{number:,} {noun[:-1]}ies" if noun.endswith("y") else f"{number:,} {noun}s"
