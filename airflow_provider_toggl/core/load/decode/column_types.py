"""The types of columns: how a JSON value becomes a column's value, one by one and a whole column at once.

``parse`` decides what a column accepts. ``convert`` is the fast way for pages and batches of events: it may refuse what
``parse`` accepts, but it never accepts what ``parse`` refuses, and never returns another value. Rows that it refuses
are parsed one by one, so that pages and events are decided in the same way.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from typing import Annotated, Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_toggl.core.instants import EARLIEST, LATEST, parse_instant
from airflow_provider_toggl.core.json_text import read_json, replace_surrogates

INSTANT = pa.timestamp("us", tz="UTC")
_WHOLE_SECONDS = pa.timestamp("s", tz="UTC")

# Python's integers have no end, the warehouse's have 64 bits.
Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_INT64 = range(-(2**63), 2**63)
_EXACT = 2**53
"""Doubles represent every whole number up to this one exactly."""

_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_SHOWN = 40
_NULL = msgspec.Raw(b"null")

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)

Values = Sequence[Any]


class Unreadable(ValueError):
    """A row cannot be loaded; the text names the field, the value and why."""


class Member(msgspec.Struct, gc=False):
    """A user as a group or a timesheet lists it."""

    user_id: Int64


class MemberGroup(msgspec.Struct, gc=False):
    """A group as a user lists it."""

    group_id: Int64


@dataclass(frozen=True)
class ColumnType:
    """A column's type.

    :param arrow: its type in Arrow tables.
    :param field: the type that msgspec decodes a field as for ``convert``.
    :param parse: returns the column's value for a JSON value that is not null; raises ``Unreadable``, or a
        ``ValueError``, with the value and the reason.
    :param convert: returns the column for values that were decoded as ``field``, or null. Raises
        ``pyarrow.ArrowInvalid`` or ``Unreadable``.
    """

    arrow: pa.DataType
    field: Any
    parse: Callable[[Any], Any]
    convert: Callable[[Values], pa.Array]


def shown(value: Any) -> str:
    """Return a JSON value as a reason shows it, cut if it is long."""
    if isinstance(value, str):
        return json.dumps(value[:_SHOWN]) + ("…" if len(value) > _SHOWN else "")
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "an object"
    return json.dumps(value)


def parse_bigint(value: Any) -> int:
    """Return a whole number of 64 bits; ``3600.0`` is one, ``"3600"`` and ``true`` are not."""
    if isinstance(value, float) and value.is_integer() and abs(value) <= _EXACT:
        return int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise Unreadable(f"{shown(value)} is not a whole number")
    if value not in _INT64:
        raise Unreadable(f"{value} does not fit into 64 bits")
    return value


def parse_boolean(value: Any) -> bool:
    """Return true or false; numbers and texts are neither."""
    if not isinstance(value, bool):
        raise Unreadable(f"{shown(value)} is not true or false")
    return value


def parse_text(value: Any) -> str:
    """Return a text, U+FFFD in it for each lone surrogate."""
    if not isinstance(value, str):
        raise Unreadable(f"{shown(value)} is not a text")
    return replace_surrogates(value)


def parse_double(value: Any) -> float:
    """Return a finite number."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise Unreadable(f"{shown(value)} is not a number")
    number = float(value)
    if not math.isfinite(number):
        raise Unreadable(f"{shown(value)} is not a finite number")
    return number


def parse_timestamp(value: Any) -> datetime | None:
    """Return an instant, in UTC, cut to whole microseconds; ``""`` stands for none."""
    text = _blank_text(value, "a date and time with its offset")
    return None if text is None else parse_instant(text)


def parse_start(value: Any) -> datetime | None:
    """Return an instant that has a date in every time zone."""
    moment = parse_timestamp(value)
    if moment is not None and not EARLIEST <= moment < LATEST:
        raise Unreadable(f"{shown(value)} has no date in some time zones")
    return moment


def parse_date(value: Any) -> date | None:
    """Return a date, written as YYYY-MM-DD or as the beginning of an instant; ``""`` stands for none."""
    text = _blank_text(value, "a date (YYYY-MM-DD)")
    if text is None:
        return None
    try:
        if _DAY.fullmatch(text):
            return date(*map(int, text.split("-")))
        # Of an instant, the date that it is written with.
        parse_instant(text)
        return date(*map(int, text[:10].split("-")))
    except ValueError:
        raise Unreadable(f"{shown(value)} is not a date (YYYY-MM-DD)") from None


def parse_bigint_list(value: Any) -> list[int]:
    """Return a list of whole numbers of 64 bits."""
    if not isinstance(value, list):
        raise Unreadable(f"{shown(value)} is not a list")
    return list(map(parse_bigint, value))


def parse_json(value: Any) -> str:
    """Return any JSON value as a text."""
    try:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except (ValueError, RecursionError):
        raise Unreadable("it has a number that is out of range, or is nested too deep") from None
    return replace_surrogates(text)


