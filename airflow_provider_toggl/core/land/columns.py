"""Decoded rows to columns: one Arrow table a page, instants parsed a column at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_toggl.core.land.schemas import TABLES
from airflow_provider_toggl.core.land.shapes import ReportRow

INSTANT = pa.timestamp("us", tz="UTC")
_WHOLE_SECONDS = pa.timestamp("s", tz="UTC")

_ARROW: dict[str, pa.DataType] = {
    "bigint": pa.int64(),
    "boolean": pa.bool_(),
    "text": pa.string(),
    "double": pa.float64(),
    "timestamp": INSTANT,
    "date": pa.date32(),
    "bigint_list": pa.list_(pa.int64()),
    "json": pa.string(),
}

ARROW_SCHEMAS: dict[str, pa.Schema] = {
    stream: pa.schema([pa.field(column.name, _ARROW[column.type]) for column in table.columns])
    for stream, table in TABLES.items()
}

Columns = dict[str, Any]


def report_columns(rows: Sequence[ReportRow]) -> Columns:
    """Take the columns of ``time_entries`` out of report rows, one row for each entry in them.

    Written out, since this is where landing spends its time: a quarter of what ``zip(*map(attrgetter(...), rows))`` takes.
    """
    entries = [entry for row in rows for entry in row.time_entries]
    if not entries:
        return {}
    if any(len(row.time_entries) != 1 for row in rows):
        rows = [row for row in rows for _ in row.time_entries]
    return {
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


def object_columns(stream: str, rows: Sequence[msgspec.Struct]) -> Columns:
    """Take the columns of a stream out of v9 objects."""
    if not rows:
        return {}
    names = rows[0].__struct_fields__
    columns: Columns = {name: list(map(attrgetter(name), rows)) for name in names}
    columns["workspace_id"] = _first_given(columns["workspace_id"], columns["wid"])
    if "user_id" in columns and "uid" in columns:
        columns["user_id"] = _first_given(columns["user_id"], columns["uid"])
    columns["deleted_at"] = _first_given(columns["server_deleted_at"], columns["deleted_at"])
    if stream == "groups":
        columns["id"] = _first_given(columns["group_id"], columns["id"])
        columns["user_ids"] = [[member.user_id for member in members or ()] for members in columns["users"]]
        columns["workspace_ids"] = columns["workspaces"]
    return columns


def _first_given(first: Sequence[Any], second: Sequence[Any]) -> Sequence[Any]:
    return [b if a is None else a for a, b in zip(first, second, strict=True)]


def build_table(stream: str, columns: Columns, workspace_id: int, observed_at: datetime) -> pa.Table:
    """Return the Arrow table of a page's columns, with the five times.

    :param columns: values by field name, as decoded; ``at`` and ``deleted_at`` as texts.
    :param workspace_id: for rows that do not say theirs.
    :param observed_at: when the page was true, by Toggl's clock.
    :raises pyarrow.ArrowInvalid: an instant is in a form that the vectorised parser does not take.
    """
    schema = ARROW_SCHEMAS[stream]
    size = len(columns["id"]) if columns else 0
    if not size:
        return schema.empty_table()
    arrays = {column.name: _array(columns, column.name, column.type, size) for column in TABLES[stream].own}
    arrays["workspace_id"] = pc.fill_null(arrays["workspace_id"], workspace_id)
    now = pa.repeat(pa.scalar(observed_at, INSTANT), size)
    arrays["updated_at"] = _instants(columns.get("at"), size).cast(_WHOLE_SECONDS, safe=False).cast(INSTANT)
    arrays["observed_at"] = now
    arrays["deleted_at"] = _instants(columns.get("deleted_at"), size)
    exists = arrays["deleted_at"].is_null()
    arrays["seen_at"] = (
        pc.if_else(exists, now, pa.scalar(None, INSTANT)) if arrays["deleted_at"].null_count < size else now
    )
    arrays["absent_at"] = pa.nulls(size, INSTANT)
    if stream == "time_entries":
        running = pc.and_(arrays["stop"].is_null(), pc.less(arrays["duration"], 0))
        arrays["duration"] = pc.if_else(running, pa.scalar(None, pa.int64()), arrays["duration"])
    return pa.Table.from_arrays([arrays[name] for name in schema.names], schema=schema)


def count_odd_durations(table: pa.Table) -> int:
    """Return how many entries have a duration that is not from start to stop, or end before they start."""
    start, stop = (table[name].cast(_WHOLE_SECONDS, safe=False).cast(pa.int64()) for name in ("start", "stop"))
    span = pc.subtract(stop, start)
    odd = pc.or_(pc.not_equal(span, table["duration"]), pc.less(span, 0))
    return pc.sum(odd).as_py() or 0


def _array(columns: Columns, name: str, type_: str, size: int) -> pa.Array:
    return _CONVERSIONS[type_](columns.get(name), size)


def _plain(arrow_type: pa.DataType) -> Callable[[Sequence[Any] | None, int], pa.Array]:
    def convert(values: Sequence[Any] | None, size: int) -> pa.Array:
        return pa.nulls(size, arrow_type) if values is None else pa.array(values, arrow_type, size=size)

    return convert


def _instants(values: Sequence[str | None] | None, size: int) -> pa.Array:
    if values is None:
        return pa.nulls(size, INSTANT)
    return pa.array(values, pa.string(), size=size).cast(INSTANT)


def _dates(values: Sequence[str | None] | None, size: int) -> pa.Array:
    if values is None:
        return pa.nulls(size, pa.date32())
    return pa.array([value and value[:10] for value in values], pa.string()).cast(pa.date32())


def _lists(values: Sequence[list[int] | None] | None, size: int) -> pa.Array:
    # Toggl writes "none" as null in one answer and as [] in the next: one form, or rows would seem to change.
    return pa.array([value or () for value in values or (None,) * size], _ARROW["bigint_list"])


def _json(values: Sequence[bytes | None] | None, size: int) -> pa.Array:
    texts = [value and bytes(value).decode() for value in values or (None,) * size]
    return pa.array([None if text == "null" else text for text in texts], pa.string())


_CONVERSIONS: dict[str, Callable[[Any, int], pa.Array]] = {
    **{type_: _plain(_ARROW[type_]) for type_ in ("bigint", "boolean", "text", "double")},
    "timestamp": _instants,
    "date": _dates,
    "bigint_list": _lists,
    "json": _json,
}
