"""The tables in ClickHouse: the commits, and for each table of the contract one with the rows of compacted commits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pyarrow as pa

from airflow_provider_toggl.core.load.decode.column_types import COLUMN_TYPES
from airflow_provider_toggl.core.load.engines.dialect import quote
from airflow_provider_toggl.core.load.engines.table_store.tables import STORED_TABLES, StoredTable
from airflow_provider_toggl.core.load.tables.schemas import Column

COMMITS = "toggl_commits"
COMPACTIONS = "toggl_compactions"

MOST_AGE_SECONDS = 3_600
"""How old the state may be that a commit was computed from, by the server's clock."""
TOKENS = 10_000
"""The latest commits among which a second one with the same revision is recognized."""

TYPES = {
    "bigint": "Int64",
    "boolean": "Bool",
    "text": "String",
    "double": "Float64",
    "timestamp": "DateTime64(6, 'UTC')",
    "date": "Date32",
    "bigint_list": "Array(Int64)",
    "json": "String",
    "word": "String",
    "key": "String",
}

_ARROW = {"word": pa.string(), "key": pa.string()}

_COMMIT_COLUMNS = {
    "revision": "UInt64",
    "writer": "String",
    "read_at": "DateTime64(6, 'UTC')",
    "committed_at": "DateTime64(6, 'UTC') default now64(6)",
    "changed_rows": "UInt64",
    "is_empty": "UInt8 default 0",
}

Existing = Mapping[str, frozenset[str]]
"""The names of the columns of each table that exists."""


def stored(table: StoredTable) -> str:
    """Return the name of the table with the rows of compacted commits."""
    return f"stored_{table.name}"


def type_of(table: StoredTable, column: Column) -> str:
    """Return a column's type; keys and lists are never null."""
    type_ = TYPES[column.type]
    return type_ if column.name in table.key or column.type == "bigint_list" else f"Nullable({type_})"


def arrow_schema(table: StoredTable) -> pa.Schema:
    """Return a table's columns as the contract has them."""
    return pa.schema([(column.name, arrow_type(column)) for column in table.columns])


def arrow_type(column: Column) -> pa.DataType:
    """Return a column's type as the contract has it."""
    return _ARROW.get(column.type) or COLUMN_TYPES[column.type].arrow


def create_tables(existing: Existing) -> Iterator[str]:
    """Yield the statements that create what is missing."""
    yield from _create(
        COMMITS,
        _COMMIT_COLUMNS | dict(_change_columns()),
        existing,
        # A commit that is inserted twice, or by two processes with the same revision, counts once: the second insert
        # has a known token. The constraint keeps out one that is so late that the token may be forgotten.
        f', constraint "is_fresh" check "read_at" > now64(6) - toIntervalSecond({MOST_AGE_SECONDS})',
        'engine = ReplacingMergeTree("is_empty") order by "revision" settings '
        f"non_replicated_deduplication_window = {TOKENS}, replicated_deduplication_window = {TOKENS}, "
        f"replicated_deduplication_window_seconds = {2 * MOST_AGE_SECONDS}",
    )
    columns = {"revision": "UInt64", "compacted_at": "DateTime64(6, 'UTC') default now64(6)"}
    yield from _create(COMPACTIONS, columns, existing, "", 'engine = MergeTree order by "revision"')
    for table in STORED_TABLES.values():
        own = {column.name: type_of(table, column) for column in table.columns}
        columns = own | {"revision": "UInt64", "is_deleted": "UInt8"}
        key = ", ".join(map(quote, table.key))
        engine = f'engine = ReplacingMergeTree("revision", "is_deleted") order by ({key})'
        yield from _create(stored(table), columns, existing, "", engine)


def change_columns(table: StoredTable) -> dict[str, str]:
    """Return the columns of a commit that hold a table's changed rows, an array for each column of the table."""
    columns = {f"{table.name}.{column.name}": f"Array({type_of(table, column)})" for column in table.columns}
    return columns | {f"{table.name}.is_deleted": "Array(UInt8)"}


def _change_columns() -> Iterator[tuple[str, str]]:
    for table in STORED_TABLES.values():
        yield from change_columns(table).items()


def _create(name: str, columns: Mapping[str, str], existing: Existing, constraint: str, engine: str) -> Iterator[str]:
    if name not in existing:
        lines = ",\n".join(f"    {quote(column)} {type_}" for column, type_ in columns.items())
        yield f"create table if not exists {quote(name)} (\n{lines}{constraint}\n) {engine}"
        return
    for column, type_ in columns.items():
        if column not in existing[name]:
            yield f"alter table {quote(name)} add column if not exists {quote(column)} {type_}"
