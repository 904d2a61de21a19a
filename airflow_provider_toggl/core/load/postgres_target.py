"""PostgreSQL as the warehouse: rows by COPY, one landing a schema at a time, one transaction a landing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from airflow_provider_toggl.core.clock import Clock, SystemClock, utc
from airflow_provider_toggl.core.databases import faults, postgres
from airflow_provider_toggl.core.databases.faults import first_line
from airflow_provider_toggl.core.errors import (
    ConfigurationError,
    DatabaseFault,
    WarehouseError,
    WarehouseLocked,
    WarehouseReadOnly,
)
from airflow_provider_toggl.core.load import merge, migrations
from airflow_provider_toggl.core.load.postgres_session import Connection, PostgresSession, adapt
from airflow_provider_toggl.core.load.queries import load_queries
from airflow_provider_toggl.core.load.session import Session
from airflow_provider_toggl.core.load.sql_target import SqlTarget

# A server that is gone without a word is noticed after some 30 s; TCP alone would take a quarter of an hour.
_NOTICE_SILENCE = {
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "4",
    "tcp_user_timeout": "30000",
    "connect_timeout": "30",
    "application_name": "airflow-provider-toggl",
}
# A landing computes between its statements, for longer than the limit that some servers set; one that hangs must end.
_IDLE_IN_TRANSACTION_MS = "600000"
_MOST_GRANTS = 6
_GO_ON = "Nothing was lost: what was landed before is there, and the next run goes on from it."


class PostgresTarget(SqlTarget):
    """Lands in a schema of a PostgreSQL database.

    One connection, opened at the first call and again where the server has ended it between two calls. Landings into
    one schema take turns; questions wait for nobody.

    :param dsn: a connection string of libpq; never shown.
    :param schema: the schema of all tables and views, made where there is none.
    :param lock_timeout: seconds to wait for another landing.
    :param clock: time, as a seam.
    """

    def __init__(
        self, dsn: str, *, schema: str = "toggl", lock_timeout: float = 300.0, clock: Clock | None = None
    ) -> None:
        super().__init__(clock or SystemClock())
        postgres.check_schema_name(schema)
        try:
            given = conninfo_to_dict(dsn)
        except psycopg.ProgrammingError:
            # Not chained: its text quotes the DSN.
            raise ConfigurationError("The warehouse's connection string is none that PostgreSQL understands.") from None
        self._parameters = {**_NOTICE_SILENCE, **given, **postgres.CONNECT_PARAMETERS}
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
                self._begin(db)
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
        with self._opened(writing=True) as db:
            session = PostgresSession(db)
            session.run(load_queries("postgres")["take_turn"], [self._schema])
            yield session

    def _check_zone(self, session: Session, timezone: str) -> None:
        try:
            session.run(load_queries("postgres")["check_timezone"], [timezone])
        except psycopg.DataError:
            raise ConfigurationError(f"PostgreSQL knows no time zone {timezone!r}.") from None

    @contextmanager
    def _opened(self, *, writing: bool = False) -> Iterator[Connection]:
        with self._translated_errors():
            try:
                db = self._begin_kept(writing=writing) or self._begin_new(writing=writing)
                yield db
                db.execute("commit")
            except BaseException:
                if self._db is not None and not self._db.closed:
                    with suppress(psycopg.Error):
                        self._db.execute("rollback")
                self.close()
                raise

    def _begin_kept(self, *, writing: bool) -> Connection | None:
        """Begin a transaction on the connection that is open; None where there is none, or its session has ended."""
        if self._db is None:
            return None
        try:
            self._begin(self._db, writing=writing)
        except psycopg.Error as error:
            if postgres.find_fault(error) is not DatabaseFault.CONNECTION_LOST:
                raise
            self.close()
        return self._db

    def _begin_new(self, *, writing: bool) -> Connection:
        db = self._db = self._connect()
        self._begin(db)
        is_current = self._find_version(PostgresSession(db)) == len(migrations.MIGRATIONS)
        db.execute("commit")
        if not is_current:
            self._begin(db, writing=True)
            self._migrate(PostgresSession(db))
            db.execute("commit")
        self._begin(db, writing=writing)
        return db

    def _connect(self) -> Connection:
        try:
            # Transactions are begun with what they need, see _begin.
            db = psycopg.connect(autocommit=True, prepare_threshold=None, **self._parameters)  # type: ignore[arg-type]
        except psycopg.Error as error:
            fault = postgres.find_refusal(error)
            words = f"{self._where} cannot be reached: {first_line(error)} {faults.ADVICE.get(fault, '')}"
            raise WarehouseError(f"{words} {_GO_ON}", fault=fault) from None
        adapt(db)
        return db

    def _begin(self, db: Connection, *, writing: bool = False) -> None:
        """Begin a transaction with the settings that we rely on, in one message.

        They are those of the transaction alone, so that a pooler may give the session to others afterwards.
        """
        settings = {
            **postgres.SESSION_SETTINGS,
            "search_path": merge.quote(self._schema),
            "lock_timeout": str(max(1, round(self._lock_timeout * 1000))),
            "idle_in_transaction_session_timeout": _IDLE_IN_TRANSACTION_MS,
        }
        if writing:
            # Rows that a policy hides would be taken for absent: fail instead. Who reads sees what he may.
            settings["row_security"] = "off"
        # Each statement must see what the landing before it has left.
        begin = sql.SQL("begin isolation level read committed{}; ").format(sql.SQL(" read write" if writing else ""))
        try:
            db.execute(begin + postgres.build_settings(db, settings, local=True))
        except psycopg.errors.FeatureNotSupported as error:
            # What a standby says to "read write".
            raise self._read_only(f"{self._where}: {first_line(error)}") from None

    def _migrate(self, session: PostgresSession) -> None:
        session.run(load_queries("postgres")["take_turn"], [self._schema])
        if not session.run(load_queries("postgres")["find_schema"], [self._schema])[0][0]:
            # Not left to "if not exists", which asks for the right to make one also where there is nothing to make.
            session.run(f"create schema {merge.quote(self._schema)}")
        migrations.apply_migrations(session, self._find_version(session), utc(self._clock.now()))

    def _find_version(self, session: PostgresSession) -> int:
        if not session.run(load_queries("postgres")["find_tables"], [self._schema])[0][0]:
            return 0
        version = int(session.run(load_queries("tables")["find_version"])[0][0] or 0)
        migrations.check_version(version, self._where)
        return version

    def _find_unencodable(self, characters: str) -> str:
        """Return those that the database's encoding lacks, by asking the server, which halves them until it knows."""
        with self._opened() as db:
            return _refused(db, characters)

    @contextmanager
    def _translated_errors(self) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            # Not chained: details that PostgreSQL adds may quote a row.
            raise self._translated(error) from None

    def _translated(self, error: psycopg.Error) -> WarehouseError:
        fault = postgres.find_fault(error)
        words = f"{self._where}: {first_line(error.diag.message_primary or error)}"
        if fault is DatabaseFault.LOCKED and error.sqlstate in faults.COLLISIONS:
            return WarehouseLocked(f"{words} {faults.COLLIDED} {_GO_ON}", fault=fault)
        if fault is DatabaseFault.LOCKED:
            return WarehouseLocked(
                f"{words} Another landing or session kept it for more than {self._lock_timeout:g} s; wait longer "
                f"(warehouse_lock_timeout) or end that session. {_GO_ON}",
                fault=fault,
            )
        if fault is DatabaseFault.READ_ONLY:
            return self._read_only(words)
        if fault in (DatabaseFault.MISSING_RIGHT, DatabaseFault.MISSING_OBJECT):
            # Without USAGE on the schema its tables are said not to exist.
            missing = self._find_missing_rights()
            if missing or fault is DatabaseFault.MISSING_RIGHT:
                return self._missing_right(words, missing)
        go_on = f" {_GO_ON}" if fault is DatabaseFault.CONNECTION_LOST else ""
        state = f"(SQLSTATE {error.sqlstate})" if error.sqlstate else ""
        told = " ".join(part for part in (words, state, faults.ADVICE.get(fault, "")) if part)
        return WarehouseError(told + go_on, fault=fault)

    def _find_missing_rights(self) -> list[tuple[str, str]]:
        """Return the rights that the role lacks, each with its object: the error tells at most the first of them."""
        try:
            with self._connect() as db:
                self._begin(db)
                rows = PostgresSession(db).run(load_queries("postgres")["find_missing_rights"], [self._schema])
                return [(str(right), str(thing)) for right, thing in rows]
        except (psycopg.Error, WarehouseError):
            return []

    def _missing_right(self, words: str, missing: list[tuple[str, str]]) -> WarehouseReadOnly:
        things: dict[str, list[str]] = {}
        for right, thing in missing:
            things.setdefault(thing, []).append(right)
        grants = [f"{', '.join(rights)} on {thing}" for thing, rights in things.items()]
        more = f" and {len(grants) - _MOST_GRANTS} more" if len(grants) > _MOST_GRANTS else ""
        lacks = f" For landing its role lacks {'; '.join(grants[:_MOST_GRANTS])}{more}." if grants else ""
        return WarehouseReadOnly(
            f"{words}{lacks} Grant the role what it lacks, or make the schema and give it to the role: "
            f"create schema {merge.quote(self._schema)} authorization ... . Merging also needs TEMPORARY on the "
            "database.",
            fault=DatabaseFault.MISSING_RIGHT,
        )

    def _read_only(self, words: str) -> WarehouseReadOnly:
        fault = DatabaseFault.READ_ONLY
        return WarehouseReadOnly(f"{words} {faults.ADVICE[fault]}", fault=fault)


def _refused(db: Connection, characters: str) -> str:
    try:
        # The server converts a parameter before it looks at the statement.
        with db.transaction():
            db.execute("select length(%s::text)", [characters])
    except psycopg.DataError:
        half = len(characters) // 2
        return characters if not half else _refused(db, characters[:half]) + _refused(db, characters[half:])
    return ""
