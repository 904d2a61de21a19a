"""The SQLite file of events: how it is opened, and what its errors mean."""

from __future__ import annotations

import errno
import os
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from airflow_provider_toggl.core.databases.faults import find_sqlite_fault
from airflow_provider_toggl.core.errors import (
    DatabaseFault,
    EventStoreDamaged,
    EventStoreError,
    EventStoreUnavailable,
)
from airflow_provider_toggl.core.events.pool import ConnectionPool
from airflow_provider_toggl.core.events.sqlite_health import find_free_bytes

ROOM = 1 << 20
"""Bytes that SQLite needs beside its file."""


class _Connection(sqlite3.Connection):
    """A connection that knows which file it was opened on."""

    file: tuple[int, int] | None = None


class SqliteFile:
    """Lends connections to one file and speaks of its troubles in this package's errors.

    :param path: the file, on a local disk.
    :param busy_timeout: seconds to wait while another process writes.
    """

    def __init__(self, path: Path, busy_timeout: float) -> None:
        self.path = path
        self._busy_timeout = busy_timeout
        self._pool = ConnectionPool(self._open, sqlite3.Connection.close)

    def create(self) -> None:
        """Make an empty file, and the folders above it, unless there is one.

        :raises EventStoreUnavailable: it cannot be made.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if not self.path.exists():
                self._link_new()
        except OSError as error:
            raise EventStoreUnavailable(
                f"The event store {self.path} cannot be written: {error.strerror}. Every process that uses it needs "
                "the right to write the file and its folder, on a disk that can be written.",
                fault=DatabaseFault.DISK_FULL if error.errno in _NO_SPACE else DatabaseFault.READ_ONLY,
            ) from error

    def _link_new(self) -> None:
        """Make the file under another name first, readable by its owner alone: bodies tell what people do all day.

        Nothing but SQLite may ever open and close the file itself in this process: with the first descriptor that is
        closed, POSIX takes all locks of the process away (sqlite.org/howtocorrupt.html, 2.2), and the next other
        process that closes the store removes the log of acknowledged events.
        """
        descriptor, name = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.name}-")
        os.close(descriptor)
        try:
            with suppress(FileExistsError):
                os.link(name, self.path)
        finally:
            Path(name).unlink()

    def ensure_wal(self) -> None:
        """Let readers and the writer not wait for each other; the file keeps the setting.

        :raises EventStoreUnavailable: the disk cannot do that.
        """
        deadline = time.monotonic() + self._busy_timeout
        with self.connection() as db:
            while True:
                try:
                    (mode,) = db.execute("pragma journal_mode = wal").fetchone()
                    break
                except sqlite3.OperationalError as error:
                    # This statement does not wait by itself for others, who may just be doing the same.
                    if find_sqlite_fault(error) is not DatabaseFault.LOCKED or time.monotonic() >= deadline:
                        raise
                    time.sleep(0.01)
        if mode != "wal":
            raise EventStoreUnavailable(
                f"The event store {self.path} is where SQLite cannot keep a write-ahead log, as on a network share. "
                "Put it on a local disk, or use PostgreSQL by event_store_conn_id."
            )

    @contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection outside of any transaction.

        :raises EventStoreUnavailable: the file is locked, full, not writable or not there.
        :raises EventStoreDamaged: it is not what it was, or no database.
        """
        try:
            with self._pool.borrow() as db:
                self._check_file(db)
                yield db
        except (sqlite3.Error, MemoryError) as error:
            raise self._translated(error) from error

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection that may write, alone; what was written is on disk at the end, or undone by an error."""
        with self.connection() as db:
            db.execute("begin immediate")
            yield db  # an error closes the connection, and that undoes
            db.execute("commit")

    def close(self) -> None:
        """Close the connections."""
        self._pool.close()

    def _open(self) -> _Connection:
        db = sqlite3.connect(
            f"file:{quote(str(self.path))}?mode=rw",
            uri=True,
            timeout=self._busy_timeout,
            isolation_level=None,
            check_same_thread=False,
            factory=_Connection,
        )
        try:
            # A commit returns when it is on disk, also if the power goes then.
            db.execute("pragma synchronous = full")
            db.file = self._find_file()
        except BaseException:
            db.close()
            raise
        return db

    def _check_file(self, db: _Connection) -> None:
        """Look whether the path still leads to the file that is open: into another one nothing would be found again."""
        if db.file != self._find_file():
            self._pool.clear()
            raise EventStoreDamaged(
                f"The event store {self.path} was removed or replaced while it was in use. Put it back, or start this "
                "process again to begin a new one."
            )

    def _find_file(self) -> tuple[int, int] | None:
        try:
            status = self.path.stat()
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def _translated(self, error: Exception) -> EventStoreError:
        text, fault = str(error), find_sqlite_fault(error)
        free = find_free_bytes(self.path) if "I/O error" in text else None
        if free is not None and free < ROOM:
            # SQLite says so only of some of its files.
            text, fault = f"{text}, for the disk is full", DatabaseFault.DISK_FULL
        if fault is DatabaseFault.CORRUPT:
            return EventStoreDamaged(
                f"The event store {self.path} is damaged: {text}. Keep a copy, then restore a backup, or save what can "
                "be read by `sqlite3 FILE .recover`, or move it away to begin a new one; the next pull brings what "
                "is missing.",
                fault=fault,
            )
        if fault is DatabaseFault.MISSING_OBJECT:
            return EventStoreDamaged(
                f"The event store {self.path} lacks what it should have: {text}. It may never have been prepared, or "
                "somebody changed it.",
                fault=fault,
            )
        advice = _ADVICE.get(fault, "What was not stored may be tried again.")
        return EventStoreUnavailable(f"The event store {self.path} cannot be used: {text}. {advice}", fault=fault)


_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
_ADVICE = {
    DatabaseFault.LOCKED: "Another process has held it for too long; what was not stored may be tried again.",
    DatabaseFault.DISK_FULL: "Make room on its disk; what was not stored may be tried again.",
    DatabaseFault.READ_ONLY: "It and its folder must be there and writable for every user who runs a part of this.",
}
