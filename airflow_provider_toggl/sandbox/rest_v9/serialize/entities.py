"""The JSON of time entries, and of the records that they refer to."""

from __future__ import annotations

from typing import Any

from airflow_provider_toggl.sandbox.formats import (
    accounts_id,
    micros_z,
    seconds_offset,
    seconds_or_none,
    seconds_z,
    units,
)
from airflow_provider_toggl.sandbox.workspace.records import (
    Client,
    Project,
    ProjectPeriod,
    ProjectUser,
    Tag,
    Task,
    TimeEntry,
)
from airflow_provider_toggl.sandbox.workspace.world import World

Json = dict[str, Any]


def v9_entry(
    world: World,
    entry: TimeEntry,
    *,
    meta: bool = False,
    fresh_write: bool = False,
    single_read: bool = False,
    created: bool = False,
) -> Json:
    """Return the JSON of a time entry.

    :param meta: add the names of the records that it refers to.
    :param fresh_write: for the answer to a write: ``start`` and ``stop`` end with ``Z`` instead of ``+00:00``.
    :param single_read: for a read by id: without the legacy keys.
    :param created: for the answer to its creation: missing tags are ``null``. Implies ``fresh_write``.
    """
    settings = world.settings
    format_time = seconds_z if fresh_write or created else seconds_offset
    running_as_one = entry.is_running and settings.running_duration == "minus_one"
    tags: list[str] | None = [world.tags[tag_id].name for tag_id in entry.tag_ids]
    tag_ids: list[int] | None = list(entry.tag_ids)
    if not tag_ids and (created or settings.no_tags == "null"):
        tags = tag_ids = None
    written: Json = {
        "id": entry.id,
        "workspace_id": entry.workspace_id,
        "project_id": entry.project_id,
        "task_id": entry.task_id,
        "billable": entry.billable,
        "start": format_time(entry.start),
        "stop": None if entry.stop is None else format_time(entry.stop),
        "duration": -1 if running_as_one else entry.duration,
        "description": entry.description,
        "tags": tags,
        "tag_ids": tag_ids,
        "duronly": True,
        "at": micros_z(entry.at) if settings.v9_at == "micros" else seconds_offset(entry.at),
        "server_deleted_at": seconds_or_none(entry.deleted_at),
        "user_id": entry.user_id,
    }
    if not single_read:
        written["uid"] = entry.user_id
        written["wid"] = entry.workspace_id
        if entry.project_id is not None:
            written["pid"] = entry.project_id
        if entry.task_id is not None:
            written["tid"] = entry.task_id
    if settings.v9_at == "seconds":
        written["permissions"] = None
    if meta:
        written.update(_entry_meta(world, entry))
    return written


def _entry_meta(world: World, entry: TimeEntry) -> Json:
    meta: Json = {}
    project = None if entry.project_id is None else world.projects[entry.project_id]
    if project is not None:
        if project.client_id is not None:
            meta["client_name"] = world.clients[project.client_id].name
        meta["project_name"] = project.name
        meta["project_color"] = project.color
        meta["project_active"] = project.active
        meta["project_billable"] = project.billable
    if entry.task_id is not None:
        meta["task_name"] = world.tasks[entry.task_id].name
    meta["user_name"] = world.users[entry.user_id].fullname
    meta["user_avatar_url"] = ""
    return meta


def v9_project(world: World, project: Project, *, fresh_write: bool = False, created: bool = False) -> Json:
    """Return the JSON of a project.

    :param fresh_write: for the answer to a write, which has no tracked hours.
    :param created: for the answer to its creation, which has no ``status`` either.
    """
    paid = world.settings.plan != "free"
    estimated = project.estimated_seconds if paid else None
    tracked = None if fresh_write or created else world.tracked_seconds()[0].get(project.id)
    status = "deleted" if project.deleted_at else "active" if project.active else "archived"
    periods = world.periods_of(project)
    return {
        "id": project.id,
        "workspace_id": project.workspace_id,
        "client_id": project.client_id,
        "name": project.name,
        "is_private": project.is_private,
        "active": project.active,
        "at": seconds_offset(project.at),
        **({} if created and not world.settings.newer_keys else {"created_at": seconds_offset(project.created_at)}),
        "server_deleted_at": seconds_or_none(project.deleted_at),
        "color": project.color,
        "billable": project.billable if paid else None,
        "template": False if paid else None,
        "auto_estimates": False if paid else None,
        "estimated_hours": None if estimated is None else estimated // 3600,
        "estimated_seconds": estimated,
        "rate": units(world.rates.current_cents("billable_rates", project)),
        "rate_last_updated": seconds_or_none(world.rates.changed_at("billable_rates", project)),
        "currency": world.workspace.default_currency if paid else None,
        "recurring": bool(periods),
        "template_id": None,
        "recurring_parameters": [v9_recurrence(project)] if periods else None,
        **({"current_period": v9_period(periods[-1])} if periods else {}),
        "fixed_fee": project.fixed_fee if paid else None,
        "actual_hours": None if tracked is None else tracked // 3600,
        "actual_seconds": tracked,
        "start_date": project.start_date.isoformat(),
        **({} if project.end_date is None else {"end_date": project.end_date.isoformat()}),
        **({} if created else {"status": status}),
        "wid": project.workspace_id,
        "cid": project.client_id,
        **({"can_track_time": project.active} if world.settings.newer_keys else {}),
        "permissions": None,
    }


