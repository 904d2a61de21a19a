"""Decoded rows to columns: one Arrow table for a page or a batch of events.

Rows come in two forms. Rows that msgspec decoded are converted a column at a time. Rows that were parsed field by field
(:mod:`~airflow_provider_toggl.core.load.decode.rows`) have the columns' values already.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_toggl.core.load.decode.column_types import (
    COLUMN_TYPES,
    INSTANT,
    Unreadable,
    convert_seconds,
    whole_seconds,
)
from airflow_provider_toggl.core.load.decode.shapes import REPORT_ENTRY, REPORT_ROW, ReportRow, Shape
from airflow_provider_toggl.core.load.tables.schemas import TABLES, derive_id
from airflow_provider_toggl.core.streams import STREAMS

ARROW_SCHEMAS: dict[str, pa.Schema] = {
    stream: pa.schema([pa.field(column.name, COLUMN_TYPES[column.type].arrow) for column in table.columns])
    for stream, table in TABLES.items()
}

Arrays = dict[str, pa.Array]
"""Columns by name, and ``at`` (in whole seconds) beside them."""

NOT_CONVERTED = (pa.ArrowInvalid, Unreadable)
"""Errors for values that must be parsed row by row."""

_REPORT_TYPES = {field.column: field.type for field in (*REPORT_ROW, *REPORT_ENTRY)}
_NEVER = pa.scalar(None, INSTANT)
_LONGEST = 10**12


def convert_report(rows: Sequence[ReportRow]) -> Arrays:
    """Convert report rows to columns of ``time_entries``, one row for each entry in them.

    Written out, because loading spends its time here: a third of what ``zip(*map(attrgetter(...), rows))`` takes.

    :raises NOT_CONVERTED: the rows must be parsed one by one.
    """
    entries = [entry for row in rows for entry in row.time_entries]
    if len(entries) != len(rows):
        rows = [row for row in rows for _ in row.time_entries]
    values: dict[str, list[Any]] = {
        "id": [entry.id for entry in entries],
        "user_id": [row.user_id for row in rows],
        "project_id": [row.project_id for row in rows],
        "task_id": [row.task_id for row in rows],
        "description": [row.description for row in rows],
        "billable": [row.billable for row in rows],
        "tag_ids": [row.tag_ids for row in rows],
        "start": [entry.start for entry in entries],
        "stop": [entry.stop for entry in entries],
        "duration": [entry.seconds for entry in entries],
        "hourly_rate_cents": [row.hourly_rate_in_cents for row in rows],
        "billable_amount_cents": [row.billable_amount_in_cents for row in rows],
        "currency": [row.currency for row in rows],
        "at": [entry.at for entry in entries],
    }
    return {name: _convert(name, _REPORT_TYPES[name], column) for name, column in values.items()}


def convert_objects(shape: Shape, rows: Sequence[msgspec.Struct]) -> Arrays:
    """Convert decoded objects to columns.

    :raises NOT_CONVERTED: the rows must be parsed one by one, or a required value is missing.
    """
    values: dict[str, list[Any]] = {}
    for field in shape.fields:
        first, *others = field.keys
        column = list(map(attrgetter(first), rows))
        for key in others:
            if None in column:
                column = [b if a is None else a for a, b in zip(column, map(attrgetter(key), rows), strict=True)]
        values[field.column] = column
    _check_required(shape, values)
    return {field.column: _convert(field.column, field.type, values[field.column]) for field in shape.fields}


def arrays_of(stream: str, rows: Sequence[Mapping[str, Any]]) -> Arrays:
    """Return the columns of rows that were parsed field by field."""
    types = {column.name: column.type for column in TABLES[stream].own} | {"at": "timestamp", "deleted_at": "timestamp"}
    arrays = {}
    for name, type_ in types.items():
        nothing: Any = [] if type_ == "bigint_list" else None
        values = [nothing if (value := row.get(name)) is None else value for row in rows]
        array = pa.array(values, COLUMN_TYPES[type_].arrow, size=len(rows))
        arrays[name] = whole_seconds(array) if name == "at" else array
    return arrays


def build_table(
    stream: str,
    arrays: Arrays,
    *,
    workspace_id: int | pa.Array,
    observed_at: datetime | pa.Array,
    deleted_at: pa.Array | None = None,
) -> pa.Table:
    """Return the table of columns, with the five times.

    :param arrays: columns by name; missing ones are null.
    :param workspace_id: for rows without one of their own.
    :param observed_at: when the rows were true, by Toggl's clock.
    :param deleted_at: when their objects were deleted; by default as the rows say.
    """
    schema = ARROW_SCHEMAS[stream]
    size = len(next(iter(arrays.values()))) if arrays else 0
    if not size:
        return schema.empty_table()
    if isinstance(observed_at, datetime):
        observed_at = pa.repeat(pa.scalar(observed_at, INSTANT), size)
    if deleted_at is None:
        deleted_at = arrays.get("deleted_at", pa.nulls(size, INSTANT))
    is_live = deleted_at.null_count == size
    arrays = {
        **{column.name: arrays.get(column.name) for column in TABLES[stream].own},
        "workspace_id": _fill_workspaces(arrays.get("workspace_id"), workspace_id, size),
        "updated_at": arrays.get("at", pa.nulls(size, INSTANT)),
        "observed_at": observed_at,
        "seen_at": observed_at if is_live else pc.if_else(deleted_at.is_null(), observed_at, _NEVER),
        "deleted_at": deleted_at,
        "absent_at": pa.nulls(size, INSTANT),
    }
    if STREAMS[stream].key:
        arrays["id"] = _derive_ids([arrays[name] for name in STREAMS[stream].key])
    for field in schema:
        if arrays[field.name] is None:
            arrays[field.name] = (
                pa.array([[]] * size, field.type) if pa.types.is_list(field.type) else pa.nulls(size, field.type)
            )
    if stream == "time_entries":
        arrays["duration"] = _known_durations(arrays["duration"], arrays["stop"])
    return pa.Table.from_arrays([arrays[name] for name in schema.names], schema=schema)


def count_odd_durations(table: pa.Table) -> int:
    """Return how many entries have a duration that is not from start to stop, or end before they start."""
    if not table.num_rows:
        return 0
    start, stop, duration = (table[name].combine_chunks() for name in ("start", "stop", "duration"))
    span = pc.subtract(stop.view(pa.int64()), start.view(pa.int64()))
    # Longer than any span, and small enough not to overflow in microseconds.
    duration = pc.min_element_wise(duration, _LONGEST, skip_nulls=False)
    duration = pc.max_element_wise(duration, -_LONGEST, skip_nulls=False)
    off = pc.abs(pc.subtract(span, pc.multiply(duration, 1_000_000)))
    odd = pc.or_(pc.greater_equal(off, 1_000_000), pc.less(span, 0))
    return int(odd.true_count)


def _convert(name: str, type_: str, values: Sequence[Any]) -> pa.Array:
    return convert_seconds(values) if name == "at" else COLUMN_TYPES[type_].convert(values)


def _check_required(shape: Shape, values: Mapping[str, Sequence[Any]]) -> None:
    for name in shape.identity:
        if None in values[name]:
            raise Unreadable(f"{name}: missing")
    lacking = [values[name] for name in shape.required if None in values[name]]
    if lacking:
        for row in zip(values["deleted_at"], *lacking, strict=True):
            if row[0] is None and None in row[1:]:
                raise Unreadable("a required field: missing")


def _derive_ids(columns: Sequence[pa.Array | pa.ChunkedArray]) -> pa.Array:
    """Return an id for each row, from the values that make up its key."""
    keys = zip(*(column.to_pylist() for column in columns), strict=True)
    return pa.array([derive_id(*key) for key in keys], pa.int64())


def _fill_workspaces(given: pa.Array | None, otherwise: int | pa.Array, size: int) -> pa.Array:
    if isinstance(otherwise, int):
        otherwise = pa.scalar(otherwise, pa.int64())
    if given is None or given.null_count == size:
        return pa.repeat(otherwise, size) if isinstance(otherwise, pa.Scalar) else otherwise
    return pc.coalesce(given, otherwise)


def _known_durations(duration: pa.Array, stop: pa.Array) -> pa.Array:
    """Return null durations for running entries, where Toggl sends a negative number or the seconds until now."""
    if not stop.null_count:
        return duration
    running = pc.and_(stop.is_null(), pc.not_equal(duration, 0))
    return pc.if_else(running, pa.scalar(None, pa.int64()), duration)
