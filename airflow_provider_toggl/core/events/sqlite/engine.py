"""The event store in a SQLite file, for one host."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from airflow_provider_toggl.core.clock import Clock, SystemClock
from airflow_provider_toggl.core.databases.database import Row
from airflow_provider_toggl.core.databases.sqlite_database import SqliteDatabase
from airflow_provider_toggl.core.events.engine import ERRORS, EventEngine, load_event_migrations, load_event_statements
from airflow_provider_toggl.core.events.model import Appended, StoreFacts
from airflow_provider_toggl.core.events.sqlite.inspection import inspect_file
from airflow_provider_toggl.core.events.store import EventStore

POLL_SECONDS = 0.01
"""Seconds between two checks of a ``wait``. One costs 10 microseconds and reads no table."""
MAX_ROWS = 64
"""Rows of one insert. SQLite before 3.32 takes 999 values, and a connection keeps 128 prepared statements."""


class SqliteEventStore(EventStore):
    """Keeps events in a SQLite file with a write-ahead log, each transaction on disk before it returns.

    :param path: the file, on a local disk; ``prepare`` creates it.
    :param clock: used for the times of migrations and commits.
    :param busy_timeout: seconds to wait while another process writes.
    """

    def __init__(self, path: Path | str, *, clock: Clock | None = None, busy_timeout: float = 5.0) -> None:
        clock = clock or SystemClock()
        self.path = Path(path)
        super().__init__(SqliteEventEngine(self.path, clock, busy_timeout), clock)

    def __repr__(self) -> str:
        return f"SqliteEventStore({str(self.path)!r})"


class SqliteEventEngine(SqliteDatabase, EventEngine):
    """Appends to the file in few statements, and polls it.

    SQLite runs one writing transaction at a time, and numbers are assigned inside of it: the order of ``seq`` is the
    order of visibility.

    Python releases the interpreter's lock at each step of SQLite and then waits for it. Beside a busy event loop each
    such wait takes longer than the step itself, so the number of statements matters, and not how much each does.
    """

    def __init__(self, path: Path, clock: Clock, busy_timeout: float) -> None:
        super().__init__(
            path,
            statements=load_event_statements("sqlite"),
            migrations=load_event_migrations("sqlite"),
            own_table="events",
            errors=ERRORS,
            clock=clock,
            busy_timeout=busy_timeout,
        )
        self._closing = threading.Event()

    def append(self, rows: Sequence[Row]) -> list[Appended]:
        """Store rows, at least one, in one durable transaction; return where each is."""
        if len(rows) <= MAX_ROWS:
            with self.file.connection() as db:
                appended = self._append_new(db, rows)
            if appended is not None:
                return appended
        with self.file.transaction() as db:
            return self._append_any(db, rows)

    def fetch_each(self, statement: str, keys: Sequence[str], **values: Any) -> list[Row]:
        """Return the rows of a statement for each of some keys."""
        with self.file.connection() as db:
            text = self.statements[statement]
            return [row for key in keys for row in db.execute(text, {**values, "key": key})]

    def wait(self, after: int, timeout: float) -> bool:
        """Return whether an event with a greater ``seq`` came within so many seconds.

        Polls a counter that SQLite changes with each commit, and reads the table only after it changed.
        """
        deadline = time.monotonic() + timeout
        last_version: int | None = None
        with self.file.connection() as db:
            while True:
                (version,) = db.execute("pragma data_version").fetchone()
                if version != last_version:
                    last_version = version
                    (found,) = db.execute(self.statements["has_after"], {"after": after}).fetchone()
                    if found:
                        return True
                left = deadline - time.monotonic()
                if left <= 0 or self._closing.wait(min(POLL_SECONDS, left)):
                    return False

    def inspect(self, patience: float) -> StoreFacts:
        """Return the state of the file, its journal and its disk."""
        version = self.find_version()
        with self.file.connection() as db:
            return inspect_file(db, self.file.path, version, patience)

    def close(self) -> None:
        """Close the connections, and end a ``wait`` of another thread."""
        self._closing.set()
        super().close()

    def _append_new(self, db: sqlite3.Connection, rows: Sequence[Row]) -> list[Appended] | None:
        """Insert rows that are all new by one statement, which is a transaction; return None where one is not.

        Then none is inserted, and no number is used up.
        """
        try:
            seqs = self._insert(db, rows)
        except sqlite3.IntegrityError:
            return None
        return [Appended(seq, duplicate=False) for seq in seqs]

    def _append_any(self, db: sqlite3.Connection, rows: Sequence[Row]) -> list[Appended]:
        """Insert those rows that are new, within a transaction.

        Known rows are looked up first: an insert that ignores conflicts would use up numbers.
        """
        keys = [row[0] for row in rows]
        seqs: dict[str, int] = dict(self.session(db).fetch("find_seqs", keys=keys))
        known = set(seqs)
        new: dict[str, Row] = {}
        for row in rows:
            if row[0] not in known:
                new.setdefault(row[0], row)
        fresh = list(new.values())
        for first in range(0, len(fresh), MAX_ROWS):
            some = fresh[first : first + MAX_ROWS]
            seqs.update(zip((row[0] for row in some), self._insert(db, some), strict=True))
        appended = []
        for key in keys:
            appended.append(Appended(seqs[key], duplicate=key in known))
            known.add(key)
        return appended

    def _insert(self, db: sqlite3.Connection, rows: Sequence[Row]) -> range:
        """Return the consecutive numbers of rows that one statement inserted."""
        statement = _repeat_row(self.statements["insert_events"], len(rows))
        last = db.execute(statement, [value for row in rows for value in row]).lastrowid or 0
        return range(last - len(rows) + 1, last + 1)


@cache
def _repeat_row(statement: str, count: int) -> str:
    row = statement[statement.rindex("(") :]
    return statement + f", {row}" * (count - 1)
