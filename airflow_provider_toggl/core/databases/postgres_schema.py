"""A database of this package in a PostgreSQL schema of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import psycopg
from psycopg import sql

from airflow_provider_toggl.core.clock import Clock
from airflow_provider_toggl.core.databases import postgres
from airflow_provider_toggl.core.databases.contract import DatabaseErrors, Row, Session
from airflow_provider_toggl.core.databases.postgres_server import Connection, PostgresServer
from airflow_provider_toggl.core.databases.statements import combine, load_statements, to_pyformat

T = TypeVar("T")


class PostgresSchema:
    """Runs named statements in a schema. Lists are passed to SQL as arrays.

    :param dsn: a connection string of libpq; never shown.
    :param schema: its name; ``prepare`` creates it.
    :param statements: by name; ``{schema}`` stands for the schema.
    :param migrations: the statements that lead from each version of the tables to the next; likewise.
    :param clock: tells when the tables were changed.
    :param connect_timeout: in seconds, at least 2.
    """

    def __init__(
        self,
        dsn: str,
        schema: str,
        *,
        statements: Mapping[str, str],
        migrations: Sequence[Sequence[str]],
        errors: DatabaseErrors,
        clock: Clock,
        connect_timeout: float,
    ) -> None:
        postgres.check_schema_name(schema)
        self.schema = schema
        self.server = PostgresServer(dsn, errors, connect_timeout)
        self.quoted_schema = sql.Identifier(schema).as_string(None)
        self._names = {
            "schema": self.quoted_schema,
            "channel": self.quoted_schema,
            "channel_text": sql.Literal(schema).as_string(None),
        }
        # psycopg takes a percent sign for the begin of a parameter.
        escaped = {name: text.replace("%", "%%") for name, text in self._names.items()}
        named = combine(load_statements(__package__, "postgres"), statements, **escaped)
        self.statements = {name: to_pyformat(text).encode() for name, text in named.items()}
        self._migrations = migrations
        self._errors = errors
        self.clock = clock

    def prepare(self) -> None:
        """Create or migrate the schema and its tables; costs one query where nothing is to do."""
        version, known = self.find_version(), len(self._migrations)
        if version > known:
            raise self._errors.build_too_new(f"in schema {self.schema!r}", version, known)
        if version < known:
            self.server.run(self._migrate)

    def find_version(self) -> int:
        """Return the version of the tables, 0 where there are none."""
        return self.server.run(lambda db: _find_version(self.session(db)))

    def fetch(self, statement: str, **values: Any) -> list[Row]:
        """Return the rows of a statement."""
        return self.server.run(lambda db: self.session(db).fetch(statement, **values))

    def execute(self, statement: str, **values: Any) -> int:
        """Run a statement in a transaction of its own and return how many rows it changed."""
        return self.server.run(lambda db: self.session(db).execute(statement, **values))

    def transact(self, work: Callable[[Session], T]) -> T:
        """Return what the work returns; an error undoes it, and a lost connection lets it run a second time."""

        def run(db: Connection) -> T:
            with db.transaction():
                return work(self.session(db))

        return self.server.run(run)

    def session(self, db: Connection) -> Session:
        """Return what runs named statements on a connection to the server."""
        return _PostgresSession(db, self.statements)

    def close(self) -> None:
        """Close the connections."""
        self.server.close()

    def _migrate(self, db: Connection) -> None:
        session = self.session(db)
        with db.transaction():
            session.execute("allow_long_statements")
            # Another process may be migrating too, or have been first.
            session.fetch("lock_for_migration", schema=self.schema)
            ((has_schema, has_tables),) = session.fetch(
                "find_tables",
                quoted_schema=self.quoted_schema,
                version_table=f"{self.quoted_schema}.schema_version",
            )
            if not has_schema:
                session.execute("create_schema")
            version = _find_version(session) if has_tables else 0
            for number, statements in enumerate(self._migrations[version:], start=version + 1):
                for statement in statements:
                    db.execute(statement.format(**self._names).encode())
                session.execute("insert_version", version=number, applied_at=int(self.clock.now() * 1e6))


def _find_version(session: Session) -> int:
    try:
        rows = session.fetch("find_version")
    except psycopg.errors.UndefinedTable:
        return 0
    return int(rows[0][0]) if rows else 0


class _PostgresSession:
    """Runs named statements on one connection."""

    def __init__(self, db: Connection, statements: Mapping[str, bytes]) -> None:
        self._db = db
        self._statements = statements

    def fetch(self, statement: str, **values: Any) -> list[Row]:
        """Return the rows of a statement."""
        return self._db.execute(self._statements[statement], values).fetchall()

    def execute(self, statement: str, **values: Any) -> int:
        """Run a statement and return how many rows it changed."""
        return self._db.execute(self._statements[statement], values).rowcount
