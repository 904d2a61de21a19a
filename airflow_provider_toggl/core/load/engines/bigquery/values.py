"""Rows as BigQuery takes and returns them: Arrow tables, Parquet, and texts for parameters and small results."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from airflow_provider_toggl.core.load.decode.column_types import COLUMN_TYPES
from airflow_provider_toggl.core.load.engines.table_store.contract import TableChange
from airflow_provider_toggl.core.load.engines.table_store.tables import StoredTable
from airflow_provider_toggl.core.load.tables.schemas import Column

_DECODERS: dict[str, Callable[[str], Any]] = {
    "bigint": int,
    "timestamp": int,
    "boolean": lambda text: text == "true",
    "double": float,
    "date": date.fromisoformat,
    "bigint_list": json.loads,
}

PLAIN: dict[str, str] = {
    "bigint": "cast({0} as string)",
    "boolean": "cast({0} as string)",
    "double": "cast({0} as string)",
    "timestamp": "cast(unix_micros({0}) as string)",
    "date": "cast({0} as string)",
}
"""The expression of a column's text, as :func:`decode_rows` reads it; other types are texts."""

TYPED: dict[str, str] = {
    "bigint": "cast({0} as int64)",
    "boolean": "cast({0} as bool)",
    "double": "cast({0} as float64)",
    "timestamp": "timestamp_micros(cast({0} as int64))",
    "date": "cast({0} as date)",
}
"""The expression of a column's value from the text that :func:`encode_rows` writes; other types are texts."""


def arrow_type(column: Column) -> pa.DataType:
    """Return the Arrow type of a column as the engine above has it."""
    return pa.string() if column.type in ("word", "key") else COLUMN_TYPES[column.type].arrow


def arrow_schema(table: StoredTable) -> pa.Schema:
    """Return the columns of a table as the engine above has them."""
    return pa.schema([(column.name, arrow_type(column)) for column in table.columns])


def to_stored(table: StoredTable, rows: pa.Table) -> pa.Table:
    """Return rows with the columns that BigQuery stores: lists become JSON texts."""
    arrays = []
    for column in table.columns:
        values = rows[column.name].cast(arrow_type(column))
        if column.type == "bigint_list":
            texts = [None if one is None else _dump(one) for one in values.to_pylist()]
            values = pa.chunked_array([pa.array(texts, pa.string())])
        arrays.append(values)
    return pa.table(arrays, [column.name for column in table.columns])


def from_stored(table: StoredTable, rows: pa.Table) -> pa.Table:
    """Return what BigQuery stores as rows of the engine above: JSON texts become lists."""
    arrays = []
    for column in table.columns:
        values = rows[column.name]
        if column.type == "bigint_list":
            lists = [None if one is None else json.loads(one) for one in values.to_pylist()]
            values = pa.chunked_array([pa.array(lists, arrow_type(column))])
        arrays.append(values.cast(arrow_type(column)))
    return pa.table(arrays, schema=arrow_schema(table))


def build_parts(changes: Sequence[TableChange]) -> bytes:
    """Return what a commit stores as one Parquet file: a number of its part, and a JSON array of texts, for each row.

    The rows of a change are part ``rows_part``, and its deleted keys the next one.
    """
    parts: list[int] = []
    contents: list[str] = []
    for place, change in enumerate(changes):
        for part, rows in (
            (rows_part(place), encode_rows(to_stored(change.table, change.rows))),
            (rows_part(place) + 1, [_dump([str(key)]) for key in change.deleted.to_pylist()]),
        ):
            parts += [part] * len(rows)
            contents += rows
    file = io.BytesIO()
    columns = {"part": pa.array(parts, pa.int64()), "content": pa.array(contents, pa.string())}
    pq.write_table(pa.table(columns), file, compression="zstd")
    return file.getvalue()


def rows_part(place: int) -> int:
    """Return the number of the part with the rows of a commit's change."""
    return 2 * place


def encode_rows(rows: pa.Table) -> list[str]:
    """Return a JSON array of texts for each stored row; instants are microseconds since 1970."""
    columns = [_texts(rows[name]) for name in rows.column_names]
    return [_dump(row) for row in zip(*columns, strict=True)]


def decode_rows(table: StoredTable, texts: Sequence[str]) -> pa.Table:
    """Return rows of the engine above.

    :param texts: a JSON array of texts for each row.
    """
    rows = [json.loads(text) for text in texts]
    arrays = []
    for place, column in enumerate(table.columns):
        decode = _DECODERS.get(column.type)
        values = [row[place] for row in rows]
        if decode is not None:
            values = [None if value is None else decode(value) for value in values]
        arrays.append(pa.array(values, arrow_type(column)))
    return pa.table(arrays, schema=arrow_schema(table))


def encode_keys(keys: pa.Array) -> str:
    """Return keys as a JSON array of texts."""
    return _dump([str(key) for key in keys.to_pylist()])


def _dump(values: Any) -> str:
    return json.dumps(values, separators=(",", ":"), ensure_ascii=False)


def _texts(column: pa.ChunkedArray) -> list[str | None]:
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    values = column.to_pylist()
    if pa.types.is_boolean(column.type):
        return [None if value is None else "true" if value else "false" for value in values]
    return [None if value is None else str(value) for value in values]


def parameter_type(value: Any) -> str:
    """Return BigQuery's type of a query's parameter."""
    kinds: tuple[tuple[type, str], ...] = (
        (bool, "BOOL"),
        (int, "INT64"),
        (float, "FLOAT64"),
        (datetime, "TIMESTAMP"),
        (date, "DATE"),
    )
    return next((name for kind, name in kinds if isinstance(value, kind)), "STRING")


def with_utc(rows: pa.Table) -> pa.Table:
    """Return a result with its instants as ``timestamp('us', 'UTC')``."""
    for place, field in enumerate(rows.schema):
        if pa.types.is_timestamp(field.type) and field.type.tz is not None:
            rows = rows.set_column(place, field.name, rows[field.name].cast(pa.timestamp("us", "UTC")))
    return rows
