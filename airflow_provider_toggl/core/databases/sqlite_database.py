"""A database of this package in a SQLite file of its own."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from airflow_provider_toggl.core.clock import Clock
from airflow_provider_toggl.core.databases.contract import DatabaseErrors, Row, Session
from airflow_provider_toggl.core.databases.faults import find_sqlite_fault
from airflow_provider_toggl.core.databases.sqlite_file import SqliteFile
from airflow_provider_toggl.core.databases.statements import combine, load_statements
from airflow_provider_toggl.core.errors import ConfigurationError, DatabaseFault

T = TypeVar("T")


class SqliteDatabase:
    """Runs named statements in a file with a write-ahead log. Lists are passed to SQL as JSON arrays.

    :param path: the file; ``prepare`` creates it.
    :param statements: by name.
    :param migrations: the statements that lead from each version of the tables to the next.
    :param own_table: a table of the first migration, by which the file is known to be ours.
    :param clock: tells when the tables were changed.
    :param busy_timeout: seconds to wait while another process writes.
    """

    def __init__(
        self,
        path: Path,
        *,
        statements: Mapping[str, str],
        migrations: Sequence[Sequence[str]],
        own_table: str,
        errors: DatabaseErrors,
        clock: Clock,
        busy_timeout: float,
    ) -> None:
        self.file = SqliteFile(path, errors, busy_timeout)
        self.statements = combine(load_statements(__package__, "sqlite"), statements, schema="main")
        self._migrations = migrations
        self._own_table = own_table
        self._errors = errors
        self._clock = clock

    def prepare(self) -> None:
        """Create or migrate the tables; costs one query where nothing is to do.

        :raises ConfigurationError: the file is a database of something else.
        """
        self.file.create()
        version, known = self.find_version(), len(self._migrations)
        if version > known:
            raise self._errors.build_too_new(str(self.file.path), version, known)
        if version < known:
            self.file.ensure_wal()
            with self.file.transaction() as db:
                self._migrate(db)

    def find_version(self) -> int:
        """Return the version of the tables, 0 where there are none."""
        with self.file.connection() as db:
            return self._find_version(self.session(db))

    def fetch(self, statement: str, **values: Any) -> list[Row]:
        """Return the rows of a statement."""
        with self.file.connection() as db:
            return self.session(db).fetch(statement, **values)

    def execute(self, statement: str, **values: Any) -> int:
        """Run a statement in a transaction of its own and return how many rows it changed."""
        with self.file.connection() as db:
            return self.session(db).execute(statement, **values)

    def transact(self, work: Callable[[Session], T]) -> T:
        """Return what the work returns; an error undoes it."""
        with self.file.transaction() as db:
            return work(self.session(db))

    def session(self, db: sqlite3.Connection) -> Session:
        """Return what runs named statements on a connection of the file."""
        return _SqliteSession(db, self.statements)

    def close(self) -> None:
        """Close the connections."""
        self.file.close()

    def _migrate(self, db: sqlite3.Connection) -> None:
        session = self.session(db)
        version = self._find_version(session)  # another process may have been first
        for number, statements in enumerate(self._migrations[version:], start=version + 1):
            for statement in statements:
                db.execute(statement)
            session.execute("insert_version", version=number, applied_at=int(self._clock.now() * 1e6))

    def _find_version(self, session: Session) -> int:
        path = self.file.path
        try:
            rows = session.fetch("find_version", own_table=self._own_table)
        except sqlite3.OperationalError as error:
            if find_sqlite_fault(error) is not DatabaseFault.MISSING_OBJECT:
                raise
            if session.fetch("is_foreign")[0][0]:
                raise ConfigurationError(
                    f"{path} is a database of something else: give the {self._errors.name} a file of its own."
                ) from None
            return 0
        if rows and not rows[0][1]:
            raise ConfigurationError(
                f"{path} has the tables of a warehouse, or of another part of this package: give the "
                f"{self._errors.name} a file of its own."
            )
        return int(rows[0][0]) if rows else 0


class _SqliteSession:
    """Runs named statements on one connection."""

    def __init__(self, db: sqlite3.Connection, statements: Mapping[str, str]) -> None:
        self._db = db
        self._statements = statements

    def fetch(self, statement: str, **values: Any) -> list[Row]:
        """Return the rows of a statement."""
        return self._run(statement, values).fetchall()

    def execute(self, statement: str, **values: Any) -> int:
        """Run a statement and return how many rows it changed."""
        return self._run(statement, values).rowcount

    def _run(self, statement: str, values: Mapping[str, Any]) -> sqlite3.Cursor:
        bound = {name: json.dumps(value) if isinstance(value, list) else value for name, value in values.items()}
        return self._db.execute(self._statements[statement], bound)
