"""The shapes that Toggl writes its objects in, as msgspec types made from the tables' columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import msgspec

from airflow_provider_toggl.core.land.schemas import TABLES, Column

# Python's integers have no end, the warehouse's have 64 bits: beyond them a row is rejected by name of the field.
Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]

_TYPES: dict[str, Any] = {
    "bigint": Int64,
    "boolean": bool,
    "text": str,
    "double": float,
    "timestamp": str,
    "date": str,
    "bigint_list": list[Int64],
    "json": msgspec.Raw,
}


@dataclass(frozen=True)
class Shape:
    """How v9 writes the objects of a stream.

    :param struct: the type to decode a row as.
    :param required: fields that a row must have unless it says that it was deleted.
    :param times: fields that hold instants.
    :param dates: fields that hold dates.
    """

    struct: type[msgspec.Struct]
    required: tuple[str, ...]
    times: tuple[str, ...]
    dates: tuple[str, ...]


class ReportEntry(msgspec.Struct, gc=False):
    """One entry in a row of the detailed report."""

    id: Int64
    seconds: Int64
    start: str
    at: str
    stop: str | None = None


class ReportRow(msgspec.Struct, gc=False):
    """A row of the detailed report: what its entries share, and the entries.

    Keys that every row has are required, though they may be null: a row without one is cut short, and would put null
    over what is known.
    """

    user_id: Int64
    time_entries: list[ReportEntry]
    project_id: Int64 | None
    task_id: Int64 | None
    billable: bool | None
    description: str | None
    tag_ids: list[Int64] | None
    billable_amount_in_cents: Int64 | None = None
    hourly_rate_in_cents: Int64 | None = None
    currency: str | None = None


class Member(msgspec.Struct, gc=False):
    """A user as a group lists it."""

    user_id: Int64


class Group(msgspec.Struct, gc=False):
    """A group of an organization, by its new endpoint (``group_id``) or the deprecated one (``id``)."""

    group_id: Int64 | None = None
    id: Int64 | None = None
    workspace_id: Int64 | None = None
    wid: Int64 | None = None
    name: str | None = None
    users: list[Member] | None = None
    workspaces: list[Int64] | None = None
    at: str | None = None
    server_deleted_at: str | None = None
    deleted_at: str | None = None


class Envelope(msgspec.Struct, gc=False):
    """A list that comes wrapped with its page numbers, as that of tasks does."""

    data: msgspec.Raw


REPORT_TIMES = ("start", "stop", "at")

_LEGACY = (("wid", Int64), ("uid", Int64))
CHANGES = (("at", str), ("server_deleted_at", str), ("deleted_at", str))
NOT_IN_V9 = {"time_entries": {"hourly_rate_cents", "billable_amount_cents", "currency"}}
_REQUIRED = {
    "time_entries": ("start", "duration", "at"),
    "users": (),
    "project_users": ("project_id",),
}


def optional_field(column: Column) -> tuple[str, Any, None]:
    """Return a column as a field that may be null or missing, as ``msgspec.defstruct`` takes it."""
    # Raw takes null too, and msgspec lets it share its place with no other type.
    type_ = _TYPES[column.type]
    return (column.name, type_ if column.type == "json" else type_ | None, None)


def _build_shape(stream: str) -> Shape:
    own = [column for column in TABLES[stream].own if column.name not in NOT_IN_V9.get(stream, ())]
    times = (*(column.name for column in own if column.type == "timestamp"), *(name for name, _ in CHANGES))
    dates = tuple(column.name for column in own if column.type == "date")
    required = _REQUIRED.get(stream, ("name",))
    if stream == "groups":
        return Shape(Group, required, times, dates)
    fields: list[Any] = [("id", Int64), *(optional_field(column) for column in own if column.name != "id")]
    fields += [(name, type_ | None, None) for name, type_ in (*_LEGACY, *CHANGES)]
    return Shape(msgspec.defstruct(f"{stream}_v9", fields, gc=False), required, times, dates)


OBJECTS: dict[str, Shape] = {stream: _build_shape(stream) for stream in TABLES}
