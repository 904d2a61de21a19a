"""The PostgreSQL engine: rows come in by binary COPY; an advisory lock serializes writers of a schema."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import psycopg
import pyarrow as pa
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from psycopg.copy import QueuedLibpqWriter
from psycopg.types.string import TextLoader

from airflow_provider_toggl.core.clock import Clock
from airflow_provider_toggl.core.databases import faults, postgres
from airflow_provider_toggl.core.databases.faults import first_line
from airflow_provider_toggl.core.databases.statements import load_statements, to_format
from airflow_provider_toggl.core.errors import ConfigurationError, DatabaseFault, WarehouseError, WarehouseReadOnly
from airflow_provider_toggl.core.load.decode.column_types import INSTANT
from airflow_provider_toggl.core.load.engines.arrow_rows import CHUNK, build_table
from airflow_provider_toggl.core.load.engines.contract import CONTINUES
from airflow_provider_toggl.core.load.engines.dbapi.engine import DbApi, DbApiEngine
from airflow_provider_toggl.core.load.engines.dialect import (
    ZONE_JOIN,
    Dialect,
    FactColumns,
    quote,
    whole_number_text,
)
from airflow_provider_toggl.core.load.engines.postgres.copy_binary import binary_chunks
from airflow_provider_toggl.core.load.merging import rule
from airflow_provider_toggl.core.load.tables.schemas import KEY, TableSchema
from airflow_provider_toggl.core.load.warehouse import Warehouse

Connection = psycopg.Connection[tuple[Any, ...]]

POSTGRES = Dialect(
    name="PostgreSQL",
    types={
        "bigint": "bigint",
        "boolean": "boolean",
        "text": "text",
        "double": "double precision",
        "timestamp": "timestamp with time zone",
        "date": "date",
        "bigint_list": "bigint[]",
        # Not jsonb, which has its own order of keys and cannot hold an escaped NUL: a text must stay what it was.
        "json": "json",
        "word": "text",
        "key": "text",
    },
    facts=FactColumns(
        local_date='cast(entry."start" at time zone zone."value" as date)',
        tag_names="""array(
        select tag."name"
        from unnest(entry."tag_ids") with ordinality as given ("id", "place")
            left join "tags" as tag on tag."id" = given."id"
        order by given."place"
    )""",
        hours='cast(entry."duration" / 3600.0 as double precision)',
        joins=ZONE_JOIN,
    ),
    texts={
        "timestamp": "cast(cast(extract(epoch from {0}) * 1000000 as bigint) as text)",
        "double": whole_number_text("bigint", "text"),
        "bigint_list": "'[' || array_to_string({0}, ', ') || ']'",
    },
    text="cast({0} as text)",
    instant_text="to_char({0} at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')",
    # json has no equality.
    same_text="cast({0} as text) is not distinct from cast({1} as text)",
    key_texts=("json",),
    temporary="create temporary table {0} on commit drop as",
    upsert="conflict",
    version_index="statement",
    has_zones=True,
    has_nul=False,
)

_ARROW_TYPES: dict[int, pa.DataType] = {
    16: pa.bool_(),
    **dict.fromkeys((20, 21, 23), pa.int64()),
    **dict.fromkeys((700, 701), pa.float64()),
    1082: pa.date32(),
    1114: pa.timestamp("us"),
    1184: INSTANT,
    **dict.fromkeys((1005, 1007, 1016), pa.list_(pa.int64())),
    **dict.fromkeys((1009, 1015), pa.list_(pa.string())),
    **dict.fromkeys((25, 1043, 114, 3802), pa.string()),
}
"""Arrow's types by the number (OID) of PostgreSQL's."""
_NUMERIC = 1700

_CONNECT_PARAMETERS = {
    # A server that disappears is noticed after some 30 s; TCP alone would take a quarter of an hour.
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "4",
    "tcp_user_timeout": "30000",
    "connect_timeout": "30",
    "application_name": "airflow-provider-toggl",
}
# A load computes between its statements, for longer than the limit that some servers set; one that hangs must end.
_IDLE_IN_TRANSACTION_MS = "600000"
_MOST_GRANTS = 6
_STATEMENTS = load_statements(__package__, "statements.sql")


class PostgresEngine(DbApiEngine):
    """Loads into a schema of a PostgreSQL database.

    Reading waits for nobody. Only one transaction at a time writes to a schema.

    :param dsn: a connection string of libpq; never shown.
    :param schema: the schema of all tables and views, created if it does not exist.
    :param lock_timeout: seconds to wait for another process that writes.
    """

    dialect = POSTGRES

    def __init__(self, dsn: str, *, schema: str = "toggl", lock_timeout: float = 300.0) -> None:
        postgres.check_schema_name(schema)
        try:
            parameters = conninfo_to_dict(dsn)
        except psycopg.ProgrammingError:
            # Not chained: its text quotes the DSN.
            raise ConfigurationError("PostgreSQL does not understand the warehouse's connection string.") from None
        server = f"{parameters.get('host', 'the local host')}:{parameters.get('port', 5432)}"
        where = f"PostgreSQL at {server}/{parameters.get('dbname', '')}, schema {schema!r}"
        super().__init__(DbApi(self._connect, "%s", where), schema=schema, lock_timeout=lock_timeout)
        self._parameters = {**_CONNECT_PARAMETERS, **parameters, **postgres.CONNECT_PARAMETERS}

    def configure(self) -> None:
        """Do nothing: each transaction has its own settings and makes the schema current."""

    def is_alive(self) -> bool:
        """Return whether the server still has the session."""
        try:
            self.connection.execute("select 1")
        except psycopg.Error as error:
            if self.find_fault(error) is not DatabaseFault.CONNECTION_LOST:
                raise
            return False
        return True

    def begin(self, *, writing: bool) -> None:
        """Begin a transaction; for writing, wait for the schema's advisory lock, which its end releases."""
        try:
            self._begin(self.connection, writing=writing)
        except psycopg.Error as error:
            # The server may end an idle session at any moment, also after ``is_alive``. Nothing was begun there.
            if self.find_fault(error) is not DatabaseFault.CONNECTION_LOST:
                raise
            self.close()
            self.open()
            self._begin(self.connection, writing=writing)
        if writing:
            self.run(_STATEMENTS["lock_schema"], [self.schema])

    def has_tables(self) -> bool:
        """Return whether the schema has our tables."""
        return bool(self.run(_STATEMENTS["find_tables"], [self.schema])[0][0])

    def make_schema(self) -> None:
        """Create the schema if it does not exist."""
        # Not "if not exists", which needs the right to create one even where it exists.
        if not self.run(_STATEMENTS["find_schema"], [self.schema])[0][0]:
            self.run(f"create schema {quote(self.schema)}")

    def check_zone(self, timezone: str) -> None:
        """Refuse a time zone that PostgreSQL does not know."""
        try:
            self.run(_STATEMENTS["check_timezone"], [timezone])
        except psycopg.DataError:
            raise ConfigurationError(f"PostgreSQL knows no time zone {timezone!r}.") from None

    def find_unencodable(self, characters: str) -> str:
        """Return the characters that the database's encoding lacks, by bisection: the server names none of them."""
        try:
            # The server converts a parameter before it reads the statement.
            with self.connection.transaction():
                self.connection.execute("select length(%s::text)", [characters])
        except psycopg.DataError:
            half = len(characters) // 2
            if not half:
                return characters
            return self.find_unencodable(characters[:half]) + self.find_unencodable(characters[half:])
        return ""

    def find_holders(self) -> list[str]:
        """Return descriptions of the sessions that write to this schema now."""
        with self._connect() as db:
            found = db.execute(to_format(_STATEMENTS["find_holders"]), [self.schema]).fetchall()
        return [
            f"PID {pid} of role {role} ({name or 'no name'}), for {seconds} s" for pid, role, name, seconds in found
        ]

    def read_clock(self) -> float | None:
        """Return the server's time in seconds since the epoch."""
        with self._connect() as db:
            return float(db.execute(_STATEMENTS["read_clock"]).fetchall()[0][0])

    # Statements and rows

    def table(self, sql: str, parameters: Sequence[Any] = ()) -> pa.Table:
        """Return the result of a query, read from the server in chunks."""
        with self.connection.cursor("toggl_query") as cursor:
            cursor.execute(to_format(sql), self._plain(parameters))
            columns = cursor.description or []
            chunks = iter(lambda: cursor.fetchmany(CHUNK), [])
            return build_table([c.name for c in columns], [_arrow_type(c) for c in columns], chunks)

    def insert(self, table: TableSchema, rows: pa.Table) -> None:
        """Insert rows of which no key is stored."""
        self._copy(quote(table.name), table, rows)

    def stage(self, table: TableSchema, rows: pa.Table) -> None:
        """Copy rows into a temporary table."""
        self.run(rule.create_incoming(table, POSTGRES, " on commit drop"))
        self._copy(rule.INCOMING, table, rows)
        # The planner knows nothing of so new a table otherwise.
        self.run(f"analyze {rule.INCOMING} ({quote(KEY)})")

    def unstage(self) -> None:
        """Remove the staged rows."""
        self.run(f"drop table {rule.INCOMING}")

    def _copy(self, name: str, table: TableSchema, rows: pa.Table) -> None:
        statement = f"copy {name} ({rule.names_of(table.columns)}) from stdin (format binary)"
        # A thread of its own sends: the next rows are encoded while the server reads these.
        with self.connection.cursor() as cursor, cursor.copy(statement, writer=QueuedLibpqWriter(cursor)) as copy:
            for chunk in binary_chunks(rows):
                copy.write(chunk)

    # Connecting

    def _connect(self) -> Connection:
        try:
            # Each transaction is begun with its own settings, see _begin.
            db = psycopg.connect(autocommit=True, prepare_threshold=None, **self._parameters)  # type: ignore[arg-type]
        except psycopg.Error as error:
            fault = postgres.find_refusal(error)
            words = f"{self.where} cannot be reached: {first_line(error)} {faults.ADVICE.get(fault, '')}"
            raise WarehouseError(f"{words} {CONTINUES}", fault=fault) from None
        for name in ("json", "jsonb"):
            # JSON stays the text that it is.
            db.adapters.register_loader(name, TextLoader)
        return db

    def _begin(self, db: Connection, *, writing: bool = False) -> None:
        """Begin a transaction with the settings that we rely on, in one message.

        They apply to the transaction alone, so that a pooler may give the session to others afterwards.
        """
        settings = {
            **postgres.SESSION_SETTINGS,
            "search_path": quote(self.schema),
            "lock_timeout": str(max(1, round(self.lock_timeout * 1000))),
            "idle_in_transaction_session_timeout": _IDLE_IN_TRANSACTION_MS,
        }
        if writing:
            # Rows that a policy hides would be taken for absent: fail instead. A reader sees what it may see.
            settings["row_security"] = "off"
        # Each statement must see what the load before it stored.
        begin = sql.SQL("begin isolation level read committed{}; ").format(sql.SQL(" read write" if writing else ""))
        try:
            db.execute(begin + postgres.build_settings(db, settings, local=True))
        except psycopg.errors.FeatureNotSupported as error:
            # A standby's answer to "read write".
            advice = faults.ADVICE[DatabaseFault.READ_ONLY]
            raise self.build_error(DatabaseFault.READ_ONLY, f"{self.where}: {first_line(error)}", advice) from None

    # Errors

    def find_fault(self, error: Exception) -> DatabaseFault:
        """Return what an error of psycopg means."""
        return postgres.find_fault(error) if isinstance(error, psycopg.Error) else DatabaseFault.OTHER

    def translate(self, error: BaseException) -> WarehouseError | None:
        """Return an error of psycopg as one of this package; for a missing right, with all rights that are missing."""
        if not isinstance(error, psycopg.Error):
            return None
        fault = self.find_fault(error)
        words = f"{self.where}: {first_line(error.diag.message_primary or error)}"
        if fault in (DatabaseFault.MISSING_RIGHT, DatabaseFault.MISSING_OBJECT):
            # Without USAGE on the schema, PostgreSQL says that its tables do not exist.
            missing = self._find_missing_rights()
            if missing or fault is DatabaseFault.MISSING_RIGHT:
                return self._missing_right(words, missing)
        if error.sqlstate and fault not in (DatabaseFault.LOCKED, DatabaseFault.READ_ONLY):
            words += f" (SQLSTATE {error.sqlstate})"
        is_collision = error.sqlstate in faults.COLLISIONS
        return self.build_error(fault, words, faults.ADVICE.get(fault, ""), is_collision=is_collision)

    def _find_missing_rights(self) -> list[tuple[str, str]]:
        """Return the rights that the role lacks, each with its object. The error names at most the first of them."""
        with suppress(psycopg.Error, WarehouseError), self._connect() as db:
            self._begin(db)
            rows = db.execute(to_format(_STATEMENTS["find_missing_rights"]), [self.schema]).fetchall()
            return [(str(right), str(thing)) for right, thing in rows]
        return []

    def _missing_right(self, words: str, missing: list[tuple[str, str]]) -> WarehouseReadOnly:
        rights_by_object: dict[str, list[str]] = {}
        for right, thing in missing:
            rights_by_object.setdefault(thing, []).append(right)
        grants = [f"{', '.join(rights)} on {thing}" for thing, rights in rights_by_object.items()]
        more = f" and {len(grants) - _MOST_GRANTS} more" if len(grants) > _MOST_GRANTS else ""
        lacks = f" To load, its role lacks {'; '.join(grants[:_MOST_GRANTS])}{more}." if grants else ""
        return WarehouseReadOnly(
            f"{words}{lacks} Grant the role what it lacks, or make the schema and give it to the role: "
            f"create schema {quote(self.schema)} authorization ... . Merging also needs TEMPORARY on the database.",
            fault=DatabaseFault.MISSING_RIGHT,
        )


def build_postgres_warehouse(dsn: str, *, clock: Clock | None = None, **options: Any) -> Warehouse:
    """Return the warehouse in a PostgreSQL database; nothing is opened yet.

    :param options: those of :class:`PostgresEngine`.
    """
    return Warehouse(PostgresEngine(dsn, **options), clock=clock)


def _arrow_type(column: psycopg.Column) -> pa.DataType | None:
    if column.type_code == _NUMERIC and column.precision and column.precision <= 38:
        return pa.decimal128(column.precision, column.scale or 0)
    return _ARROW_TYPES.get(column.type_code)
