"""Conversion of Arrow tables to values for drivers, and of drivers' rows to Arrow tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timezone
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_toggl.core.load.decode.column_types import INSTANT
from airflow_provider_toggl.core.load.decode.columns import ARROW_SCHEMAS

CHUNK = 20_000
"""Rows that are converted at a time."""

NUL = "\0"
NUL_SIGN = "\ufffd"
"""Replaces a NUL character where an engine cannot store one."""

_TEXT_INSTANT = "%Y-%m-%dT%H:%M:%SZ"
_INSTANT_TEXT = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$"
_NAIVE_INSTANT = "%Y-%m-%d %H:%M:%S"


def list_texts(column: pa.ChunkedArray | pa.Array, begin: str, between: str, end: str) -> pa.Array:
    """Return a column of lists of numbers as texts."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    texts = pc.binary_join(array.cast(pa.list_(pa.string())), between)
    return pc.binary_join_element_wise(begin, texts, end, "")


def without_nul(column: pa.ChunkedArray | pa.Array) -> pa.ChunkedArray | pa.Array:
    """Return a column of texts with NUL characters replaced."""
    if pc.any(pc.match_substring(column, NUL)).as_py():
        return pc.replace_substring(column, NUL, NUL_SIGN)
    return column


def texts_without_nul(rows: pa.Table) -> pa.Table:
    """Return rows with the NUL characters in their texts replaced."""
    for index, field in enumerate(rows.schema):
        if pa.types.is_string(field.type):
            rows = rows.set_column(index, field, without_nul(rows[index]))
    return rows


def plain_columns(rows: pa.Table, instants: str, has_booleans: bool) -> Iterator[list[Any]]:
    """Yield the columns of rows as values that every driver accepts.

    :param instants: ``text`` for instants as RFC 3339 in UTC with microseconds, which sort by time; else they are texts
        as SQL writes timestamps, in UTC.
    """
    for column in rows.columns:
        if pa.types.is_timestamp(column.type):
            yield pc.strftime(column, _TEXT_INSTANT if instants == "text" else _NAIVE_INSTANT).to_pylist()
        elif pa.types.is_list(column.type):
            yield list_texts(column, "[", ", ", "]").to_pylist()
        elif pa.types.is_boolean(column.type) and not has_booleans:
            yield column.cast(pa.int8()).to_pylist()
        elif pa.types.is_date(column.type):
            yield column.cast(pa.string()).to_pylist()
        else:
            yield column.to_pylist()


def plain_rows(rows: pa.Table, instants: str, has_booleans: bool) -> Iterator[list[tuple[Any, ...]]]:
    """Yield rows in chunks, as tuples of values that every driver accepts."""
    for begin in range(0, rows.num_rows, CHUNK):
        chunk = rows.slice(begin, CHUNK)
        yield list(zip(*plain_columns(chunk, instants, has_booleans), strict=True))


def plain_value(value: Any, instants: str) -> Any:
    """Return a parameter as a driver accepts it: an aware datetime in the engine's form."""
    if not isinstance(value, datetime) or instants == "aware":
        return value
    moment = value.astimezone(timezone.utc) if value.tzinfo else value
    if instants == "text":
        return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0")
    return moment.replace(tzinfo=None)


def build_table(
    names: Sequence[str],
    types: Sequence[pa.DataType | None],
    chunks: Iterable[Sequence[Sequence[Any]]],
    fix: Callable[[str, pa.ChunkedArray], pa.ChunkedArray] | None = None,
) -> pa.Table:
    """Return a table of rows that come in chunks.

    :param types: the type of each column, None to infer it from the values.
    :param fix: gives a column the type that its name or its values imply.
    """
    parts: list[list[pa.Array]] = [[] for _ in names]
    for rows in chunks:
        for part, type_, values in zip(parts, types, zip(*rows, strict=True), strict=True):
            part.append(_build_array(values, type_))
    columns = []
    for name, part, type_ in zip(names, parts, types, strict=True):
        column = _join(part, type_)
        columns.append(fix(name, column) if fix else column)
    return pa.Table.from_arrays(columns, names=list(names))


def fix_column_type(name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column of an engine without types for instants or booleans in the type that is meant.

    Columns with a name of our tables get that column's type. In others, texts in the exact form of our instants are
    instants.
    """
    known = KNOWN_TYPES.get(name)
    if pa.types.is_timestamp(column.type):
        return column.cast(pa.timestamp("us")).cast(INSTANT) if column.type.tz is None else column.cast(INSTANT)
    if known is not None and pa.types.is_null(column.type):
        return column.cast(known if not pa.types.is_list(known) else pa.string())
    is_text = pa.types.is_string(column.type)
    if is_text and (known == INSTANT or (known is None and _all_instants(column))):
        return column.cast(INSTANT)
    if known is not None and ((pa.types.is_date(known) and is_text) or (pa.types.is_boolean(known) and not is_text)):
        return column.cast(known)
    return column


def _all_instants(column: pa.ChunkedArray) -> bool:
    return column.null_count < len(column) and pc.all(pc.match_substring_regex(column, _INSTANT_TEXT)).as_py() is True


def _build_array(values: Sequence[Any], type_: pa.DataType | None) -> pa.Array:
    try:
        return pa.array(values, type_)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, TypeError):
        return pa.array([None if value is None else str(value) for value in values], pa.string())


def _join(parts: list[pa.Array], type_: pa.DataType | None) -> pa.ChunkedArray:
    if not parts:
        return pa.chunked_array([], type_ or pa.null())
    if len({part.type for part in parts}) > 1:
        known = [part.type for part in parts if not pa.types.is_null(part.type)]
        wanted = known[0] if len(set(known)) == 1 else pa.string()
        parts = [part.cast(wanted) for part in parts]
    return pa.chunked_array(parts)


def _known_types() -> dict[str, pa.DataType]:
    """Return the types of the tables' columns by name, for names with the same type in each table."""
    found: dict[str, set[pa.DataType]] = {}
    for schema in ARROW_SCHEMAS.values():
        for column in schema:
            found.setdefault(column.name, set()).add(column.type)
    others = ("watermark", "last_run_at", "applied_at", "landed_at", "complete_at", "begin_at", "end_at", "old_start")
    history = ("first_observed_at", "last_observed_at", "told_at", "changed_at")
    return {name: types.pop() for name, types in found.items() if len(types) == 1} | {
        **dict.fromkeys((*others, *history), INSTANT),
        "local_date": pa.date32(),
    }


KNOWN_TYPES = _known_types()
