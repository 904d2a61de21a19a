"""A database of this package in a SQLite file of its own."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from airflow_provider_toggl.core.clock import Clock
from airflow_provider_toggl.core.databases.database import Database, DatabaseErrors, DatabaseSession
from airflow_provider_toggl.core.databases.faults import find_sqlite_fault
from airflow_provider_toggl.core.databases.sqlite_file import SqliteFile
from airflow_provider_toggl.core.databases.statements import combine, load_statements
from airflow_provider_toggl.core.errors import ConfigurationError, DatabaseFault

T = TypeVar("T")


class SqliteDatabase(Database):
    """Keeps its tables in a file with a write-ahead log. Lists are passed to SQL as JSON arrays.

    :param path: the file; ``prepare`` creates it.
    :param statements: by name; ``{schema}`` stands for the file's only schema.
    :param migrations: the statements that lead from each version of the tables to the next.
    :param own_table: a table of the first migration, by which the file is recognized.
    :param errors: what to raise for a failure of the database.
    :param clock: for the times at which migrations are recorded.
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
        super().__init__(str(path), migrations, errors, clock)
        self.file = SqliteFile(path, errors, busy_timeout)
        self.statements = combine(load_statements(__package__, "sql/sqlite.sql"), statements, schema="main")
        self._own_table = own_table

    def prepare(self) -> None:
        """Create the file, and create or migrate its tables.

        :raises ConfigurationError: the file belongs to another program or another part of this package.
        """
        self.file.create()
        super().prepare()

    def run(self, work: Callable[[DatabaseSession], T]) -> T:
        """Return what the work returns; each statement is its own transaction."""
        with self.file.connection() as db:
            return work(self.session(db))

    def transact(self, work: Callable[[DatabaseSession], T]) -> T:
        """Return what the work returns; all in one transaction, which an error undoes."""
        with self.file.transaction() as db:
            return work(self.session(db))

    def session(self, db: sqlite3.Connection) -> DatabaseSession:
        """Wrap a connection of the file in a ``DatabaseSession``."""
        return DatabaseSession(db, self.statements, json.dumps)

    def migrate(self) -> None:
        """Create or migrate the tables."""
        self.file.ensure_wal()
        with self.file.transaction() as db:
            session = self.session(db)
            self.run_migrations(session, db.execute, self.read_version(session))

    def read_version(self, session: DatabaseSession) -> int:
        """Return the version of the tables.

        :raises ConfigurationError: the file belongs to another program or another part of this package.
        """
        remedy = f"give the {self.errors.name} a file of its own."
        try:
            rows = session.fetch("find_version", own_table=self._own_table)
        except sqlite3.OperationalError as error:
            if find_sqlite_fault(error) is not DatabaseFault.MISSING_OBJECT:
                raise
            if session.fetch("is_foreign")[0][0]:
                raise ConfigurationError(f"{self.where} is a database of something else: {remedy}") from None
            return 0
        if not rows:
            return 0
        version, is_ours = rows[0]
        if not is_ours:
            raise ConfigurationError(
                f"{self.where} has the tables of a warehouse, or of another part of this package: {remedy}"
            )
        return int(version)

    def close(self) -> None:
        """Close the connections."""
        self.file.close()
