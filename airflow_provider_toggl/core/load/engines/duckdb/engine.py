"""The DuckDB engine: one file, which one process has open at a time. Table stores compute with its dialect."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from airflow_provider_toggl.core.clock import Clock, SystemClock
from airflow_provider_toggl.core.databases.statements import load_statements
from airflow_provider_toggl.core.errors import ConfigurationError, WarehouseError
from airflow_provider_toggl.core.load.engines.contract import Engine
from airflow_provider_toggl.core.load.engines.dialect import (
    ZONE_JOIN,
    Dialect,
    FactColumns,
    quote,
    whole_number_text,
)
from airflow_provider_toggl.core.load.engines.duckdb.file import DuckdbFile, translate_error
from airflow_provider_toggl.core.load.engines.duckdb.options import NO_OPTIONS, OWN_SETTINGS, DuckdbOptions
from airflow_provider_toggl.core.load.merging import rule
from airflow_provider_toggl.core.load.tables.schemas import TableSchema
from airflow_provider_toggl.core.load.warehouse import Warehouse

_TAGS_JOIN = 'cross join (select map(list("id"), list("name")) as "names" from "tags") as tag'

DUCKDB = Dialect(
    name="DuckDB",
    types={
        "bigint": "bigint",
        "boolean": "boolean",
        "text": "varchar",
        "double": "double",
        "timestamp": "timestamp with time zone",
        "date": "date",
        "bigint_list": "bigint[]",
        "json": "json",
        "word": "varchar",
        "key": "varchar",
    },
    facts=FactColumns(
        local_date='cast(timezone(zone."value", entry."start") as date)',
        tag_names='list_transform(entry."tag_ids", lambda tag_id: map_extract_value(tag."names", tag_id))',
        hours='entry."duration" / 3600.0',
        joins=f"{ZONE_JOIN}\n    {_TAGS_JOIN}",
    ),
    texts={
        "timestamp": "cast(epoch_us({0}) as varchar)",
        "double": whole_number_text("bigint", "varchar"),
    },
    instant_text="strftime(make_timestamp(epoch_us({0})), '%Y-%m-%dT%H:%M:%SZ')",
    cast="cast({0} as {1})",
    # An index over keys in random order costs as much as the rest of a load. Only one process writes, which keeps keys
    # unique without one.
    has_version_key=False,
    has_zones=True,
)

_STATEMENTS = load_statements(__package__, "statements.sql")


class DuckdbEngine(Engine):
    """Loads into a DuckDB file.

    The file stays open between calls, because opening and closing cost as much as loading thousands of rows. The first
    call that ends ``hold_seconds`` or more after opening closes it, so that other processes can open it.

    :param path: the database file; it is created if it does not exist.
    :param schema: the schema of all tables and views.
    :param lock_timeout: seconds to wait for another process that has the file open.
    :param clock: the clock, replaced in tests.
    :param hold_seconds: seconds to keep the file open over calls.
    :param memory_limit: the memory that DuckDB may use.
    :param threads: the cores that DuckDB may use.
    :param options: what the connection says; its settings override ``memory_limit`` and ``threads``.
    """

    dialect = DUCKDB

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        schema: str = "toggl",
        lock_timeout: float = 300.0,
        clock: Clock | None = None,
        hold_seconds: float = 2.0,
        memory_limit: str = "160MB",
        threads: int = 1,
        options: DuckdbOptions = NO_OPTIONS,
    ) -> None:
        super().__init__(schema, str(path), lock_timeout)
        settings = {"memory_limit": memory_limit, "threads": threads, **OWN_SETTINGS}
        self._file = DuckdbFile(Path(path), lock_timeout, clock or SystemClock(), settings, options)
        self._hold_seconds = hold_seconds
        self._is_in_schema = False

    @property
    def connection(self) -> duckdb.DuckDBPyConnection:
        """The open connection."""
        return self._file.open()

    @property
    def is_open(self) -> bool:
        """Whether this process has the file open."""
        return self._file.is_open

    def exists(self) -> bool:
        """Return whether the file exists."""
        return self._file.path.exists()

    def open(self) -> None:
        """Open the file, waiting for other processes, and make the schema current where it exists."""
        self._file.open()
        self._is_in_schema = bool(self.run(_STATEMENTS["find_schema"], [self.schema])[0][0])
        if self._is_in_schema:
            self.run(f"use {self._qualified_schema()}")

    def release(self, force: bool) -> None:
        """Close the file for others when it was open for ``hold_seconds``, or by force."""
        if force or self._file.held_seconds >= self._hold_seconds:
            self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def begin(self, *, writing: bool) -> None:
        """Begin a transaction; having the file open keeps other processes from writing."""
        self.run("begin transaction")

    def commit(self, *, writing: bool) -> None:
        """Commit the transaction."""
        self.run("commit")

    def rollback(self) -> None:
        """Roll the transaction back."""
        self.run("rollback")

    def has_tables(self) -> bool:
        """Return whether the schema has our tables."""
        return self._is_in_schema and bool(self.run(_STATEMENTS["find_tables"])[0][0])

    def make_schema(self) -> None:
        """Create the schema if it does not exist, and make it current."""
        self.run(f"create schema if not exists {self._qualified_schema()}")
        self.run(f"use {self._qualified_schema()}")
        self._is_in_schema = True

    def check_zone(self, timezone: str) -> None:
        """Refuse a time zone that DuckDB does not know."""
        try:
            self.run(_STATEMENTS["check_timezone"], [timezone])
        except duckdb.Error:
            raise ConfigurationError(f"DuckDB knows no time zone {timezone!r}.") from None

    def translate(self, error: BaseException) -> WarehouseError | None:
        """Return an error of DuckDB as one of this package."""
        return translate_error(self._file.path, error) if isinstance(error, duckdb.Error) else None

    def run(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run a statement to its end and return its rows."""
        # DuckDB runs it only as far as its result is read, and refuses other work on the connection until then.
        return self.connection.execute(sql, list(parameters)).fetchall()

    def run_many(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run a statement for each row of parameters."""
        for row in rows:
            self.run(sql, row)

    def table(self, sql: str, parameters: Sequence[Any] = ()) -> pa.Table:
        """Return the result of a query."""
        return self.connection.sql(sql, params=list(parameters)).to_arrow_table()

    def stage(self, table: TableSchema, rows: pa.Table) -> None:
        """Let statements read the Arrow table where it is."""
        self.connection.register(rule.INCOMING, rows)

    def unstage(self) -> None:
        """Remove the staged rows."""
        self.connection.unregister(rule.INCOMING)

    def _qualified_schema(self) -> str:
        """Return the schema's name with its catalog, since a file ``toggl.duckdb`` is a catalog ``toggl`` itself."""
        catalog = self.run("select current_database()")[0][0]
        return f"{quote(catalog)}.{quote(self.schema)}"


def build_duckdb_warehouse(path: str | os.PathLike[str], *, clock: Clock | None = None, **options: Any) -> Warehouse:
    """Return the warehouse in a DuckDB file; nothing is opened yet.

    :param options: those of :class:`DuckdbEngine`.
    """
    return Warehouse(DuckdbEngine(path, clock=clock, **options), clock=clock)
