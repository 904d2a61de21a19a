"""The store in ClickHouse.

A commit is one inserted row of ``toggl_commits`` with an array for each changed column, so it is stored as a whole or
not at all. Its token is its revision: of two processes that commit the same revision, ClickHouse keeps the first insert
and ignores the second, and each then reads whose row is there. Views show the rows of all commits. From time to time a
commit also copies the rows of all commits into the tables ``stored_...``, so that views stay fast.
"""

# ruff: noqa: S608 - the only names put into these statements are quoted ones of ``tables``
from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from airflow_provider_toggl.core.databases import faults
from airflow_provider_toggl.core.errors import ConfigurationError, DatabaseFault, WarehouseError
from airflow_provider_toggl.core.load.engines.clickhouse.commits import (
    build_commit,
    compact,
    count_rows,
    encode,
    rows_of_tuples,
)
from airflow_provider_toggl.core.load.engines.clickhouse.errors import find_code, translate_error
from airflow_provider_toggl.core.load.engines.clickhouse.parameters import bind, literal
from airflow_provider_toggl.core.load.engines.clickhouse.tables import (
    COMMITS,
    COMPACTIONS,
    arrow_schema,
    create_tables,
)
from airflow_provider_toggl.core.load.engines.clickhouse.views import LAST_VIEW, create_all_views, current_rows
from airflow_provider_toggl.core.load.engines.dialect import quote
from airflow_provider_toggl.core.load.engines.table_store.contract import (
    CommitConflict,
    StoredState,
    TableChange,
    TableStore,
)
from airflow_provider_toggl.core.load.engines.table_store.tables import STATE_TABLES, STORED_TABLES, StoredTable

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

log = logging.getLogger(__name__)

MOST_COMMITS, MOST_ROWS = 16, 250_000
"""Commits, and rows in them, after which a commit copies them into the tables of their own."""

_ROOM = 100_000
"""Bytes of a statement beside the keys in it."""

_READING = {
    # Whatever a profile says: results are whole, and texts are texts.
    "result_overflow_mode": "throw",
    "output_format_arrow_string_as_string": 1,
    "output_format_arrow_low_cardinality_as_dictionary": 0,
    "select_sequential_consistency": 1,
}
_QUERYING = {
    # Results of queries come as Parquet: in Arrow, a DateTime is a plain number.
    "output_format_parquet_string_as_string": 1,
    "output_format_parquet_datetime_as_uint32": 0,
}
_WRITING = {
    # A token counts only if the insert is carried out by itself and before the answer.
    "async_insert": 0,
    "insert_deduplicate": 1,
}
_INSTANT = pa.timestamp("us", "UTC")


