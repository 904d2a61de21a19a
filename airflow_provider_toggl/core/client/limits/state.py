"""The host's book: turns, lanes and what was learned, shared by every process of a host that uses a token.

It holds hints, never data: losing it costs at most one refused request. Tokens are in it only as digests.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable
from dataclasses import astuple, dataclass
from pathlib import Path

from airflow_provider_toggl.core.client.limits import leaky_bucket, quota
from airflow_provider_toggl.core.client.limits.fair_shares import (
    ACTIVE_SECONDS,
    RETURN_SECONDS,
    Claimant,
    Claims,
    may_take,
)
from airflow_provider_toggl.core.client.limits.hourly_usage import HourlyUsage, Tally
from airflow_provider_toggl.core.client.limits.state_file import StateFile

#: A request that has not been answered after this long belongs to a process that died.
LEASE_SECONDS = 180.0
#: While a lane's window is unknown, one request at a time finds out; so long at most is it waited for.
PROBE_SECONDS = 10.0
#: Who asks again later than this after the promised time has lost the place in the line: it may have died.
LATE_SECONDS = 2.0
#: Two tellings of one reset differ by the rounding to seconds and the way of the answers.
SAME_RESET_SECONDS = 3.0


def hash_token(base_url: str, token: str) -> str:
    """Return the name under which a token is in the book; the token cannot be found from it."""
    return hashlib.sha256(f"{base_url}\n{token}".encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Permit:
    """Leave to send one request now, already charged; ``lease`` is handed back with the answer."""

    lease: int


@dataclass(frozen=True)
class Wait:
    """Not yet: ask again in so many seconds, with the ticket that keeps the place in the line."""

    seconds: float
    ticket: int


@dataclass(frozen=True)
class QuotaSpent:
    """The lane has nothing to spare until ``resets_at`` (seconds since the epoch)."""

    resets_at: float


@dataclass(frozen=True)
class ShareSpent:
    """What is left is the share of others: look again in so many seconds, or come back at ``back_at``."""

    seconds: float
    back_at: float


@dataclass(frozen=True)
class _Noted:
    """A lane as it is in the book: when it was told, and which lease was the last one given then."""

    lane: quota.Lane
    told_at: float
    told_turn: int


class RateLimitState:
    """Paces and quota of one token on this host.

    :param path: the file; None keeps the book in this process alone.
    :param token: digest of the token, from :func:`token_digest`.
    """

    def __init__(self, path: Path | None, token: str) -> None:
        self._token = token
        self._file = StateFile(path)

    def acquire(
        self,
        lane: str,
        *,
        pace: leaky_bucket.Pace,
        reserve: int,
        now: float,
        ticket: int = 0,
        claimant: Claimant | None = None,
    ) -> Permit | Wait | QuotaSpent | ShareSpent:
        """Charge one request to a lane and take a turn, or say why not.

        Whoever takes a turn sends at once, says so by :meth:`depart`, and calls :meth:`settle` whatever comes of it.

        :param ticket: of the last :class:`Wait`, 0 for who has not waited yet.
        :param claimant: who shares with others; None never yields, as is right for a few requests.
        """
        with self._file.transaction() as db:
            lane = self._known_lane(db, lane)
            self._forget_the_dead(db, now)
            noted = self._find_lane(db, lane, now)
            state = quota.current(noted.lane, now) if noted else quota.Lane()
            can = quota.spare(state, self._in_flight(db, lane), reserve)
            claims = Claims(db, self._token)
            claims.forget(now)
            refusal = _refuse(claims, lane, claimant, can=can, resets_at=state.resets_at, pace=pace, now=now)
            if refusal is not None:
                db.execute("DELETE FROM waiter WHERE id = ?", (ticket,))
                return refusal
            mark = self._mark(db)
            seconds = leaky_bucket.wait_for_turn(mark, pace, now)
            if seconds <= 0 and self._is_probed(db, lane, noted, now):
                seconds = leaky_bucket.LOOK_EVERY
            if seconds > 0 or self._has_earlier(db, ticket, now):
                return self._line_up(db, ticket, seconds, pace, now)
            db.execute("DELETE FROM waiter WHERE id = ?", (ticket,))
            cursor = db.execute("INSERT INTO lease (token, lane, taken_at) VALUES (?, ?, ?)", (self._token, lane, now))
            turn = Permit(int(cursor.lastrowid or 0))
            claims.take(lane, claimant, state.resets_at, now)
            Tally(db, self._token).count(lane, state.total, now)
            self._set_mark(db, leaky_bucket.take_turn(mark, pace, now), turn.lease)
            return turn

    def depart(self, turn: Permit, clock: Callable[[], float]) -> None:
        """Note that the request of a turn leaves now; until then nobody else gets one.

        :param clock: read only once the book is this process's, because it may have to wait for it.
        """
        with self._file.transaction() as db:
            if self._last_lease(db) == turn.lease:
                self._set_mark(db, leaky_bucket.depart(self._mark(db), clock()), turn.lease)

    def settle(self, turn: Permit, lane: str, told: quota.QuotaReading | None, now: float) -> quota.Lane:
        """Close a charged request with what its answer told, None where it told nothing; return the lane after it."""
        with self._file.transaction() as db:
            lane = self._known_lane(db, lane)
            db.execute("DELETE FROM lease WHERE id = ?", (turn.lease,))
            if self._last_lease(db) == turn.lease:
                self._set_mark(db, leaky_bucket.settle(self._mark(db), now), turn.lease)
            noted = self._find_lane(db, lane, now)
            state = noted.lane if noted else quota.Lane()
            if told is not None:
                overtaken = noted is not None and noted.told_turn >= turn.lease
                state = quota.learn(state, told, overtaken=overtaken, now=now)
            elif state.remaining is not None:
                # No answer says whether Toggl counted it: assume so.
                state = quota.current(state, now)
                state = quota.Lane(state.total, max(0, (state.remaining or 0) - 1), state.resets_at)
            self._set_lane(db, lane, state, now)
            return state

    def close_lane(self, lane: str, resets_in: float | None, now: float) -> float:
        """Note a refusal for quota; return when the lane resets, in seconds since the epoch."""
        with self._file.transaction() as db:
            lane = self._known_lane(db, lane)
            noted = self._find_lane(db, lane, now)
            state = quota.close(noted.lane if noted else quota.Lane(), resets_in, now)
            self._set_lane(db, lane, state, now)
            return state.resets_at or now

    def set_lane(self, lane: str, state: quota.Lane, now: float) -> None:
        """Note what was asked for explicitly (``GET /me/quota``)."""
        with self._file.transaction() as db:
            lane = self._known_lane(db, lane)
            noted = self._find_lane(db, lane, now)
            if noted is not None and noted.lane.remaining is not None and state.remaining is not None:
                # The headers of other answers may be newer: within one window the lower number holds.
                same = abs((noted.lane.resets_at or 0.0) - (state.resets_at or 0.0)) < SAME_RESET_SECONDS
                left = min(noted.lane.remaining, state.remaining) if same else state.remaining
                state = quota.Lane(state.total, left, state.resets_at)
            self._set_lane(db, lane, state, now)

    def lane(self, lane: str, now: float) -> quota.Lane:
        """Return what is known of a lane."""
        with self._file.transaction() as db:
            noted = self._find_lane(db, self._known_lane(db, lane), now)
            return quota.current(noted.lane, now) if noted else quota.Lane()

    def lanes(self, now: float) -> dict[str, quota.Lane]:
        """Return what is known of every lane of the token."""
        with self._file.transaction() as db:
            names = db.execute("SELECT lane FROM told_lane WHERE token = ?", (self._token,)).fetchall()
            noted = {name: self._find_lane(db, name, now) for (name,) in names}
            return {name: quota.current(one.lane, now) for name, one in noted.items() if one is not None}

    def hourly_usage(self, since: float) -> list[HourlyUsage]:
        """Return how many requests were taken in each hour on this host."""
        with self._file.transaction() as db:
            return Tally(db, self._token).since(since)

    def taken(self, lane: str, now: float) -> int:
        """Return how many requests of a lane's window were taken on this host."""
        with self._file.transaction() as db:
            return Claims(db, self._token).all_taken(self._known_lane(db, lane), now)

    def leave(self, claimant: Claimant) -> None:
        """Give up all claims of a claimant, for others to use what would have been its share."""
        with self._file.transaction() as db:
            Claims(db, self._token).leave(claimant.name)

    def hold_back(self, seconds: float, now: float) -> None:
        """Let no process of this host send for this token for so long (429)."""
        with self._file.transaction() as db:
            self._set_mark(db, leaky_bucket.hold_back(self._mark(db), seconds, now), self._last_lease(db))

    def organizations(self) -> dict[int, int]:
        """Return which organization each known workspace belongs to."""
        with self._file.transaction() as db:
            rows = db.execute("SELECT workspace_id, organization_id FROM workspace WHERE token = ?", (self._token,))
            return dict(rows.fetchall())

    def learn_organization(self, workspace_id: int, organization_id: int) -> None:
        """Note which organization a workspace belongs to; what was charged to the workspace's own lane moves there."""
        with self._file.transaction() as db:
            db.execute(
                "INSERT OR REPLACE INTO workspace VALUES (?, ?, ?)", (self._token, workspace_id, organization_id)
            )
            own = (self._token, f"workspace:{workspace_id}")
            moved = (f"organization:{organization_id}", *own)
            db.execute("UPDATE OR IGNORE told_lane SET lane = ? WHERE token = ? AND lane = ?", moved)
            db.execute("DELETE FROM told_lane WHERE token = ? AND lane = ?", own)
            db.execute("UPDATE lease SET lane = ? WHERE token = ? AND lane = ?", moved)
            Claims(db, self._token).move(f"workspace:{workspace_id}", f"organization:{organization_id}")

    @staticmethod
    def _forget_the_dead(db: sqlite3.Connection, now: float) -> None:
        """Forget requests and waiters of processes that died, and those from before a clock was turned back."""
        db.execute("DELETE FROM lease WHERE taken_at < ? OR taken_at > ?", (now - LEASE_SECONDS, now + 60))
        db.execute("DELETE FROM waiter WHERE back_at < ? OR back_at > ?", (now - LATE_SECONDS, now + 3600))

    def _has_earlier(self, db: sqlite3.Connection, ticket: int, now: float) -> bool:
        """Whether somebody who came earlier is just about to ask again; who oversleeps has to wait for the next."""
        row = db.execute(
            "SELECT count(*) FROM waiter WHERE token = ? AND (id < ? OR ? = 0) AND back_at BETWEEN ? AND ?",
            (self._token, ticket, ticket, now - leaky_bucket.LOOK_EVERY, now),
        ).fetchone()
        return bool(row[0])

    def _line_up(
        self, db: sqlite3.Connection, ticket: int, seconds: float, pace: leaky_bucket.Pace, now: float
    ) -> Wait:
        """Send the asker to sleep until shortly before its turn, so that not everybody wakes for everybody's.

        The second in line wakes just after the first, and goes where that one oversleeps.
        """
        (ahead,) = db.execute(
            "SELECT count(*) FROM waiter WHERE token = ? AND (id < ? OR ? = 0)", (self._token, ticket, ticket)
        ).fetchone()
        seconds = max(0.0, seconds)
        if ahead:
            seconds += (ahead - 1) * pace.interval + leaky_bucket.LOOK_EVERY
        cursor = db.execute(
            "INSERT OR REPLACE INTO waiter VALUES (?, ?, ?)", (ticket or None, self._token, now + seconds)
        )
        return Wait(seconds, ticket or int(cursor.lastrowid or 0))

    def _known_lane(self, db: sqlite3.Connection, lane: str) -> str:
        """The lane that a request really counts in: another process may have learned a workspace's organization."""
        kind, _, number = lane.partition(":")
        if kind != "workspace":
            return lane
        row = db.execute(
            "SELECT organization_id FROM workspace WHERE token = ? AND workspace_id = ?", (self._token, int(number))
        ).fetchone()
        return f"organization:{row[0]}" if row else lane

    def _find_lane(self, db: sqlite3.Connection, lane: str, now: float) -> _Noted | None:
        row = db.execute(
            "SELECT total, remaining, resets_at, told_at, told_turn FROM told_lane WHERE token = ? AND lane = ?",
            (self._token, lane),
        ).fetchone()
        if row is None:
            return None
        *values, told_at, told_turn = row
        if now < told_at - leaky_bucket.TURNED_BACK:
            # The clock was turned back since: when the lane resets is not known any more.
            return None
        return _Noted(quota.Lane(*values), told_at, told_turn)

    def _set_lane(self, db: sqlite3.Connection, lane: str, state: quota.Lane, now: float) -> None:
        row = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'lease'").fetchone()
        db.execute(
            "INSERT OR REPLACE INTO told_lane VALUES (?, ?, ?, ?, ?, ?, ?)",
            (self._token, lane, *astuple(state), now, row[0] if row else 0),
        )
        if state.resets_at is not None:
            Claims(db, self._token).end_window(lane, state.resets_at, now)

    def _in_flight(self, db: sqlite3.Connection, lane: str, since: float = 0.0) -> int:
        row = db.execute(
            "SELECT count(*) FROM lease WHERE token = ? AND lane = ? AND taken_at >= ?", (self._token, lane, since)
        ).fetchone()
        return int(row[0])

    def _is_probed(self, db: sqlite3.Connection, lane: str, noted: _Noted | None, now: float) -> bool:
        """Whether a request is under way whose answer will tell how much a window has that nobody knows yet."""
        since = now - PROBE_SECONDS
        if noted is not None:
            resets_at = noted.lane.resets_at
            if resets_at is None or now < resets_at:
                return False
            since = max(since, resets_at)
        return self._in_flight(db, lane, since) > 0

    def _mark(self, db: sqlite3.Connection) -> leaky_bucket.BucketState:
        row = db.execute(
            "SELECT taken_at, left_at, answered_at, closed_until, care FROM last_turn WHERE token = ?", (self._token,)
        ).fetchone()
        return leaky_bucket.BucketState(*row) if row else leaky_bucket.BucketState()

    def _last_lease(self, db: sqlite3.Connection) -> int:
        row = db.execute("SELECT lease FROM last_turn WHERE token = ?", (self._token,)).fetchone()
        return int(row[0]) if row else 0

    def _set_mark(self, db: sqlite3.Connection, mark: leaky_bucket.BucketState, lease: int) -> None:
        db.execute(
            "INSERT OR REPLACE INTO last_turn VALUES (?, ?, ?, ?, ?, ?, ?)", (self._token, lease, *astuple(mark))
        )


def _refuse(
    claims: Claims,
    lane: str,
    claimant: Claimant | None,
    *,
    can: int | None,
    resets_at: float | None,
    pace: leaky_bucket.Pace,
    now: float,
) -> QuotaSpent | ShareSpent | None:
    """Return why a claimant gets no request of those that are spare, None where it gets one; note that it wants."""
    refusal: QuotaSpent | ShareSpent | None = None
    if can is not None and can <= 0:
        refusal = None if resets_at is None else QuotaSpent(resets_at)
    elif can is not None and claimant is not None:
        rivals = claims.rivals(lane, claimant.name, now)
        if not may_take(claims.taken(lane, claimant.name, now), rivals, can):
            # By then the others can have used what is theirs.
            back_at = now + can * pace.interval
            back_at = back_at if resets_at is None else min(back_at, resets_at)
            refusal = ShareSpent(max(leaky_bucket.LOOK_EVERY, min(pace.interval, back_at - now)), back_at)
    if claimant is not None:
        back_at = resets_at if isinstance(refusal, QuotaSpent) and resets_at is not None else now
        claims.ask(lane, claimant, max(now + ACTIVE_SECONDS, back_at + RETURN_SECONDS))
    return refusal
