"""An open DuckDB transaction, as the steps of a landing use it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import duckdb
import pyarrow as pa

from airflow_provider_toggl.core.load import merge
from airflow_provider_toggl.core.load.dialects import DUCKDB, Dialect
from airflow_provider_toggl.core.load.duckdb_file import run
from airflow_provider_toggl.core.load.schemas import TableSchema


class DuckdbSession:
    """Runs statements on a connection; rows come in as Arrow tables, where they are."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    @property
    def dialect(self) -> Dialect:
        """DuckDB's words."""
        return DUCKDB

    @property
    def longest_text(self) -> int:
        """How many characters of a rejected record are kept."""
        return DUCKDB.raw_limit

    @property
    def longest_row(self) -> int | None:
        """Return None: rows do not come as statements."""
        return None

    def run(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run a statement to its end and return its rows."""
        return run(self._connection, sql, parameters)

    def run_many(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run a statement for each row of parameters."""
        for row in rows:
            run(self._connection, sql, row)

    def table(self, sql: str, parameters: Sequence[Any] = ()) -> pa.Table:
        """Return what a query finds."""
        return self._connection.sql(sql, params=list(parameters)).to_arrow_table()

    def count_stored(self, table: TableSchema, rows: pa.Table) -> int:
        """Return how many stored rows have a key of the given rows."""
        self.stage(table, rows)
        try:
            return int(self.run(merge.count_stored(table))[0][0])
        finally:
            self.unstage()

    def insert(self, table: TableSchema, rows: pa.Table) -> None:
        """Put rows in that have no rivals."""
        self.stage(table, rows)
        try:
            self.run(merge.insert_new(table, DUCKDB))
        finally:
            self.unstage()

    def stage(self, table: TableSchema, rows: pa.Table) -> None:
        """Make rows known as ``merge.INCOMING``."""
        self._connection.register(merge.INCOMING, rows)

    def unstage(self) -> None:
        """Forget what was staged."""
        self._connection.unregister(merge.INCOMING)