class ClickhouseStore(TableStore):
    """Keeps tables in a database of a ClickHouse server.

    :param connect: returns a new client.
    :param schema: the database of the tables.
    """

    name = "ClickHouse"

    def __init__(self, connect: Callable[[], Client], schema: str, where: str) -> None:
        super().__init__(schema, where)
        self._connect = connect
        self._client: Client | None = None
        self._read_at: pa.Scalar | None = None
        self._state: StoredState | None = None
        self._pending: dict[str, int] = {}
        self._pending_commits = 0

    def open(self) -> None:
        """Connect."""
        self._client = self._connect()
        self._client.database = self.schema

    def close(self) -> None:
        """Disconnect; without a connection, do nothing."""
        client, self._client, self._state = self._client, None, None
        if client is not None:
            client.close()

    def exists(self) -> bool:
        """Return whether our tables are there: the view that is created last is."""
        return bool(self._read(f"exists table {quote(self.schema)}.{quote(LAST_VIEW)}", elsewhere=True)[0][0].as_py())

    def create(self) -> None:
        """Create what is missing: database, tables and columns; and the views.

        :raises ConfigurationError: the database is of an engine with which tables would not be replicated.
        :raises WarehouseError: the table of the commits was dropped.
        """
        found = self._read(
            "select (select any(engine) from system.databases where name = {name:String}) as engine, "
            "(select any(value) from system.settings where name = 'cloud_mode') as cloud",
            {"name": self.schema},
            elsewhere=True,
        ).to_pylist()[0]
        if found["engine"] == "Replicated" and found["cloud"] != "1":
            raise ConfigurationError(
                f"{self.where}: database {self.schema!r} has the engine Replicated, in which only some kinds of tables "
                "have their rows on each replica; this package's would not. Load into a database of another engine."
            )
        if not found["engine"]:
            self._command(f"create database if not exists {quote(self.schema)}", elsewhere=True)
        columns: dict[str, set[str]] = {}
        sql = "select table, name from system.columns where database = {name:String}"
        for row in self._read(sql, {"name": self.schema}).to_pylist():
            columns.setdefault(row["table"], set()).add(row["name"])
        if COMMITS not in columns and COMPACTIONS in columns and self._read(f"select 1 from {COMPACTIONS}").num_rows:
            raise WarehouseError(
                f"{self.where}: somebody dropped the table {COMMITS}, and with it the latest commits. Put it back from "
                "a backup, or drop the other tables or load into another schema, and load again from the beginning.",
                fault=DatabaseFault.MISSING_OBJECT,
            )
        for statement in create_tables({name: frozenset(some) for name, some in columns.items()}):
            self._command(statement)
        for statement in create_all_views():
            self._command(statement)

    def read_state(self) -> StoredState:
        """Return the small tables and the revision.

        The revision is read first: the tables are of that moment or later, and if another process commits meanwhile,
        nothing can be committed on this state.
        """
        newest = self._read(f'select max("revision") as "revision", now64(6) as "read_at" from {quote(COMMITS)}')
        self._read_at, revision = newest["read_at"][0].cast(_INSTANT), newest["revision"][0].as_py()
        if self._state is not None and self._state.revision == revision:
            return self._state
        parts = [f'({_count_pending()}) as "pending"']
        for table in STATE_TABLES.values():
            row = ", ".join(quote(column.name) for column in table.columns)
            parts.append(f"(select groupArray(tuple({row})) from ({current_rows(table, row)})) as {quote(table.name)}")
        found = self._read(f"select {', '.join(parts)}")
        commits, *counts = found["pending"][0].as_py()
        self._pending_commits = commits
        self._pending = {name: count for name, count in zip(STORED_TABLES, counts, strict=True) if count}
        tables = {name: rows_of_tuples(found[name], table) for name, table in STATE_TABLES.items()}
        self._state = StoredState(revision, tables)
        return self._state

    def read_rows(self, table: StoredTable, keys: pa.Array) -> pa.Table:
        """Return the stored rows with these keys."""
        some = ", ".join(map(literal, keys.to_pylist()))
        return self._read_current(table, f"{quote(table.key[0])} in ({some})")

    def read_workspace(self, table: StoredTable, workspace_id: int | None) -> pa.Table:
        """Return all stored rows of a workspace, or of all."""
        condition = "1" if workspace_id is None else f'"workspace_id" = {int(workspace_id)}'
        return self._read_current(table, condition)

    def commit(self, revision: int, changes: Sequence[TableChange]) -> None:
        """Insert the row of a commit.

        :raises CommitConflict: another process has committed this revision.
        """
        new, writer, self._state = revision + 1, uuid.uuid4().hex, None
        row = build_commit(new, writer, self._read_at, changes)
        try:
            self._open_client.raw_insert(
                quote(COMMITS),
                row.column_names,
                encode(row),
                fmt="ArrowStream",
                settings={**_WRITING, "insert_deduplication_token": str(new)},
            )
        except Exception as error:
            if find_code(error) == faults.CLICKHOUSE_VIOLATED_CONSTRAINT:
                raise CommitConflict(self.where) from None
            raise
        found = self._read(f'select "writer", now64(6) as "read_at" from {quote(COMMITS)} where "revision" = {new}')
        if not found.num_rows:
            raise WarehouseError(
                f"{self.where}: the server took a commit and does not show it. Replicas that lag behind do so: let the "
                "connection name one server."
            )
        if found["writer"][0].as_py() != writer:
            raise CommitConflict(self.where)
        self._read_at = found["read_at"][0].cast(_INSTANT)
        self._count_commit(new, changes)

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> pa.Table:
        """Return the result of a query."""
        import pyarrow.parquet as pq  # noqa: PLC0415 - only queries need it

        bound, values = bind(sql, parameters)
        # In ClickHouse's Arrow format, a DateTime is a number that looks like any other number.
        answer = self._open_client.raw_query(bound, values or None, settings=_READING | _QUERYING, fmt="Parquet")
        found = pq.read_table(pa.BufferReader(answer))
        for index, field in enumerate(found.schema):
            if pa.types.is_timestamp(field.type) and field.type != _INSTANT:
                found = found.set_column(index, field.name, found.column(index).cast(_INSTANT))
        return found

    def translate(self, error: BaseException) -> WarehouseError | None:
        """Return an error of the client as one of this package."""
        return translate_error(error, self.where)

    def check_zone(self, timezone: str) -> None:
        """Refuse a time zone that the server does not know.

        :raises ConfigurationError: it does not.
        """
        sql = "select count() as n from system.time_zones where time_zone = {name:String}"
        if not self._read(sql, {"name": timezone})["n"][0].as_py():
            raise ConfigurationError(f"{self.where}: the server knows no time zone {timezone!r}.")

    # Compaction

    def _count_commit(self, revision: int, changes: Sequence[TableChange]) -> None:
        self._pending_commits += 1
        for change in changes:
            self._pending[change.table.name] = self._pending.get(change.table.name, 0) + count_rows(change)
        if self._pending_commits < MOST_COMMITS and sum(self._pending.values()) < MOST_ROWS:
            return
        tables, self._pending, self._pending_commits = list(self._pending), {}, 0
        try:
            for statement in compact(tables, revision):
                self._command(statement, dict(_WRITING))
        except Exception as error:
            failed = self.translate(error)
            if failed is None:
                raise
            # The load itself is committed, and a later one compacts again.
            log.warning("%s Commits were not compacted; queries stay right, and get slower until a load can.", failed)

    # Statements

    @property
    def _open_client(self) -> Client:
        if self._client is None:
            raise WarehouseError(f"{self.where} is not open.")
        return self._client

    def _read_current(self, table: StoredTable, condition: str) -> pa.Table:
        names = ", ".join(quote(column.name) for column in table.columns)
        found = self._read(current_rows(table, names, condition), room=3 * len(condition))
        try:
            return found.cast(arrow_schema(table))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise WarehouseError(
                f"{self.where}: a column of {table.name} is of another type than this package's tables have ({error}). "
                "If somebody changed it, change it back, or load into another schema.",
                fault=DatabaseFault.MISSING_OBJECT,
            ) from None

    def _read(
        self, sql: str, parameters: dict[str, Any] | None = None, *, elsewhere: bool = False, room: int = 0
    ) -> pa.Table:
        """Return the result of a query.

        :param elsewhere: our database may not exist yet.
        :param room: bytes of the statement beyond the usual.
        """
        settings = _READING | ({"max_query_size": room + _ROOM} if room > _ROOM else {})
        answer = self._open_client.raw_query(
            sql, parameters or None, settings=settings, fmt="ArrowStream", use_database=not elsewhere
        )
        return pa.ipc.open_stream(answer).read_all()

    def _command(self, sql: str, settings: dict[str, Any] | None = None, *, elsewhere: bool = False) -> None:
        self._open_client.raw_query(sql, settings=settings, use_database=not elsewhere)


def _count_pending() -> str:
    last = f'(select max("revision") from {quote(COMPACTIONS)})'
    first_columns = (quote(f"{table.name}.is_deleted") for table in STORED_TABLES.values())
    counts = ", ".join(["count()", *(f"sum(length({column}))" for column in first_columns)])
    return f'select [{counts}] from {quote(COMMITS)} where "is_empty" = 0 and "revision" > {last}'
