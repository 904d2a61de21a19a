"""The records of the sandbox as flat rows, for tests to compare a warehouse with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from datetime import date, datetime
from typing import Any

from airflow_provider_toggl.sandbox.formats import micros_z
from airflow_provider_toggl.sandbox.workspace.records import (
    Client,
    Group,
    Project,
    ProjectUser,
    Tag,
    Task,
    TimeEntry,
    User,
)
from airflow_provider_toggl.sandbox.workspace.world import World, amount_cents

Row = dict[str, Any]


class UnknownStream(ValueError):
    """There is no such stream."""


def _row(record: Any, *without: str, **more: Any) -> Row:
    """Return the fields of a record as JSON values: some left out, some added or replaced."""
    row: Row = {}
    for item in fields(record):
        value = getattr(record, item.name)
        if isinstance(value, datetime):
            value = micros_z(value)
        elif isinstance(value, date):
            value = value.isoformat()
        if item.name not in without:
            row[item.name] = value
    return {**row, **more}


def _time_entry(world: World, entry: TimeEntry) -> Row:
    rate = world.rate_of(entry)
    return _row(
        entry,
        "created_with",
        tag_ids=sorted(entry.tag_ids),
        running=entry.is_running,
        hourly_rate_cents=rate,
        billable_amount_cents=None if rate is None or entry.is_running else amount_cents(entry.duration, rate),
        currency=world.workspace.default_currency,
    )


def _project(world: World, project: Project) -> Row:
    if world.settings.plan == "free":
        return _row(project, billable=None, hourly_rate_cents=None, estimated_seconds=None, currency=None)
    return _row(project, currency=world.workspace.default_currency)


def _unchanged(world: World, record: Client | Tag) -> Row:  # noqa: ARG001 - one signature for all streams
    return _row(record)


def _task(world: World, task: Task) -> Row:
    return _row(task, tracked_seconds=world.tracked_seconds()[1].get(task.id, 0))


def _user(world: World, user: User) -> Row:
    return _row(user, "token", "created_at", workspace_id=world.workspace.id)


def _project_user(world: World, member: ProjectUser) -> Row:
    return _row(member, rate_cents=member.rate_cents if world.settings.plan != "free" else None)


def _group(world: World, group: Group) -> Row:  # noqa: ARG001 - one signature for all streams
    return _row(group, user_ids=sorted(group.user_ids))


#: The streams, with the function that makes their rows.
STREAMS: dict[str, Callable[[World, Any], Row]] = {
    "time_entries": _time_entry,
    "projects": _project,
    "clients": _unchanged,
    "tags": _unchanged,
    "tasks": _task,
    "users": _user,
    "project_users": _project_user,
    "groups": _group,
}


def truth(world: World, stream: str) -> list[Row]:
    """Return all records of a stream as they are now, ordered by id; deleted ones have ``deleted_at``.

    Times are RFC 3339 in UTC with ``Z``, money is in cents, ``duration`` in seconds (negative: running). Fields that
    the plan lacks are None.

    :raises UnknownStream: there is no such stream.
    """
    if stream not in STREAMS:
        raise UnknownStream(f"No such stream: {stream}. Streams: {', '.join(STREAMS)}.")
    to_row = STREAMS[stream]
    records: dict[int, Any] = getattr(world, stream)
    return [to_row(world, records[id_]) for id_ in sorted(records)]
