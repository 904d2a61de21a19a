"""An open transaction in PostgreSQL, as the steps of a landing use it; rows come in by COPY."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.compute as pc
from psycopg.copy import QueuedLibpqWriter
from psycopg.types.string import TextLoader

from airflow_provider_toggl.core.load import merge
from airflow_provider_toggl.core.load.arrow_rows import CHUNK, NUL, NUL_SIGN, build_table
from airflow_provider_toggl.core.load.column_types import INSTANT
from airflow_provider_toggl.core.load.copy_binary import binary_chunks
from airflow_provider_toggl.core.load.dialects import POSTGRES, Dialect
from airflow_provider_toggl.core.load.placeholders import to_format
from airflow_provider_toggl.core.load.schemas import KEY, TableSchema

Connection = psycopg.Connection[tuple[Any, ...]]

_TYPES: dict[int, pa.DataType] = {
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
"""Arrow's types by the number of PostgreSQL's."""

_NUMERIC = 1700


def adapt(db: Connection) -> None:
    """Let a connection give JSON as the text that it is."""
    for name in ("json", "jsonb"):
        db.adapters.register_loader(name, TextLoader)


class PostgresSession:
    """Runs statements on a connection that is in a transaction."""

    def __init__(self, db: Connection) -> None:
        self._db = db

    @property
    def dialect(self) -> Dialect:
        """PostgreSQL's words."""
        return POSTGRES

    @property
    def longest_text(self) -> int:
        """How many characters of a rejected record are kept."""
        return POSTGRES.raw_limit

    @property
    def longest_row(self) -> int | None:
        """Return None: rows do not come as statements."""
        return None

    def run(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run a statement to its end and return its rows."""
        found = self._db.execute(to_format(sql), _without_nul(parameters))
        return found.fetchall() if found.description else []

    def run_many(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run a statement for each row of parameters."""
        if rows:
            with self._db.cursor() as cursor:
                cursor.executemany(to_format(sql), [_without_nul(row) for row in rows])

    def table(self, sql: str, parameters: Sequence[Any] = ()) -> pa.Table:
        """Return what a query finds, read from the server in pieces."""
        with self._db.cursor("toggl_query") as cursor:
            cursor.execute(to_format(sql), _without_nul(parameters))
            columns = cursor.description or []
            return build_table([c.name for c in columns], [_type_of(c) for c in columns], _pieces(cursor))

    def count_stored(self, table: TableSchema, rows: pa.Table) -> int:
        """Return how many stored rows have a key of the given rows."""
        key = merge.quote(KEY)
        # New entries have greater ids than all before them: then two looks into the index tell it.
        first_and_last = list(pc.min_max(rows[KEY]).as_py().values())
        if not self.run(merge.find_between(table), first_and_last):
            return 0
        keys = "{" + ",".join(map(str, rows[KEY].to_pylist())) + "}"
        return int(self.run(f"{merge.count_rows(table)} where {key} = any(cast(? as bigint[]))", [keys])[0][0])

    def insert(self, table: TableSchema, rows: pa.Table) -> None:
        """Put rows in that have no rivals."""
        self._copy(merge.quote(table.name), table, rows)

    def stage(self, table: TableSchema, rows: pa.Table) -> None:
        """Make rows known as ``merge.INCOMING``."""
        self.run(merge.create_incoming(table, POSTGRES, " on commit drop"))
        self._copy(merge.INCOMING, table, rows)
        # Without it the planner knows nothing of so new a table.
        self.run(f"analyze {merge.INCOMING} ({merge.quote(KEY)})")

    def unstage(self) -> None:
        """Forget what was staged."""
        self.run(f"drop table {merge.INCOMING}")

    def _copy(self, name: str, table: TableSchema, rows: pa.Table) -> None:
        statement = f"copy {name} ({merge.names_of(table.columns)}) from stdin (format binary)"
        # Sent by a thread of its own: the next rows are made while the server takes these in.
        with self._db.cursor() as cursor, cursor.copy(statement, writer=QueuedLibpqWriter(cursor)) as copy:
            for chunk in binary_chunks(rows):
                copy.write(chunk)


def _without_nul(parameters: Sequence[Any]) -> list[Any]:
    return [value.replace(NUL, NUL_SIGN) if isinstance(value, str) else value for value in parameters]


def _type_of(column: psycopg.Column) -> pa.DataType | None:
    if column.type_code == _NUMERIC and column.precision and column.precision <= 38:
        return pa.decimal128(column.precision, column.scale or 0)
    return _TYPES.get(column.type_code)


def _pieces(cursor: psycopg.ServerCursor[tuple[Any, ...]]) -> Iterator[list[tuple[Any, ...]]]:
    while rows := cursor.fetchmany(CHUNK):
        yield rows
