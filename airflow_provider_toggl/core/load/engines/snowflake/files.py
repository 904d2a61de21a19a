"""Rows as they travel to and from Snowflake: Parquet files of plain values, and Arrow tables of the connector."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_toggl.core.load.decode.column_types import COLUMN_TYPES, INSTANT
from airflow_provider_toggl.core.load.engines.arrow_rows import list_texts
from airflow_provider_toggl.core.load.engines.table_store.tables import StoredTable
from airflow_provider_toggl.core.load.tables.schemas import Column

_LISTS = pa.list_(pa.int64())


def arrow_type(column: Column) -> pa.DataType:
    """Return the type of a column in Arrow tables."""
    return pa.string() if column.type in ("word", "key") else COLUMN_TYPES[column.type].arrow


def to_file(table: StoredTable, rows: pa.Table) -> pa.Table:
    """Return rows as a file holds them: instants as microseconds since 1970, dates and lists as texts.

    These are read alike whatever the options of a file format are.
    """
    columns = {}
    for column in table.columns:
        values = rows[column.name].cast(arrow_type(column))
        if column.type == "timestamp":
            values = values.cast(pa.int64())
        elif column.type == "date":
            values = values.cast(pa.string())
        elif column.type == "bigint_list":
            values = list_texts(values, "[", ",", "]")
        columns[column.name] = values
    return pa.table(columns)


def from_result(table: StoredTable, found: pa.Table) -> pa.Table:
    """Return the result of ``statements.read_rows`` as rows of a table."""
    columns = {
        column.name: _from_plain(column, values) for column, values in zip(table.columns, found.columns, strict=True)
    }
    return pa.table(columns)


def from_texts(table: StoredTable, rows: list[tuple[str | None, ...]]) -> pa.Table:
    """Return rows of a small table, whose values come as texts."""
    columns = {
        column.name: _from_plain(column, pa.chunked_array([pa.array([row[place] for row in rows], pa.string())]))
        for place, column in enumerate(table.columns)
    }
    return pa.table(columns)


def _from_plain(column: Column, values: pa.ChunkedArray) -> pa.ChunkedArray:
    if column.type == "timestamp":
        return values.cast(pa.int64()).cast(INSTANT)
    if column.type == "bigint_list":
        return _lists_of(values)
    return values.cast(arrow_type(column))


def _lists_of(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return lists of the JSON texts of lists of whole numbers."""
    bare = pc.utf8_trim(pc.replace_substring_regex(texts.cast(pa.string()), r"\s", ""), "[]")
    parts = pc.split_pattern(bare, ",").combine_chunks()
    # Of an empty text, splitting makes one empty part.
    numbers = pc.if_else(pc.equal(parts.values, ""), None, parts.values)
    lists = pa.ListArray.from_arrays(parts.offsets, numbers.cast(pa.int64()), mask=parts.is_null())
    empty = pc.fill_null(pc.equal(bare.combine_chunks(), ""), fill_value=False)
    return pa.chunked_array([pc.if_else(empty, pa.scalar([], _LISTS), lists)])


def fix_types(found: pa.Table) -> pa.Table:
    """Return a query's result in the types that all engines have: whole numbers of 64 bits, and instants in UTC.

    Snowflake sends whole numbers in as many bytes as a part of the result needs. Names are in lower case.
    """
    return pa.table(
        [_fix_type(column) for column in found.columns], names=[name.lower() for name in found.column_names]
    )


def _fix_type(column: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = column.type
    if pa.types.is_integer(kind) or (pa.types.is_decimal(kind) and kind.scale == 0):
        try:
            return column.cast(pa.int64())
        except pa.ArrowInvalid:
            return column
    if pa.types.is_timestamp(kind):
        return column.cast(pa.timestamp("us", kind.tz), safe=False).cast(INSTANT)
    return column
