"""The SQLite file of the host's book: opened for each transaction, begun anew when it is damaged."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import sqlite3
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path

log = logging.getLogger(__name__)

#: How long to wait for other processes of the host; they hold the file for milliseconds.
BUSY_SECONDS = 60.0

_SCHEMA = Path(__file__).with_name("state.sql").read_text(encoding="utf-8")


class StateFile:
    """Where the book is kept.

    :param path: the file; None, or one that cannot be written, keeps the book in this process alone.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = _usable(path)
        self._lock = threading.Lock()
        self._memory = _connect(":memory:")
        weakref.finalize(self, self._memory.close)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Hold the book alone, and keep what was written unless an error was raised."""
        with self._lock, self._opened() as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
            except BaseException:
                db.execute("ROLLBACK")
                raise
            db.execute("COMMIT")

    @contextlib.contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        if self.path is None:
            yield self._memory
            return
        # A connection must not be carried over a fork, and Airflow forks: one a transaction.
        try:
            opened = _open(self.path)
        except sqlite3.OperationalError as error:
            if "full" not in str(error):
                raise
            log.warning("The quota book %s cannot be written (%s): paces and quota are not shared.", self.path, error)
            yield self._memory
            return
        with contextlib.closing(opened) as db:
            yield db


def _open(path: Path) -> sqlite3.Connection:
    try:
        return _connect(str(path))
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as error:
        log.warning("The quota book %s is damaged and is begun anew: %s", path, error)
        path.unlink(missing_ok=True)
        path.with_name(path.name + "-journal").unlink(missing_ok=True)
        return _connect(str(path))


def _connect(target: str) -> sqlite3.Connection:
    db = sqlite3.connect(target, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        # Nothing here must survive a power cut.
        db.execute("PRAGMA synchronous = OFF")
        db.executescript(_SCHEMA)
        _check(db)
    except BaseException:
        db.close()
        raise
    return db


def _check(db: sqlite3.Connection) -> None:
    """Look for damage beyond the file's first page; it takes a twentieth of a millisecond.

    :raises sqlite3.DatabaseError: there is some.
    """
    (found,) = db.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise sqlite3.DatabaseError(found)


def _usable(path: Path | None) -> Path | None:
    """Return the path if a book can be kept there, else None with a warning."""
    if path is None:
        return None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        if not os.access(path.parent, os.W_OK, effective_ids=os.access in os.supports_effective_ids):
            # SQLite makes its journal beside the file.
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        log.warning(
            "The quota book %s cannot be written (%s): paces and quota are not shared with other processes of this "
            "host.",
            path,
            error.strerror,
        )
        return None
    return path
