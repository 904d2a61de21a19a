"""The queue for permits: each waiting process sleeps until its turn can have come, and then asks again. No I/O."""

from __future__ import annotations

from dataclasses import dataclass

#: A process that asks this many seconds late lets those behind it pass: it died, or its host is busy.
LATE_SECONDS = 0.25
#: After this many seconds its entry is removed. A deferred task is back before that.
EXPIRY_SECONDS = 300.0
#: An entry that is due later than this is from before the clock was set back.
LONGEST_SECONDS = 86_400.0


@dataclass
class QueueEntry:
    """The entry of a process or task that waits.

    :param name: the same each time it asks.
    :param due_at: when it asks again, in seconds since the epoch.
    """

    name: str
    due_at: float


def count_ahead(queue: list[QueueEntry], name: str, now: float) -> int:
    """Return how many entries before a name are not late. A name without an entry counts as the last."""
    ahead = 0
    for entry in queue:
        if entry.name == name:
            break
        ahead += entry.due_at + LATE_SECONDS >= now
    return ahead


def enqueue(queue: list[QueueEntry], name: str, due_at: float) -> None:
    """Record when a name asks again. Its entry stays where it is; a new one is added at the end."""
    for entry in queue:
        if entry.name == name:
            entry.due_at = due_at
            return
    queue.append(QueueEntry(name, due_at))


def remove(queue: list[QueueEntry], name: str) -> None:
    """Remove the entry of a name, if there is one."""
    queue[:] = [entry for entry in queue if entry.name != name]


def remove_expired(queue: list[QueueEntry], now: float) -> None:
    """Remove the entries of those that did not come, and those from before the clock was set back."""
    queue[:] = [entry for entry in queue if now - EXPIRY_SECONDS <= entry.due_at <= now + LONGEST_SECONDS]
