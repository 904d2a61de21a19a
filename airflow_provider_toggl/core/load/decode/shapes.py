"""The shapes of Toggl's objects: which keys fill which columns, and msgspec types to decode them as.

The payload of a webhook is the object as in v9 (https://engineering.toggl.com/docs/webhooks_start/events), with the
legacy keys beside the current ones or, possibly, alone. So lists and events share a shape.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from airflow_provider_toggl.core.load.decode.column_types import COLUMN_TYPES, Int64
from airflow_provider_toggl.core.load.tables.schemas import TABLES
from airflow_provider_toggl.core.streams import STREAMS


@dataclass(frozen=True)
class Field:
    """The keys that fill a column.

    :param column: the column; ``at`` and ``deleted_at`` are no columns, but fill some of the five times.
    :param type: a key of ``column_types.COLUMN_TYPES``.
    :param keys: keys of the object; the first one that is not null counts.
    """

    column: str
    type: str
    keys: tuple[str, ...]


@dataclass(frozen=True)
class Shape:
    """How Toggl writes the objects of a stream.

    :param stream: the stream.
    :param fields: the fields of the objects.
    :param identity: columns without which an object has no key, not even a deleted one.
    :param required: columns that an object must fill unless it is deleted.
    :param struct: the type to decode an object as.
    :param json_struct: the type to decode only its JSON columns as, None if it has none.
    """

    stream: str
    fields: tuple[Field, ...]
    identity: tuple[str, ...]
    required: tuple[str, ...]
    struct: type[msgspec.Struct]
    json_struct: type[msgspec.Struct] | None

    def field(self, column: str) -> Field:
        """Return the field that fills a column."""
        return next(field for field in self.fields if field.column == column)


class ReportEntry(msgspec.Struct, gc=False):
    """One entry in a row of the detailed report."""

    id: Int64
    seconds: Int64
    start: str
    at: str
    stop: str | None = None


class ReportRow(msgspec.Struct, gc=False):
    """A row of the detailed report: the fields that its entries share, and the entries.

    Keys that every row has are required, though they may be null: a row without one is incomplete, and would overwrite
    known values with null.
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


REPORT_ROW = (
    Field("user_id", "bigint", ("user_id",)),
    Field("project_id", "bigint", ("project_id",)),
    Field("task_id", "bigint", ("task_id",)),
    Field("billable", "boolean", ("billable",)),
    Field("description", "text", ("description",)),
    Field("tag_ids", "bigint_list", ("tag_ids",)),
    Field("hourly_rate_cents", "bigint", ("hourly_rate_in_cents",)),
    Field("billable_amount_cents", "bigint", ("billable_amount_in_cents",)),
    Field("currency", "text", ("currency",)),
)
"""The fields that the entries of a report's row share."""

REPORT_ENTRY = (
    Field("id", "bigint", ("id",)),
    Field("start", "start", ("start",)),
    Field("stop", "timestamp", ("stop",)),
    Field("duration", "bigint", ("seconds",)),
    Field("at", "timestamp", ("at",)),
)
"""The fields of one of its entries."""

_LEGACY = {"workspace_id": "wid", "user_id": "uid", "project_id": "pid", "task_id": "tid", "client_id": "cid"}
"""Keys of Toggl's earlier API, by the current ones."""

_NOT_IN_V9 = {"time_entries": {"hourly_rate_cents", "billable_amount_cents", "currency"}}
_REQUIRED = {
    "time_entries": ("start", "duration", "at"),
    "users": (),
    "project_users": ("project_id",),
    "rates": ("type", "level"),
    "workspace_users": ("user_id",),
    "timesheet_setups": ("member_id",),
    "timesheets": ("status",),
    "organization_users": ("user_id",),
    "currencies": (),
    "project_groups": ("project_id", "group_id"),
    "invoices": (),
    "expenses": (),
    "goals": ("user_id",),
    "alerts": ("source_kind",),
    "time_entry_constraints": ("time_entry_constraints_enabled",),
    "audit_log": (),
    "timesheet_history": (),
    "project_periods": ("end_date",),
}
_KEYS: dict[str, dict[str, tuple[str, ...]]] = {
    "groups": {"id": ("group_id", "id"), "user_ids": ("users",), "workspace_ids": ("workspaces",)},
    "project_users": {"group_id": ("group_id", "gid")},
    "timesheet_setups": {"approver_ids": ("approvers",)},
    "timesheets": {"approver_ids": ("approvers",)},
    "organization_users": {"group_ids": ("groups",), "user_workspaces": ("workspaces",)},
    "invoices": {"id": ("user_invoice_id", "id"), "at": ("updated_at", "at")},
    "expenses": {"at": ("updated_at", "at")},
    "goals": {"id": ("goal_id", "id")},
    "workspaces": {"workspace_id": ("id",)},
    "audit_log": {"created_at": ("created_at", "at"), "at": ("created_at", "at")},
    "timesheet_history": {"created_at": ("created_at", "at"), "at": ("created_at", "at")},
}
# A member of a workspace has other keys than a user: v9's /workspaces/{id}/workspace_users and /users.
# Its id is that of the membership; users are known everywhere else by their own.
_MEMBER_KEYS: dict[str, tuple[str, ...]] = {
    "id": ("user_id", "uid"),
    "fullname": ("name",),
    "is_active": ("active",),
    "is_admin": ("admin",),
}
_TYPES = {
    ("time_entries", "start"): "start",
    ("groups", "user_ids"): "members",
    ("timesheet_setups", "approver_ids"): "members",
    ("timesheets", "approver_ids"): "members",
    ("organization_users", "group_ids"): "groups",
}


def _build_shape(stream: str, keys: dict[str, tuple[str, ...]], required: tuple[str, ...]) -> Shape:
    derived = STREAMS[stream].key
    fields = [
        Field(
            column.name,
            _TYPES.get((stream, column.name), column.type),
            keys.get(column.name, (column.name, *filter(None, [_LEGACY.get(column.name)]))),
        )
        for column in TABLES[stream].own
        if column.name not in _NOT_IN_V9.get(stream, ()) and not (derived and column.name == "id")
    ]
    fields += [
        Field("at", "timestamp", keys.get("at", ("at",))),
        Field("deleted_at", "timestamp", ("server_deleted_at", "deleted_at")),
    ]
    json_fields = [field for field in fields if field.type == "json"]
    return Shape(
        stream,
        tuple(fields),
        tuple(name for name in derived or ("id",) if name != "workspace_id"),
        required,
        _build_struct(stream, fields),
        _build_struct(f"{stream}_json", json_fields) if json_fields else None,
    )


def _build_struct(name: str, fields: Iterable[Field]) -> type[msgspec.Struct]:
    types: dict[str, Any] = {}
    for field in fields:
        type_ = COLUMN_TYPES[field.type].field
        for key in field.keys:
            # Raw accepts null too, and msgspec allows no union with it.
            types[key] = type_ if type_ is msgspec.Raw else type_ | None
    return msgspec.defstruct(name, [(key, type_, None) for key, type_ in types.items()], gc=False)


OBJECTS: dict[str, Shape] = {
    stream: _build_shape(stream, _KEYS.get(stream, {}), _REQUIRED.get(stream, ("name",))) for stream in TABLES
}
"""Objects of v9's lists, and of webhooks except members of a workspace."""

MEMBERS = _build_shape("users", _MEMBER_KEYS, ("fullname",))
"""Users as members of a workspace."""
