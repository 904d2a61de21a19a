"""Generated pages of the detailed report in Toggl's format, as input of the benchmarks that load."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

_WORDS = ["review", "design", "meeting", "invoice", "call", "fix", "planning", "support", "notes", "größere Änderung"]
_ZONE = timezone(timedelta(hours=-8))
_BEGIN = datetime(2024, 1, 1, tzinfo=_ZONE)


def make_pages(entries: int, page_size: int = 1000, seed: int = 7, first_id: int = 3_400_000_000) -> Iterator[bytes]:
    """Yield pages in the shape, key order and time formats of recorded ones.

    :param entries: how many in all.
    :param page_size: rows a page.
    :param seed: equal seeds give equal pages.
    :param first_id: id of the first entry.
    """
    rng = random.Random(seed)
    for begin in range(0, entries, page_size):
        numbers = range(begin, min(begin + page_size, entries))
        rows = [_make_row(rng, number, number - begin + 1, first_id) for number in numbers]
        yield json.dumps(rows, ensure_ascii=False, separators=(",", ":")).encode()


def _make_row(rng: random.Random, number: int, row_number: int, first_id: int) -> dict[str, object]:
    start = _BEGIN + timedelta(seconds=number * 30)
    seconds = rng.randrange(60, 14_400)
    billable = rng.random() < 0.5
    return {
        "user_id": 9_000_000 + number % 40,
        "username": f"Person {number % 40}",
        "project_id": 200_000_000 + rng.randrange(120),
        "task_id": None,
        "billable": billable,
        "description": " ".join(rng.choices(_WORDS, k=rng.randrange(2, 9))),
        "tag_ids": [16_000_000 + rng.randrange(60) for _ in range(rng.randrange(3))],
        "billable_amount_in_cents": seconds * 2 if billable else None,
        "hourly_rate_in_cents": 7200 if billable else None,
        "currency": "USD",
        "time_entries": [
            {
                "id": first_id + number,
                "seconds": seconds,
                "start": start.isoformat(),
                "stop": (start + timedelta(seconds=seconds)).isoformat(),
                "at": (start + timedelta(seconds=seconds + 5)).astimezone(timezone.utc).isoformat(),
            }
        ],
        "row_number": row_number,
    }
