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

    Written out, since landing spends its time here: a third of what ``zip(*map(attrgetter(...), rows))`` takes.
    """
    entries = [entry for row in rows for entry in row.time_entries]
    if not entries:
        return {}
    if len(entries) != len(rows):
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
    if not columns:
        return schema.empty_table()
    size = len(columns["id"])
    now = pa.repeat(pa.scalar(observed_at, INSTANT), size)
    arrays = own_arrays(stream, columns, size)
    arrays["workspace_id"] = _workspaces(arrays["workspace_id"], workspace_id)
    arrays["updated_at"] = whole_seconds(columns.get("at"), size)
    arrays["observed_at"] = now
    deleted_at = arrays["deleted_at"] = instants(columns.get("deleted_at"), size)
    arrays["seen_at"] = (
        now if deleted_at.null_count == size else pc.if_else(deleted_at.is_null(), now, pa.scalar(None, INSTANT))
    )
    arrays["absent_at"] = pa.nulls(size, INSTANT)
    return pa.Table.from_arrays([arrays[name] for name in schema.names], schema=schema)


def own_arrays(stream: str, columns: Columns, size: int) -> dict[str, pa.Array]:
    """Return the columns that Toggl fills as Arrow arrays, nulls where nothing is given.

    :raises pyarrow.ArrowInvalid: an instant is in a form that the vectorised parser does not take.
    """
    arrays = {column.name: _array(columns, column.name, column.type, size) for column in TABLES[stream].own}
    if stream == "time_entries":
        arrays["duration"] = _known_durations(arrays["duration"], arrays["stop"])
    return arrays


def count_odd_durations(table: pa.Table) -> int:
    """Return how many entries have a duration that is not from start to stop, or end before they start."""
    if not table.num_rows:
        return 0
    start, stop, duration = (table[name].combine_chunks() for name in ("start", "stop", "duration"))
    span = pc.subtract(stop.view(pa.int64()), start.view(pa.int64()))
    off = pc.abs(pc.subtract(span, pc.multiply(duration, 1_000_000)))
    odd = pc.or_(pc.greater_equal(off, 1_000_000), pc.less(span, 0))
    return int(odd.true_count)


def _workspaces(given: pa.Array, workspace_id: int) -> pa.Array:
    if given.null_count == len(given):
        return pa.repeat(pa.scalar(workspace_id, pa.int64()), len(given))
    return pc.fill_null(given, workspace_id)


def _known_durations(duration: pa.Array, stop: pa.Array) -> pa.Array:
    """Leave out what stands for a duration while an entry is running: a negative number, or the seconds until now."""
    if not stop.null_count:
        return duration
    running = pc.and_(stop.is_null(), pc.not_equal(duration, 0))
    return pc.if_else(running, pa.scalar(None, pa.int64()), duration)


def whole_seconds(values: Sequence[str | None] | None, size: int) -> pa.Array:
    """Cut instants to whole seconds, which is all that reports tell of the same change."""
    if values is None:
        return pa.nulls(size, INSTANT)
    texts = pa.array(values, pa.string(), size=size)
    try:
        seconds = texts.cast(_WHOLE_SECONDS)
    except pa.ArrowInvalid:
        seconds = texts.cast(INSTANT).cast(_WHOLE_SECONDS, safe=False)
    return seconds.cast(INSTANT)


def _array(columns: Columns, name: str, type_: str, size: int) -> pa.Array:
    return _CONVERSIONS[type_](columns.get(name), size)


def _plain(arrow_type: pa.DataType) -> Callable[[Sequence[Any] | None, int], pa.Array]:
    def convert(values: Sequence[Any] | None, size: int) -> pa.Array:
        return pa.nulls(size, arrow_type) if values is None else pa.array(values, arrow_type, size=size)

    return convert


def instants(values: Sequence[str | None] | None, size: int) -> pa.Array:
    """Parse texts of instants, all at once."""
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
    "timestamp": instants,
    "date": _dates,
    "bigint_list": _lists,
    "json": _json,
}
