"""What REST writes do to projects and their members."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_toggl.sandbox.rest_v9.writes.clients import create_client, find_client
from airflow_provider_toggl.sandbox.rest_v9.writes.request import (
    MALFORMED,
    Payload,
    Request,
    check_bulk,
    date_of,
    flag_of,
    has,
    int_of,
    text_of,
)
from airflow_provider_toggl.sandbox.workspace.records import PALETTE, Project, ProjectUser, User
from airflow_provider_toggl.sandbox.workspace.world import ErrorResponse, World

#: Fields that a free plan lacks. Those that a paid plan has are taken and, rate and billable apart, not kept.
PREMIUM_FIELDS = (
    "auto_estimates",
    "billable",
    "currency",
    "estimated_hours",
    "fixed_fee",
    "rate",
    "recurring",
    "recurring_parameters",
    "template",
)
#: Per hour, in units of the currency: only there to keep sums within 64 bits.
LARGEST_RATE = 1_000_000
PATCHABLE = ("name", "active", "is_private", "color", "client_id", "cid", "billable", "rate", "start_date")


def create_project(world: World, actor: User, payload: Payload, *, request: Request | None = None) -> Project:
    """Create a project, with its creator as the manager.

    As recorded, a project that is not said to be active is not, and one that is not said to be public is private.

    :raises Refused: 400 when its name is missing or taken, its colour is none or its client is not there, 402 when the
        plan lacks what it asks for.
    """
    fields = _fields(world, actor, payload, None, request)
    if "name" not in fields:
        raise ErrorResponse(400, "Project name must be present")
    now = world.now()
    project_id = world.next_id("project")
    project = Project(
        id=project_id,
        workspace_id=world.workspace.id,
        name=fields.pop("name"),
        at=now,
        created_at=now.replace(microsecond=0),
        color=fields.pop("color", PALETTE[project_id % len(PALETTE)]),
        start_date=fields.pop("start_date", now.date()),
        active=fields.pop("active", False),
        is_private=fields.pop("is_private", True),
        **fields,
    )
    world.store(project, actor, request)
    member = ProjectUser(world.next_id("project_user"), project.workspace_id, project.id, actor.id, now, manager=True)
    world.store(member, actor, request)
    return project


def update_project(
    world: World, actor: User, project_id: int, payload: Payload, *, request: Request | None = None
) -> Project:
    """Change the fields that the payload has; ``active`` false archives.

    :raises Refused: as ``create_project``; 404 when there is no such project.
    """
    project = get_project(world, project_id)
    return world.change(project, _fields(world, actor, payload, project, request), actor, request)


def delete_project(
    world: World, actor: User, project_id: int, mode: str | None = None, *, request: Request | None = None
) -> int:
    """Delete a project with its tasks and members.

    :param mode: ``teDeletionMode``: "delete" deletes its time entries too; "unassign" (the default) leaves them
        without project and task, and moves their ``at`` unless switched off.
    :returns: its id.
    :raises Refused: 400 for another mode, 404 when there is no such project.
    """
    if mode not in (None, "", "delete", "unassign"):
        raise ErrorResponse(400, "Invalid teDeletionMode")
    project = get_project(world, project_id)
    for entry in list(world.time_entries.values()):
        if entry.project_id != project_id or entry.deleted_at is not None:
            continue
        if mode == "delete":
            world.mark_deleted(entry, actor, request)
        else:
            fields = {"project_id": None, "task_id": None}
            world.change(entry, fields, actor, request, moves_at=world.settings.project_deletion_moves_at)
    for task in list(world.tasks.values()):
        if task.project_id == project_id and task.deleted_at is None:
            world.mark_deleted(task, actor, request)
    for member in list(world.project_users.values()):
        if member.project_id == project_id and member.deleted_at is None:
            world.mark_deleted(member, actor, request)
    world.mark_deleted(project, actor, request)
    return project_id


def bulk_patch_projects(
    world: World, actor: User, ids: Sequence[int], ops: Any, *, request: Request | None = None
) -> dict[str, list[Any]]:
    """Apply JSON Patch operations to each of the projects; what fails for one does not stop the others.

    As recorded, a colour of one's own is taken here on every plan, though a PUT of it is refused on the free one.

    :returns: ``{"success": [id], "failure": [{"id", "message"}]}``.
    :raises Refused: 400 when the operations are malformed, or there are no or more than 100 ids.
    """
    payload: dict[str, Any] = {}
    for verb, name, value in check_bulk(ids, ops):
        if name not in PATCHABLE:
            raise ErrorResponse(400, f"Path not found: /{name}")
        payload[name] = None if verb == "remove" else value
    success: list[int] = []
    failure: list[dict[str, Any]] = []
    for project_id in ids:
        try:
            project = get_project(world, project_id)
            fields = _fields(world, actor, payload, project, request, any_color=True)
        except ErrorResponse as refused:
            failure.append({"id": project_id, "message": refused.text})
        else:
            world.change(project, fields, actor, request)
            success.append(project_id)
    return {"success": success, "failure": failure}


def create_project_user(world: World, actor: User, payload: Payload, *, request: Request | None = None) -> ProjectUser:
    """Make somebody a member of a project.

    :raises Refused: 400 when there is no such project or user, or they are a member.
    """
    project = world.projects.get(int_of(payload, "project_id", "pid") or 0)
    if project is None or project.deleted_at is not None:
        raise ErrorResponse(400, "Invalid project_id")
    user = world.users.get(int_of(payload, "user_id", "uid") or 0)
    if user is None or user.deleted_at is not None:
        raise ErrorResponse(400, "Invalid user_id")
    for member in world.project_users.values():
        if (member.project_id, member.user_id) == (project.id, user.id) and member.deleted_at is None:
            raise ErrorResponse(400, "Project user already exists")
    rate = _cents(payload)
    if rate is not None and world.settings.plan == "free":
        raise ErrorResponse(402, "Billable rates are available for Starter and higher plans.")
    member = ProjectUser(
        id=world.next_id("project_user"),
        workspace_id=project.workspace_id,
        project_id=project.id,
        user_id=user.id,
        at=world.now(),
        manager=flag_of(payload, "manager"),
        rate_cents=rate,
    )
    return world.store(member, actor, request)


def get_project(world: World, project_id: int) -> Project:
    """Return a live project.

    :raises Refused: 404 when there is none.
    """
    project = world.projects.get(project_id)
    if project is None or project.deleted_at is not None:
        raise ErrorResponse(404, "Project not found/accessible")
    return project


def _fields(
    world: World,
    actor: User,
    payload: Payload,
    project: Project | None,
    request: Request | None,
    *,
    any_color: bool = False,
) -> dict[str, Any]:
    """Return what the payload sets, by the names of the record."""
    _check_plan(world, payload)
    fields: dict[str, Any] = {}
    for name, default in (("active", False), ("is_private", True), ("billable", False)):
        if payload.get(name) is not None:
            fields[name] = flag_of(payload, name, default)
    if payload.get("color"):
        fields["color"] = _checked_color(world, text_of(payload, "color") or "", any_color=any_color)
    if has(payload, "rate"):
        fields["hourly_rate_cents"] = _cents(payload)
    if payload.get("start_date"):
        fields["start_date"] = date_of(payload, "start_date")
    if has(payload, "name"):
        fields["name"] = (text_of(payload, "name") or "").strip()
    if has(payload, "client_id", "cid", "client_name"):
        fields["client_id"] = _client_id(world, actor, payload, request)
    _check_name(world, fields, project)
    return fields


def _check_plan(world: World, payload: Payload) -> None:
    if world.settings.plan != "free":
        return
    for name in PREMIUM_FIELDS:
        if payload.get(name):
            raise ErrorResponse(402, f"Workspace needs to have the {name} feature enabled")


def _checked_color(world: World, color: str, *, any_color: bool) -> str:
    if color not in PALETTE and not any_color and world.settings.plan == "free":
        raise ErrorResponse(402, "Custom project colors available only for premium plans")
    if not re.fullmatch(r"#[0-9a-f]{6}", color):
        form = "#[0-9a-f]{6}"
        raise ErrorResponse(
            400, f"Error in validating color '{color}'. Project color must be a hex value in the form of {form}."
        )
    return color


def _client_id(world: World, actor: User, payload: Payload, request: Request | None) -> int | None:
    client_id = int_of(payload, "client_id", "cid")
    if client_id is not None:
        client = world.clients.get(client_id)
        if client is None or client.deleted_at is not None:
            where = world.workspace.id
            raise ErrorResponse(400, f"Client with the ID {client_id} isn't present in workspace {where}")
        return client_id
    name = text_of(payload, "client_name")
    if not name:
        return None
    known = find_client(world, name.strip())
    return (known or create_client(world, actor, {"name": name}, request=request)).id


def _check_name(world: World, fields: Mapping[str, Any], project: Project | None) -> None:
    """Refuse an empty name, and one that another live project of the same client has."""
    if "name" in fields and not fields["name"]:
        raise ErrorResponse(400, "Project name must be present")
    name = fields.get("name", project.name if project else None)
    client_id = fields.get("client_id", project.client_id if project else None)
    if project is not None and (name, client_id) == (project.name, project.client_id):
        return
    for other in world.projects.values():
        same = (other.name, other.client_id) == (name, client_id)
        if same and other is not project and other.deleted_at is None:
            raise ErrorResponse(400, "Name has already been taken")


def _cents(payload: Payload) -> int | None:
    rate = payload.get("rate")
    if rate is None:
        return None
    # The comparison refuses NaN and infinity too, which Python's JSON reads.
    if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 <= rate <= LARGEST_RATE:
        raise ErrorResponse(400, MALFORMED)
    return round(rate * 100)
