"""A database of this package in a PostgreSQL schema of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import psycopg
from psycopg import sql

from airflow_provider_toggl.core.clock import Clock
from airflow_provider_toggl.core.databases import postgres
from airflow_provider_toggl.core.databases.database import Database, DatabaseErrors, DatabaseSession
from airflow_provider_toggl.core.databases.postgres_server import Connection, PostgresServer
from airflow_provider_toggl.core.databases.statements import combine, load_statements, to_pyformat

T = TypeVar("T")


class PostgresSchema(Database):
    """Keeps its tables in a schema. Lists are passed to SQL as arrays.

    :param dsn: a connection string of libpq; never shown.
    :param schema: its name; ``prepare`` creates it.
    :param statements: by name; ``{schema}`` stands for the schema, also in migrations.
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
        super().__init__(f"in schema {schema!r}", migrations, errors, clock)
        self.schema = schema
        self.quoted_schema = sql.Identifier(schema).as_string(None)
        self.server = PostgresServer(dsn, errors, connect_timeout)
        literal = sql.Literal(schema).as_string(None)
        self._names = {"schema": self.quoted_schema, "channel": self.quoted_schema, "channel_text": literal}
        # psycopg takes a percent sign for the begin of a parameter.
        escaped = {name: text.replace("%", "%%") for name, text in self._names.items()}
        named = combine(load_statements(__package__, "sql/postgres.sql"), statements, **escaped)
        self.statements = {name: to_pyformat(text).encode() for name, text in named.items()}

    def run(self, work: Callable[[DatabaseSession], T]) -> T:
        """Return what the work returns; a lost connection lets it run a second time."""
        return self.server.run(lambda db: work(self.session(db)))

    def transact(self, work: Callable[[DatabaseSession], T]) -> T:
        """Return what the work returns; an error undoes it, and a lost connection lets it run a second time."""

        def run(db: Connection) -> T:
            with db.transaction():
                return work(self.session(db))

        return self.server.run(run)

    def session(self, db: Connection) -> DatabaseSession:
        """Return what runs named statements on a connection to the server."""
        return DatabaseSession(db, self.statements, list)

    def migrate(self) -> None:
        """Create or migrate the schema and its tables."""
        self.server.run(self._migrate)

    def read_version(self, session: DatabaseSession) -> int:
        """Return the version of the tables."""
        try:
            rows = session.fetch("find_version")
        except psycopg.errors.UndefinedTable:
            return 0
        return int(rows[0][0]) if rows else 0

    def close(self) -> None:
        """Close the connections."""
        self.server.close()

    def _migrate(self, db: Connection) -> None:
        session, version_table = self.session(db), f"{self.quoted_schema}.schema_version"
        with db.transaction():
            session.execute("allow_long_statements")
            # Another process may be migrating too, or have been first.
            session.fetch("lock_for_migration", schema=self.schema)
            found = session.fetch("find_tables", quoted_schema=self.quoted_schema, version_table=version_table)
            has_schema, has_tables = found[0]
            if not has_schema:
                session.execute("create_schema")
            version = self.read_version(session) if has_tables else 0
            self.run_migrations(session, lambda text: db.execute(text.format(**self._names).encode()), version)
