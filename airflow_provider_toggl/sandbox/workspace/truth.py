"""The records of the sandbox as flat rows, for tests to compare a warehouse with."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from airflow_provider_toggl.sandbox.formats import micros_z
from airflow_provider_toggl.sandbox.workspace.billing import amount_cents, rate_of
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
from airflow_provider_toggl.sandbox.workspace.world import World

Row = dict[str, Any]


class UnknownStream(ValueError):
    """There is no such stream."""


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else micros_z(moment)


def _time_entry(world: World, entry: TimeEntry) -> Row:
    rate = rate_of(world, entry)
    return {
        "id": entry.id,
        "workspace_id": entry.workspace_id,
        "user_id": entry.user_id,
        "project_id": entry.project_id,
        "task_id": entry.task_id,
        "description": entry.description,
        "billable": entry.billable,
        "tag_ids": sorted(entry.tag_ids),
        "start": micros_z(entry.start),
        "stop": _time(entry.stop),
        "duration": entry.duration,
        "running": entry.is_running,
        "hourly_rate_cents": rate,
        "billable_amount_cents": None if rate is None or entry.is_running else amount_cents(entry.duration, rate),
        "currency": world.workspace.default_currency,
        "at": micros_z(entry.at),
        "deleted_at": _time(entry.deleted_at),
    }


def _project(world: World, project: Project) -> Row:
    paid = world.settings.plan != "free"
    return {
        "id": project.id,
        "workspace_id": project.workspace_id,
        "client_id": project.client_id,
        "name": project.name,
        "active": project.active,
        "is_private": project.is_private,
        "color": project.color,
        "billable": project.billable if paid else None,
        "hourly_rate_cents": project.hourly_rate_cents if paid else None,
        "currency": world.workspace.default_currency if paid else None,
        "start_date": project.start_date.isoformat(),
        "created_at": micros_z(project.created_at),
        "at": micros_z(project.at),
        "deleted_at": _time(project.deleted_at),
    }


def _client(world: World, client: Client) -> Row:  # noqa: ARG001 - one signature for all streams
    return {
        "id": client.id,
        "workspace_id": client.workspace_id,
        "name": client.name,
        "archived": client.archived,
        "notes": client.notes,
        "creator_id": client.creator_id,
        "at": micros_z(client.at),
        "deleted_at": _time(client.deleted_at),
    }


def _tag(world: World, tag: Tag) -> Row:  # noqa: ARG001 - one signature for all streams
    return {
        "id": tag.id,
        "workspace_id": tag.workspace_id,
        "name": tag.name,
        "creator_id": tag.creator_id,
        "at": micros_z(tag.at),
        "deleted_at": _time(tag.deleted_at),
    }


def _task(world: World, task: Task) -> Row:
    return {
        "id": task.id,
        "workspace_id": task.workspace_id,
        "project_id": task.project_id,
        "name": task.name,
        "active": task.active,
        "user_id": task.user_id,
        "estimated_seconds": task.estimated_seconds,
        "tracked_seconds": world.tracked_seconds()[1].get(task.id, 0),
        "at": micros_z(task.at),
        "deleted_at": _time(task.deleted_at),
    }


def _user(world: World, user: User) -> Row:
    return {
        "id": user.id,
        "workspace_id": world.workspace.id,
        "workspace_user_id": user.workspace_user_id,
        "fullname": user.fullname,
        "email": user.email,
        "timezone": user.timezone,
        "is_admin": user.is_admin,
        "inactive": user.inactive,
        "at": micros_z(user.at),
        "deleted_at": _time(user.deleted_at),
    }


def _project_user(world: World, member: ProjectUser) -> Row:
    return {
        "id": member.id,
        "workspace_id": member.workspace_id,
        "project_id": member.project_id,
        "user_id": member.user_id,
        "manager": member.manager,
        "rate_cents": member.rate_cents if world.settings.plan != "free" else None,
        "at": micros_z(member.at),
        "deleted_at": _time(member.deleted_at),
    }


def _group(world: World, group: Group) -> Row:  # noqa: ARG001 - one signature for all streams
    return {
        "id": group.id,
        "workspace_id": group.workspace_id,
        "name": group.name,
        "user_ids": sorted(group.user_ids),
        "at": micros_z(group.at),
        "deleted_at": _time(group.deleted_at),
    }


#: The streams, with the function that makes their rows.
STREAMS: dict[str, Callable[[World, Any], Row]] = {
    "time_entries": _time_entry,
    "projects": _project,
    "clients": _client,
    "tags": _tag,
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
