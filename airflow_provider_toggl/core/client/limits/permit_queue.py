"""The queue of those who wait for a permit: each sleeps until its turn can have come, and then asks again. No I/O."""

from __future__ import annotations

from dataclasses import dataclass

#: One that is this many seconds late lets those behind it pass: it died, or its host is busy.
LATE_SECONDS = 0.25
#: One that is this many seconds late loses its place. A task that was deferred comes back before that.
ABSENT_SECONDS = 300.0
#: A later time is from before the clock was set back.
LONGEST_SECONDS = 86_400.0


@dataclass
class Place:
    """The place of a process or task that waits.

    :param name: the same each time it asks.
    :param due_at: when it asks again, in seconds since the epoch.
    """

    name: str
    due_at: float


def count_ahead(queue: list[Place], name: str, now: float) -> int:
    """Return how many are before a name and not late. A name that is not in the queue would be the last."""
    ahead = 0
    for place in queue:
        if place.name == name:
            break
        ahead += place.due_at + LATE_SECONDS >= now
    return ahead


def wait_until(queue: list[Place], name: str, due_at: float) -> None:
    """Record when a name asks again. It keeps its place, or joins the queue at its end."""
    for place in queue:
        if place.name == name:
            place.due_at = due_at
            return
    queue.append(Place(name, due_at))


def leave(queue: list[Place], name: str) -> None:
    """Remove a name from the queue, if it is there."""
    queue[:] = [place for place in queue if place.name != name]


def forget_old(queue: list[Place], now: float) -> None:
    """Remove those that did not come, and those from before the clock was set back."""
    queue[:] = [place for place in queue if now - ABSENT_SECONDS <= place.due_at <= now + LONGEST_SECONDS]
