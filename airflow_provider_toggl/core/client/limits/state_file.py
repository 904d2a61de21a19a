"""The SQLite file that keeps rate-limit state for all processes of one host."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import sqlite3
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from airflow_provider_toggl.core.client.limits.store import (
    HOUR,
    HourlyUsage,
    StateStore,
    build_usage,
    decode_state,
    list_writes,
)
from airflow_provider_toggl.core.client.limits.token_state import TokenState
from airflow_provider_toggl.core.databases.statements import load_statements

T = TypeVar("T")
log = logging.getLogger(__name__)

#: Seconds to wait for other processes of the host. They hold the file for milliseconds.
BUSY_SECONDS = 60.0

STATEMENTS = load_statements(__package__, "sql/sqlite.sql")
_SCHEMA = ";\n".join(statement for name, statement in STATEMENTS.items() if name.startswith("create_"))


class StateFile(StateStore):
    """Opens the file for each transaction, and replaces it when it is damaged.

    :param path: the file. With None, or a file that cannot be written, the state is kept in this process alone.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = _find_usable(path)
        self._lock = threading.Lock()
        self._memory = _connect(":memory:")
        weakref.finalize(self, self._memory.close)

    def update(self, token: str, now: float, change: Callable[[TokenState, float], T]) -> T:
        """Change the state of a token, and return what the change returned."""
        with self._transaction() as db:
            state = _find_state(db, token)
            result = change(state, now)
            for statement, values in list_writes(token, state, result, now):
                db.execute(STATEMENTS[statement], values)
        return result

    def read(self, token: str, now: float) -> tuple[TokenState, float]:
        """Return the state of a token, and the caller's time: this is the clock of the host."""
        with self._transaction() as db:
            return _find_state(db, token), now

    def list_usage(self, token: str, since: float) -> list[HourlyUsage]:
        """Return the requests of each hour that ends after ``since``, by lane and hour."""
        with self._transaction() as db:
            rows = db.execute(STATEMENTS["list_usage"], {"token": token, "hour": int(since // HOUR)})
            return build_usage(rows.fetchall())

    def close_idle(self) -> None:
        """Do nothing: each transaction has a connection of its own."""

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Lock the state for all processes, and store what was written unless an error was raised."""
        with self._lock, self._open() as connection:
            connection.execute("begin immediate")
            try:
                yield connection
            except BaseException:
                connection.execute("rollback")
                raise
            connection.execute("commit")

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        if self.path is None:
            yield self._memory
            return
        # One connection per transaction: Airflow forks, and a connection must not be carried over a fork.
        try:
            opened = _open_or_replace(self.path)
        except sqlite3.OperationalError as error:
            if "full" not in str(error):
                raise
            log.warning("%s cannot be written (%s), so pace and quota are not shared.", self.path, error)
            yield self._memory
            return
        with contextlib.closing(opened) as connection:
            yield connection


def _find_state(db: sqlite3.Connection, token: str) -> TokenState:
    found = db.execute(STATEMENTS["find_state"], {"token": token}).fetchone()
    return decode_state(found[0] if found else None)


def _open_or_replace(path: Path) -> sqlite3.Connection:
    try:
        return _connect(str(path))
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as error:
        log.warning("The rate-limit state in %s is damaged and is replaced: %s", path, error)
        path.unlink(missing_ok=True)
        path.with_name(path.name + "-journal").unlink(missing_ok=True)
        return _connect(str(path))


def _connect(target: str) -> sqlite3.Connection:
    """Return a connection to a file with all tables.

    :raises sqlite3.DatabaseError: the file is damaged.
    """
    connection = sqlite3.connect(target, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        # Nothing in this file has to survive a power cut.
        connection.execute("pragma synchronous = off")
        connection.executescript(_SCHEMA)
        _check(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _check(connection: sqlite3.Connection) -> None:
    """Look for damage beyond the first page of the file. This takes 0.05 ms."""
    (found,) = connection.execute("pragma quick_check(1)").fetchone()
    if found != "ok":
        raise sqlite3.DatabaseError(found)


def _find_usable(path: Path | None) -> Path | None:
    """Return the path if the file can be written; otherwise log a warning and return None."""
    if path is None:
        return None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        if not os.access(path.parent, os.W_OK, effective_ids=os.access in os.supports_effective_ids):
            # SQLite creates its journal next to the file.
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        log.warning(
            "%s cannot be written (%s), so pace and quota are not shared with other processes of this host.",
            path,
            error.strerror,
        )
        return None
    return path
