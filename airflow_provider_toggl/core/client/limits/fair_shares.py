"""Fair shares of a quota window: who of several claimants may take the next request, by a rule that is max-min fair.

A claimant may take one where what is left then still brings every other one to as many as it had itself. So the one
that has least may always go on, all of a window can be used, and those that want until its end differ by one at most.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from airflow_provider_toggl.core.client.limits.quota import WINDOW_SECONDS

#: A claimant that has not asked for so long does not want any more, or has died.
ACTIVE_SECONDS = 60.0
#: Who waits for a reset is expected back within this time after it; a task has to be started again.
RETURN_SECONDS = 60.0


@dataclass(frozen=True)
class Claimant:
    """Who asks for a share.

    :param name: the same over deferrals and retries of one task, another for every other task.
    :param wanted: how many more requests it will ask for, this one among them; None while it cannot know.
    """

    name: str
    wanted: int | None = None


@dataclass(frozen=True)
class Rival:
    """Another claimant of the same lane that still wants.

    :param taken: what it has had in this window.
    :param wanted: how many more it wants, None for as many as it can get.
    """

    taken: int
    wanted: int | None = None


def kept_for_others(taken: int, rivals: Iterable[Rival]) -> int:
    """Return how many requests must be left for others when a claimant that has had ``taken`` takes one more."""
    needs = ((max(0, taken - rival.taken), rival.wanted) for rival in rivals)
    return sum(need if wanted is None else min(need, wanted) for need, wanted in needs)


def may_take(taken: int, rivals: Iterable[Rival], spare: int) -> bool:
    """Whether a claimant that has had ``taken`` in this window may take one of those that are spare."""
    return spare > kept_for_others(taken, rivals)


class Claims:
    """The claims of one token, on an open transaction of the host's book.

    A claim counts what its claimant took until the window's end, and is alive until a moment: it outlives a wait for
    the reset, so that whoever comes back first does not take all.
    """

    def __init__(self, db: sqlite3.Connection, token: str) -> None:
        self._db = db
        self._token = token

    def taken(self, lane: str, name: str, now: float) -> int:
        """Return what a claimant has had in this window."""
        row = self._db.execute(
            "SELECT taken FROM claim WHERE token = ? AND lane = ? AND name = ? AND counted_until > ?",
            (self._token, lane, name, now),
        ).fetchone()
        return int(row[0]) if row else 0

    def all_taken(self, lane: str, now: float) -> int:
        """Return what all processes of this host have had in this window."""
        (total,) = self._db.execute(
            "SELECT coalesce(sum(taken), 0) FROM claim WHERE token = ? AND lane = ? AND counted_until > ?",
            (self._token, lane, now),
        ).fetchone()
        return int(total)

    def rivals(self, lane: str, name: str, now: float) -> Sequence[Rival]:
        """Return the other claimants that still want."""
        rows = self._db.execute(
            "SELECT iif(counted_until > ?, taken, 0), wanted FROM claim "
            "WHERE token = ? AND lane = ? AND name <> ? AND alive_until > ?",
            (now, self._token, lane, name, now),
        )
        return [Rival(taken, wanted) for taken, wanted in rows]

    def ask(self, lane: str, claimant: Claimant, alive_until: float) -> None:
        """Note that a claimant wants, until that moment."""
        self._db.execute(
            "INSERT INTO claim (token, lane, name, wanted, alive_until) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE "
            "SET wanted = excluded.wanted, alive_until = excluded.alive_until",
            (self._token, lane, claimant.name, claimant.wanted, alive_until),
        )

    def take(self, lane: str, claimant: Claimant | None, resets_at: float | None, now: float) -> None:
        """Count one request; those of nobody in particular are counted too, under no name."""
        name = claimant.name if claimant else ""
        until = now + WINDOW_SECONDS if resets_at is None else resets_at
        self._db.execute(
            "INSERT INTO claim (token, lane, name, taken, counted_until) VALUES (?, ?, ?, 1, ?) ON CONFLICT DO UPDATE "
            "SET taken = iif(counted_until > ?, taken, 0) + 1, counted_until = excluded.counted_until, "
            "wanted = wanted - 1",
            (self._token, lane, name, until, now),
        )

    def end_window(self, lane: str, resets_at: float, now: float) -> None:
        """Note when the window ends; every answer tells it anew, and a second apart."""
        self._db.execute(
            "UPDATE claim SET counted_until = ? WHERE token = ? AND lane = ? AND counted_until > ?",
            (resets_at, self._token, lane, now),
        )

    def leave(self, name: str) -> None:
        """Note that a claimant wants nothing more; what it took stays counted."""
        self._db.execute("UPDATE claim SET alive_until = 0 WHERE token = ? AND name = ?", (self._token, name))

    def move(self, lane: str, to_lane: str) -> None:
        """Move claims to the lane that they turned out to be in."""
        self._db.execute(
            "UPDATE OR IGNORE claim SET lane = ? WHERE token = ? AND lane = ?", (to_lane, self._token, lane)
        )
        self._db.execute("DELETE FROM claim WHERE token = ? AND lane = ?", (self._token, lane))

    def forget(self, now: float) -> None:
        """Forget what neither counts nor wants, and what is from before a clock was turned back."""
        self._db.execute(
            "DELETE FROM claim WHERE (counted_until <= ? AND alive_until <= ?) OR counted_until > ? OR alive_until > ?",
            (now, now, now + 2 * WINDOW_SECONDS, now + 2 * WINDOW_SECONDS),
        )
