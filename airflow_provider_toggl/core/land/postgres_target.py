"""PostgreSQL as the warehouse: rows by COPY, one landing a schema at a time, one transaction a landing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import IsolationLevel
from psycopg.conninfo import conninfo_to_dict

from airflow_provider_toggl.core.clock import Clock, SystemClock, utc
from airflow_provider_toggl.core.errors import (
    ConfigurationError,
    WarehouseError,
    WarehouseLocked,
    WarehouseReadOnly,
)
from airflow_provider_toggl.core.land import merge, migrations
from airflow_provider_toggl.core.land.postgres_session import Connection, PostgresSession, adapt
from airflow_provider_toggl.core.land.queries import load_queries
from airflow_provider_toggl.core.land.session import Session
from airflow_provider_toggl.core.land.sql_target import SqlTarget

# A server that is gone without a word is noticed after some 30 s; TCP alone would take a quarter of an hour.
_NOTICE_SILENCE = {
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "4",
    "tcp_user_timeout": "30000",
    "connect_timeout": "30",
    "application_name": "airflow-provider-toggl",
}
_GO_ON = "Nothing was lost: what was landed before is there, and the next run goes on from it."


class PostgresTarget(SqlTarget):
    """Lands in a schema of a PostgreSQL database.

    One connection, opened at the first call. Landings into one schema take turns; questions wait for nobody.

    :param dsn: a connection string of libpq; never shown.
    :param schema: the schema of all tables and views, made where there is none.
    :param lock_timeout: seconds to wait for another landing.
    :param clock: time, as a seam.
    """

    def __init__(
        self, dsn: str, *, schema: str = "toggl", lock_timeout: float = 300.0, clock: Clock | None = None
    ) -> None:
        super().__init__(clock or SystemClock())
        try:
            given = conninfo_to_dict(dsn)
        except psycopg.ProgrammingError:
            # Not chained: its text quotes the DSN.
            raise ConfigurationError("The warehouse's connection string is none that PostgreSQL understands.") from None
        self._parameters = {**_NOTICE_SILENCE, **given, "client_encoding": "UTF8"}
        self._schema = schema
        self._lock_timeout = lock_timeout
        self._db: Connection | None = None
        place = f"{given.get('host', 'the local host')}:{given.get('port', 5432)}/{given.get('dbname', '')}"
        self._where = f"PostgreSQL at {place}, schema {schema!r}"

    def find_version(self) -> int:
        """Return the version of the tables that are there, 0 where there are none; makes and changes nothing.

        :raises SchemaTooNew: a later version of this package made them.
        """
        with self._translated_errors():
            db = self._connect()
            try:
                with db.transaction():
                    self._enter(db)
                    return self._find_version(PostgresSession(db))
            finally:
                db.close()

    def find_holders(self) -> list[str]:
        """Return which sessions have the turn to land in this schema, in words."""
        with self._translated_errors(), self._connect() as db:
            found = PostgresSession(db).run(load_queries("postgres")["find_turn_holders"], [self._schema])
        return [
            f"PID {pid} of role {role} ({name or 'no name'}), for {seconds} s" for pid, role, name, seconds in found
        ]

    def read_clock(self) -> float | None:
        """Return the time of the server in seconds since the epoch."""
        with self._opened() as db:
            return float(PostgresSession(db).run(load_queries("postgres")["read_clock"])[0][0])

    def release(self, force: bool = False) -> None:
        """Close the connection when forced to: whoever goes on landing keeps it, and holds up nobody."""
        if force:
            self.close()

    def close(self) -> None:
        """Close the connection."""
        db, self._db = self._db, None
        if db is not None:
            db.close()

    @contextmanager
    def _reading(self) -> Iterator[Session]:
        with self._opened() as db:
            yield PostgresSession(db)

    @contextmanager
    def _transaction(self) -> Iterator[Session]:
        with self._opened() as db:
            session = PostgresSession(db)
            session.run(load_queries("postgres")["take_turn"], [self._schema])
            yield session

    def _check_zone(self, session: Session, timezone: str) -> None:
        try:
            session.run(load_queries("postgres")["check_timezone"], [timezone])
        except psycopg.DataError:
            raise ConfigurationError(f"PostgreSQL knows no time zone {timezone!r}.") from None

    @contextmanager
    def _opened(self) -> Iterator[Connection]:
        with self._translated_errors():
            db = self._db
            try:
                if db is None:
                    db = self._db = self._connect()
                    with db.transaction():
                        self._enter(db)
                        self._prepare(PostgresSession(db))
                with db.transaction():
                    self._enter(db)
                    yield db
            except BaseException:
                self.close()
                raise

    def _connect(self) -> Connection:
        try:
            db = psycopg.connect(autocommit=True, prepare_threshold=None, **self._parameters)  # type: ignore[arg-type]
        except psycopg.Error as error:
            raise WarehouseError(f"{self._where} cannot be reached: {_first_line(str(error))} {_GO_ON}") from None
        # Each statement must see what the landing before it has left.
        db.isolation_level = IsolationLevel.READ_COMMITTED
        adapt(db)
        return db

    def _enter(self, db: Connection) -> None:
        milliseconds = str(max(1, round(self._lock_timeout * 1000)))
        PostgresSession(db).run(load_queries("postgres")["configure"], [merge.quote(self._schema), milliseconds])

    def _prepare(self, session: PostgresSession) -> None:
        if self._find_version(session) == len(migrations.MIGRATIONS):
            return
        session.run(load_queries("postgres")["take_turn"], [self._schema])
        if not session.run(load_queries("postgres")["find_schema"], [self._schema])[0][0]:
            # Not left to "if not exists", which asks for the right to make one also where there is nothing to make.
            session.run(f"create schema {merge.quote(self._schema)}")
        version = self._find_version(session)
        for number in range(version + 1, len(migrations.MIGRATIONS) + 1):
            migrations.apply_migration(session, number, utc(self._clock.now()))

    def _find_version(self, session: PostgresSession) -> int:
        if not session.run(load_queries("postgres")["find_tables"], [self._schema])[0][0]:
            return 0
        version = int(session.run(load_queries("tables")["find_version"])[0][0] or 0)
        migrations.check_version(version, self._where)
        return version

    @contextmanager
    def _translated_errors(self) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            # Not chained: details that PostgreSQL adds may quote a row.
            raise self._translated(error) from None

    def _translated(self, error: psycopg.Error) -> WarehouseError:
        state = error.sqlstate or ""
        words = f"{self._where}: {_first_line(error.diag.message_primary or str(error))}"
        if state in ("55P03", "57014", "40P01"):
            return WarehouseLocked(
                f"{words} Another landing or session kept it for more than {self._lock_timeout:g} s; wait longer "
                f"(warehouse_lock_timeout) or end that session. {_GO_ON}"
            )
        if state in ("42501", "3F000"):
            return WarehouseReadOnly(
                f"{words} The connection's role needs the right to create in this schema, and to create the schema "
                f"where there is none (create on the database): grant them, or make the schema and give it to the role."
            )
        if state == "25006":
            return WarehouseReadOnly(f"{words} The server takes no writes: name the primary one.")
        if state.startswith(("08", "57P")) or not state:
            return WarehouseError(f"{words} The connection was cut. {_GO_ON}")
        return WarehouseError(f"{words} (SQLSTATE {state})")


def _first_line(text: str) -> str:
    return " ".join(text.split("\n", maxsplit=1)[0].split()).rstrip(".") + "."
