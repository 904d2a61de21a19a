"""The host's book: turns, lanes and what was learned, shared by every process of a host that uses a token.

A small SQLite file. It holds hints, never data: losing it costs at most one refused request. Tokens are in it only as
digests.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from airflow_provider_toggl.core.api import pacing, quota

log = logging.getLogger(__name__)

#: A request that has not been answered after this long belongs to a process that died.
LEASE_SECONDS = 180.0

_SCHEMA = Path(__file__).with_name("book.sql").read_text(encoding="utf-8")


def token_digest(base_url: str, token: str) -> str:
    """Return the name under which a token is in the book; the token cannot be found from it."""
    return hashlib.sha256(f"{base_url}\n{token}".encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Turn:
    """Leave to send one request now, already charged; ``lease`` is handed back with the answer."""

    lease: int


@dataclass(frozen=True)
class Wait:
    """Not yet: the bucket is full for so many seconds."""

    seconds: float


@dataclass(frozen=True)
class Refusal:
    """The lane has nothing to spare until ``resets_at`` (seconds since the epoch)."""

    resets_at: float


class HostBook:
    """Paces and quota of one token on this host.

    :param path: the file; None keeps the book in this process alone.
    :param token: digest of the token, from :func:`token_digest`.
    """

    def __init__(self, path: Path | None, token: str) -> None:
        self._token = token
        self._path = _usable(path)
        self._lock = threading.Lock()
        self._memory = self._connect(":memory:")

    def ask_turn(self, lane: str, *, pace: pacing.Pace, reserve: int, now: float) -> Turn | Wait | Refusal:
        """Charge one request to a lane and take a turn, or say why not."""
        with self._transaction() as db:
            db.execute("DELETE FROM lease WHERE taken_at < ? OR taken_at > ?", (now - LEASE_SECONDS, now + 60))
            state = quota.current(self._lane(db, lane), now)
            can = quota.spare(state, self._in_flight(db, lane), reserve)
            if can is not None and can <= 0 and state.resets_at is not None:
                return Refusal(state.resets_at)
            seconds = pacing.wait_for_turn(self._mark(db), now)
            if seconds > 0:
                return Wait(seconds)
            self._set_mark(db, pacing.take_turn(pace, now))
            cursor = db.execute("INSERT INTO lease (token, lane, taken_at) VALUES (?, ?, ?)", (self._token, lane, now))
            return Turn(int(cursor.lastrowid or 0))

    def settle(self, turn: Turn, lane: str, told: quota.Told | None, now: float) -> None:
        """Close a charged request with what its answer told, None where it told nothing."""
        with self._transaction() as db:
            db.execute("DELETE FROM lease WHERE id = ?", (turn.lease,))
            if told is not None:
                state = quota.learn(self._lane(db, lane), told, self._in_flight(db, lane), now)
                self._set_lane(db, lane, state)
                return
            state = quota.current(self._lane(db, lane), now)
            if state.remaining is not None:
                # No answer says whether Toggl counted it: assume so.
                self._set_lane(db, lane, quota.Lane(state.total, max(0, state.remaining - 1), state.resets_at))

    def close_lane(self, lane: str, resets_in: float | None, now: float) -> float:
        """Note a refusal for quota; return when the lane resets, in seconds since the epoch."""
        with self._transaction() as db:
            state = quota.close(self._lane(db, lane), resets_in, now)
            self._set_lane(db, lane, state)
            return state.resets_at or now

    def set_lane(self, lane: str, state: quota.Lane) -> None:
        """Note what was asked for explicitly (``GET /me/quota``)."""
        with self._transaction() as db:
            self._set_lane(db, lane, state)

    def lane(self, lane: str, now: float) -> quota.Lane:
        """Return what is known of a lane."""
        with self._transaction() as db:
            return quota.current(self._lane(db, lane), now)

    def hold_back(self, seconds: float, now: float) -> None:
        """Let no process of this host send for this token for so long (429)."""
        with self._transaction() as db:
            self._set_mark(db, pacing.hold_back(self._mark(db), seconds, now))

    def organizations(self) -> dict[int, int]:
        """Return which organization each known workspace belongs to."""
        with self._transaction() as db:
            rows = db.execute("SELECT workspace_id, organization_id FROM workspace WHERE token = ?", (self._token,))
            return dict(rows.fetchall())

    def learn_organization(self, workspace_id: int, organization_id: int) -> None:
        """Note which organization a workspace belongs to; what was charged to the workspace's own lane moves there."""
        with self._transaction() as db:
            db.execute(
                "INSERT OR REPLACE INTO workspace VALUES (?, ?, ?)", (self._token, workspace_id, organization_id)
            )
            own = (self._token, f"workspace:{workspace_id}")
            moved = (f"organization:{organization_id}", *own)
            db.execute("UPDATE OR IGNORE lane SET lane = ? WHERE token = ? AND lane = ?", moved)
            db.execute("DELETE FROM lane WHERE token = ? AND lane = ?", own)

    def _lane(self, db: sqlite3.Connection, lane: str) -> quota.Lane:
        row = db.execute(
            "SELECT total, remaining, resets_at FROM lane WHERE token = ? AND lane = ?", (self._token, lane)
        ).fetchone()
        return quota.Lane(*row) if row else quota.Lane()

    def _set_lane(self, db: sqlite3.Connection, lane: str, state: quota.Lane) -> None:
        db.execute(
            "INSERT OR REPLACE INTO lane VALUES (?, ?, ?, ?, ?)",
            (self._token, lane, state.total, state.remaining, state.resets_at),
        )

    def _in_flight(self, db: sqlite3.Connection, lane: str) -> int:
        row = db.execute("SELECT count(*) FROM lease WHERE token = ? AND lane = ?", (self._token, lane)).fetchone()
        return int(row[0])

    def _mark(self, db: sqlite3.Connection) -> pacing.Mark:
        row = db.execute("SELECT free_at, set_at FROM pace WHERE token = ?", (self._token,)).fetchone()
        return pacing.Mark(*row) if row else pacing.Mark()

    def _set_mark(self, db: sqlite3.Connection, mark: pacing.Mark) -> None:
        db.execute("INSERT OR REPLACE INTO pace VALUES (?, ?, ?)", (self._token, mark.free_at, mark.set_at))

    @staticmethod
    def _connect(target: str) -> sqlite3.Connection:
        db = sqlite3.connect(target, timeout=60, isolation_level=None, check_same_thread=False)
        # Nothing here must survive a power cut.
        db.execute("PRAGMA synchronous = OFF")
        db.executescript(_SCHEMA)
        return db

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            # A connection must not be carried over a fork, and Airflow forks: one a transaction.
            db = self._memory if self._path is None else self._open(self._path)
            try:
                db.execute("BEGIN IMMEDIATE")
                try:
                    yield db
                except BaseException:
                    db.execute("ROLLBACK")
                    raise
                db.execute("COMMIT")
            finally:
                if self._path is not None:
                    db.close()

    def _open(self, path: Path) -> sqlite3.Connection:
        try:
            return self._connect(str(path))
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise
            log.warning("The quota book %s is damaged and is begun anew: %s", path, error)
            path.unlink(missing_ok=True)
            return self._connect(str(path))


def _usable(path: Path | None) -> Path | None:
    """Return the path if a book can be kept there, else None with a warning."""
    if path is None:
        return None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        log.warning(
            "The quota book %s cannot be written (%s): paces and quota are not shared with other processes of this "
            "host.",
            path,
            error.strerror,
        )
        return None
    return path