def v9_period(period: ProjectPeriod) -> Json:
    """Return the JSON of a period of a recurring project."""
    return {"start_date": period.start_date.isoformat(), "end_date": period.end_date.isoformat()}


def v9_recurrence(project: Project) -> Json:
    """Return the JSON of how a project recurs; the word for its period is that of the definition."""
    return {
        "custom_period": project.recurs_days,
        "estimated_seconds": project.estimated_seconds or 0,
        "parameter_start_date": project.start_date.isoformat(),
        "parameter_end_date": None,
        "period": "custom",
        "project_start_date": project.start_date.isoformat(),
    }


def v9_client(world: World, client: Client) -> Json:
    """Return the JSON of a client."""
    document: Json = {
        "id": client.id,
        "wid": client.workspace_id,
        "archived": client.archived,
        "name": client.name,
        "at": seconds_offset(client.at),
        "creator_id": client.creator_id,
        "notes": client.notes,
    }
    if client.deleted_at is not None and world.settings.clients_report_deletion:
        document["server_deleted_at"] = seconds_offset(client.deleted_at)
    return document


def v9_tag(world: World, tag: Tag) -> Json:  # noqa: ARG001 - one signature for all functions
    """Return the JSON of a tag; only a deleted one has ``deleted_at``."""
    document: Json = {
        "id": tag.id,
        "workspace_id": tag.workspace_id,
        "name": tag.name,
        "at": seconds_offset(tag.at),
        "creator_id": tag.creator_id,
    }
    if tag.deleted_at is not None:
        document["deleted_at"] = seconds_offset(tag.deleted_at)
    return document


def v9_task(world: World, task: Task, *, meta: bool = False) -> Json:
    """Return the JSON of a task; ``tracked_seconds`` is in milliseconds, as the published definition says."""
    document: Json = {
        "id": task.id,
        "name": task.name,
        "workspace_id": task.workspace_id,
        "project_id": task.project_id,
        "user_id": task.user_id,
        "recurring": False,
        "active": task.active,
        "at": seconds_offset(task.at),
        "server_deleted_at": seconds_or_none(task.deleted_at),
        "estimated_seconds": task.estimated_seconds,
        "tracked_seconds": world.tracked_seconds()[1].get(task.id, 0) * 1000,
        "permissions": None,
    }
    if world.settings.newer_keys:
        document["rate"] = units(world.rates.current_cents("billable_rates", task))
        document["rate_last_updated"] = seconds_or_none(world.rates.changed_at("billable_rates", task))
    if task.user_id is not None:
        assignee = world.users[task.user_id]
        document.update(user_name=assignee.fullname, toggl_accounts_id=accounts_id(assignee), avatar_url="")
    if meta:
        project = world.projects[task.project_id]
        client = None if project.client_id is None else world.clients[project.client_id]
        document.update(
            project_name=project.name,
            project_color=project.color,
            project_billable=project.billable,
            project_is_private=project.is_private,
            client_id=project.client_id,
            client_name=None if client is None else client.name,
        )
    return document


def v9_project_user(world: World, member: ProjectUser) -> Json:
    """Return the JSON of a project member; rates only on plans with rates."""
    rates = world.rates
    return {
        "id": member.id,
        "project_id": member.project_id,
        "user_id": member.user_id,
        "workspace_id": member.workspace_id,
        "manager": member.manager,
        "rate": units(rates.current_cents("billable_rates", member)),
        "rate_last_updated": seconds_or_none(rates.changed_at("billable_rates", member)),
        "labor_cost": units(rates.current_cents("labor_costs", member)),
        "labor_cost_last_updated": seconds_or_none(rates.changed_at("labor_costs", member)),
        "at": seconds_offset(member.at),
        "group_id": None,
        "gid": None,
    }
