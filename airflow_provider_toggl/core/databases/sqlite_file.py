"""Connections to a SQLite file, and what its errors mean."""

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

from airflow_provider_toggl.core.databases.database import DatabaseErrors
from airflow_provider_toggl.core.databases.faults import find_sqlite_fault
from airflow_provider_toggl.core.databases.pool import ConnectionPool
from airflow_provider_toggl.core.errors import DatabaseFault, TogglError

MIN_FREE_BYTES = 1 << 20
"""Bytes that SQLite needs beside its file."""


class _Connection(sqlite3.Connection):
    """A connection that knows which file it was opened on."""

    file: tuple[int, int] | None = None


class SqliteFile:
    """Lends connections to one file and raises the errors of the part that uses it.

    :param path: the file, on a local disk.
    :param errors: what to raise.
    :param busy_timeout: seconds to wait while another process writes.
    """

    def __init__(self, path: Path, errors: DatabaseErrors, busy_timeout: float) -> None:
        self.path = path
        self._errors = errors
        self._busy_timeout = busy_timeout
        self._pool = ConnectionPool(self._open, sqlite3.Connection.close, errors)

    def create(self) -> None:
        """Create an empty file, and the folders above it, unless there is one.

        :raises unavailable: it cannot be created.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if not self.path.exists():
                self._link_new()
        except OSError as error:
            raise self._errors.unavailable(
                f"The {self._errors.name} {self.path} cannot be written: {error.strerror}. Every process that uses it "
                "needs the right to write the file and its folder, on a disk that can be written.",
                fault=DatabaseFault.DISK_FULL if error.errno in _NO_SPACE else DatabaseFault.READ_ONLY,
            ) from error

    def _link_new(self) -> None:
        """Create the file under another name first, readable by its owner alone: it holds what people do all day.

        Nothing but SQLite may ever open and close the file itself in this process: when the first descriptor closes,
        POSIX releases all locks of the process (sqlite.org/howtocorrupt.html, 2.2), and the next other process that
        closes the database removes the log of committed transactions.
        """
        descriptor, name = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.name}-")
        os.close(descriptor)
        try:
            with suppress(FileExistsError):
                os.link(name, self.path)
        finally:
            Path(name).unlink()

    def ensure_wal(self) -> None:
        """Switch to a write-ahead log, so that readers and the writer do not block each other; the file keeps it.

        :raises unavailable: the disk does not support it.
        """
        deadline = time.monotonic() + self._busy_timeout
        with self.connection() as db:
            while True:
                try:
                    (mode,) = db.execute("pragma journal_mode = wal").fetchone()
                    break
                except sqlite3.OperationalError as error:
                    # This statement does not wait by itself for others, who may be running the same one.
                    if find_sqlite_fault(error) is not DatabaseFault.LOCKED or time.monotonic() >= deadline:
                        raise
                    time.sleep(0.01)
        if mode != "wal":
            raise self._errors.unavailable(
                f"The {self._errors.name} {self.path} is where SQLite cannot keep a write-ahead log, as on a network "
                "share. Put it on a local disk, or use PostgreSQL by event_store_conn_id."
            )

    @contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection outside of any transaction.

        :raises unavailable: the file is locked, full, not writable or missing.
        :raises damaged: it was replaced, is corrupt, or is no database.
        """
        try:
            with self._pool.borrow() as db:
                self._check_file(db)
                yield db
        except (sqlite3.Error, MemoryError) as error:
            raise self._translate(error) from error

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection within a transaction that may write; it commits at the end, and an error undoes it."""
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
        """Check that the path still leads to the file that is open: others would not find what is written to it."""
        if db.file != self._find_file():
            self._pool.clear()
            raise self._errors.damaged(
                f"The {self._errors.name} {self.path} was removed or replaced while it was in use. Put it back, or "
                "start this process again to begin a new one."
            )

    def _find_file(self) -> tuple[int, int] | None:
        try:
            status = self.path.stat()
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def _translate(self, error: Exception) -> TogglError:
        subject = f"The {self._errors.name} {self.path}"
        text, fault = str(error), find_sqlite_fault(error)
        free = find_free_bytes(self.path) if "I/O error" in text else None
        if free is not None and free < MIN_FREE_BYTES:
            # SQLite reports a full disk as such only for some of its files.
            text, fault = f"{text}, for the disk is full", DatabaseFault.DISK_FULL
        if fault is DatabaseFault.CORRUPT:
            return self._errors.damaged(
                f"{subject} is damaged: {text}. Keep a copy, then restore a backup, or save what can be read by "
                f"`sqlite3 FILE .recover`, or move it away to begin a new one; {self._errors.loss}.",
                fault=fault,
            )
        if fault is DatabaseFault.MISSING_OBJECT:
            return self._errors.damaged(
                f"{subject} lacks what it should have: {text}. It may never have been prepared, or somebody changed "
                "it.",
                fault=fault,
            )
        advice = _ADVICE.get(fault, "What was not stored may be tried again.")
        return self._errors.unavailable(f"{subject} cannot be used: {text}. {advice}", fault=fault)


_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
_ADVICE = {
    DatabaseFault.LOCKED: "Another process has held it for too long; what was not stored may be tried again.",
    DatabaseFault.DISK_FULL: "Make room on its disk; what was not stored may be tried again.",
    DatabaseFault.READ_ONLY: "It and its folder must be there and writable for every user who runs a part of this.",
}


def find_free_bytes(path: Path) -> int | None:
    """Return how many bytes are free on the disk of a file, None where the system does not report it."""
    try:
        disk = os.statvfs(path.parent)
    except OSError:
        return None
    return disk.f_bavail * disk.f_frsize