def parse_members(value: Any, key: str = "user_id") -> list[int]:
    """Return the ids of a list of objects: by default the users' ids of a group's members."""
    if not isinstance(value, list):
        raise Unreadable(f"{shown(value)} is not a list")
    if not all(isinstance(member, dict) and member.get(key) is not None for member in value):
        raise Unreadable(f"a member has no {key}")
    return [parse_bigint(member[key]) for member in value]


def parse_groups(value: Any) -> list[int]:
    """Return the groups' ids of a user's list of groups."""
    return parse_members(value, "group_id")


def json_text(raw: msgspec.Raw | None) -> str | None:
    """Return the text of a JSON value as it came, None for null.

    :raises Unreadable: a number in it is out of range, or a text is not Unicode.
    """
    if raw is None or raw == _NULL:
        return None
    try:
        text = bytes(raw).decode()
        parse_json(read_json(bytes(raw)))
    except ValueError as error:
        raise Unreadable(str(error)) from None
    return text


def whole_seconds(moments: pa.Array) -> pa.Array:
    """Cut instants to whole seconds, because reports have no fractions of the same change."""
    return moments.cast(_WHOLE_SECONDS, safe=False).cast(INSTANT)


def convert_seconds(values: Values) -> pa.Array:
    """Parse texts of instants and cut them to whole seconds, all at once."""
    texts = pa.array(values, pa.string())
    try:
        # Most have no fraction, and this is the fastest way to see that.
        return _within(texts.cast(_WHOLE_SECONDS).cast(INSTANT), _MOMENTS)
    except pa.ArrowInvalid:
        return whole_seconds(_convert_timestamps(values))


def _blank_text(value: Any, wanted: str) -> str | None:
    if not isinstance(value, str):
        raise Unreadable(f"{shown(value)} is not {wanted}")
    return value if value.strip() else None


def _plain(arrow_type: pa.DataType) -> Callable[[Values], pa.Array]:
    return lambda values: pa.array(values, arrow_type)


def _convert_timestamps(values: Values) -> pa.Array:
    return _within(pa.array(values, pa.string()).cast(INSTANT), _MOMENTS)


def _convert_dates(values: Values) -> pa.Array:
    return _within(pa.array(values, pa.string()).cast(pa.date32()), _DAYS)


def _within(array: pa.Array, bounds: tuple[int, int]) -> pa.Array:
    """Return an array of dates or instants that are all within bounds; Arrow has years before 1 and after 9999.

    :raises Unreadable: one is not.
    """
    numbers = array.cast(pa.int32()) if array.type == pa.date32() else array.view(pa.int64())
    found = pc.min_max(numbers)
    lowest, highest = found["min"].as_py(), found["max"].as_py()
    if lowest is not None and (lowest < bounds[0] or highest > bounds[1]):
        raise Unreadable("out of range")
    return array


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _convert_lists(values: Values) -> pa.Array:
    # Toggl writes "none" as null in one answer and as [] in the next: one form, or rows would seem to change.
    return pa.array([value or () for value in values], _LIST)


def _convert_members(values: Values) -> pa.Array:
    return pa.array([[member.user_id for member in value or ()] for value in values], _LIST)


def _convert_groups(values: Values) -> pa.Array:
    return pa.array([[group.group_id for group in value or ()] for value in values], _LIST)


def _convert_json(values: Values) -> pa.Array:
    return pa.array([json_text(value) for value in values], pa.string())


_LIST = pa.list_(pa.int64())
# At the ends of the calendar it depends on how an instant is written whether it can be parsed.
_MOMENTS = (_micros(EARLIEST), _micros(LATEST) - 1)
_DAYS = (date.min.toordinal() - _EPOCH.toordinal(), date.max.toordinal() - _EPOCH.toordinal())

COLUMN_TYPES: dict[str, ColumnType] = {
    "bigint": ColumnType(pa.int64(), Int64, parse_bigint, _plain(pa.int64())),
    "boolean": ColumnType(pa.bool_(), bool, parse_boolean, _plain(pa.bool_())),
    "text": ColumnType(pa.string(), str, parse_text, _plain(pa.string())),
    "double": ColumnType(pa.float64(), float, parse_double, _plain(pa.float64())),
    "timestamp": ColumnType(INSTANT, str, parse_timestamp, _convert_timestamps),
    "start": ColumnType(INSTANT, str, parse_start, _convert_timestamps),
    "date": ColumnType(pa.date32(), str, parse_date, _convert_dates),
    "bigint_list": ColumnType(_LIST, list[Int64], parse_bigint_list, _convert_lists),
    "members": ColumnType(_LIST, list[Member], parse_members, _convert_members),
    "groups": ColumnType(_LIST, list[MemberGroup], parse_groups, _convert_groups),
    "json": ColumnType(pa.string(), msgspec.Raw, parse_json, _convert_json),
}
"""By the types of ``schemas.Column``; and ``start`` (has a local date), ``members`` and ``groups`` (lists of ids)."""
