"""Writes of projects and their members."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_toggl.sandbox.rest_v9.writes.clients import create_client, find_client
from airflow_provider_toggl.sandbox.rest_v9.writes.request import (
    MALFORMED,
    WriteRequest,
    apply_to_each,
    read_patched_value,
)
from airflow_provider_toggl.sandbox.workspace.rates import read_mode
from airflow_provider_toggl.sandbox.workspace.records import PALETTE, Project, ProjectUser
from airflow_provider_toggl.sandbox.workspace.world import ErrorResponse, World, get_live, live

#: Fields that the free plan lacks. Paid plans accept all of them; the sandbox stores only ``billable``,
#: ``estimated_hours`` and ``rate``.
PAID_FIELDS = (
    "auto_estimates", "billable", "currency", "estimated_hours", "fixed_fee", "rate", "recurring",
    "recurring_parameters", "template",
)  # fmt: skip
#: Per hour, in units of the currency. The bound keeps sums of amounts within 64 bits.
LARGEST_RATE = 1_000_000
PATCHABLE = ("name", "active", "is_private", "color", "client_id", "cid", "billable", "rate", "start_date")
#: Fields of them that always have a value.
NEVER_EMPTY = ("active", "is_private", "color", "billable", "start_date")


def create_project(write: WriteRequest) -> Project:
    """Create a project, with its creator as the manager.

    As in responses recorded from Toggl, a new project is archived and private unless the body says otherwise.

    :raises ErrorResponse: 400 for a missing or taken name, a malformed value or an unknown client, 402 for what the
        plan lacks.
    """
    world = write.world
    fields = _fields(write, None)
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
    write.store(project)
    member_id = world.next_id("project_user")
    write.store(ProjectUser(member_id, project.workspace_id, project.id, write.actor.id, now, manager=True))
    return project


def update_project(write: WriteRequest, project_id: int) -> Project:
    """Change the fields that the body has; ``active`` false archives the project.

    :raises ErrorResponse: as ``create_project``; 400 for an unknown ``rate_change_mode``; 404 if there is no such
        project.
    """
    project = get_project(write.world, project_id)
    return _change(write, project, _fields(write, project))


def delete_project(write: WriteRequest, project_id: int, mode: str | None = None) -> int:
    """Delete a project with its tasks and members.

    :param mode: ``teDeletionMode``: "delete" deletes its time entries too; "unassign" (the default) removes project
        and task from them. Whether their ``at`` changes is the setting ``project_deletion_moves_at``.
    :returns: the project's id.
    :raises ErrorResponse: 400 for another mode, 404 if there is no such project.
    """
    if mode not in (None, "", "delete", "unassign"):
        raise ErrorResponse(400, "Invalid teDeletionMode")
    world = write.world
    project = get_project(world, project_id)
    for entry in live(world.time_entries.values()):
        if entry.project_id != project_id:
            continue
        if mode == "delete":
            write.delete(entry)
        else:
            fields = {"project_id": None, "task_id": None}
            write.change(entry, fields, moves_at=world.settings.project_deletion_moves_at)
    for task in live(world.tasks.values()):
        if task.project_id == project_id:
            write.delete(task)
    for member in live(world.project_users.values()):
        if member.project_id == project_id:
            write.delete(member)
    write.delete(project)
    return project_id


def bulk_patch_projects(write: WriteRequest, ids: Sequence[int]) -> dict[str, list[Any]]:
    """Apply JSON Patch operations to each of the projects; a failure of one does not stop the others.

    As in responses recorded from Toggl, this accepts any colour on every plan, though a PUT of one is refused on the
    free plan. To remove a field that always has a value, or to set it to null, is refused. Toggl's definition has that
    message for another endpoint (of project users); what Toggl does here is unverified.

    :returns: ``{"success": [id], "failure": [{"id", "message"}]}``.
    :raises ErrorResponse: 400 for malformed operations, no ids, or more than 100.
    """
    body: dict[str, Any] = {}
    for verb, name, value in write.operations(ids):
        if name not in PATCHABLE:
            raise ErrorResponse(400, f"Path not found: /{name}")
        body[name] = read_patched_value(verb, name, value, NEVER_EMPTY)

    def update(project_id: int) -> None:
        project = get_project(write.world, project_id)
        _change(write.with_body(body), project, _fields(write.with_body(body), project, any_color=True))

    return apply_to_each(ids, update)


def create_project_user(write: WriteRequest) -> ProjectUser:
    """Add a user to a project.

    :raises ErrorResponse: 400 if there is no such project or user, or the user is a member already; 402 for a rate on
        the free plan.
    """
    world = write.world
    project = get_live(world.projects, write.integer("project_id", "pid") or 0, 400, "Invalid project_id")
    user = get_live(world.users, write.integer("user_id", "uid") or 0, 400, "Invalid user_id")
    if any((one.project_id, one.user_id) == (project.id, user.id) for one in live(world.project_users.values())):
        raise ErrorResponse(400, "Project user already exists")
    rate = _cents(write)
    if rate is not None and world.settings.plan == "free":
        raise ErrorResponse(402, "Billable rates are available for Starter and higher plans.")
    member = ProjectUser(
        id=world.next_id("project_user"),
        workspace_id=project.workspace_id,
        project_id=project.id,
        user_id=user.id,
        at=world.now(),
        manager=write.flag("manager"),
        rate_cents=rate,
    )
    return write.store(member)


def get_project(world: World, project_id: int) -> Project:
    """Return a project that is not deleted.

    :raises ErrorResponse: 404 if there is none.
    """
    return get_live(world.projects, project_id, 404, "Project not found/accessible")


def _fields(write: WriteRequest, project: Project | None, *, any_color: bool = False) -> dict[str, Any]:
    """Return the values that the body sets, by the record's field names.

    :param project: the one to change; None for a new one.
    :param any_color: whether the free plan may set a colour outside the palette.
    """
    _check_plan(write)
    fields: dict[str, Any] = {}
    for name, default in (("active", False), ("is_private", True), ("billable", False)):
        if write.body.get(name) is not None:
            fields[name] = write.flag(name, default)
    if write.body.get("color"):
        fields["color"] = _checked_color(write, any_color=any_color)
    if write.has("rate"):
        fields["hourly_rate_cents"] = _cents(write)
    if write.has("estimated_hours"):
        hours = write.integer("estimated_hours")
        fields["estimated_seconds"] = None if hours is None else hours * 3600
    if write.body.get("start_date"):
        fields["start_date"] = write.date("start_date")
    if write.has("name"):
        fields["name"] = (write.text("name") or "").strip()
    if write.has("client_id", "cid", "client_name"):
        fields["client_id"] = _client_id(write)
    _check_name(write.world, fields, project)
    return fields


def _change(write: WriteRequest, project: Project, fields: dict[str, Any]) -> Project:
    """Change fields of a project; a rate enters its history in the way that ``rate_change_mode`` says."""
    if "hourly_rate_cents" in fields:
        cents = fields.pop("hourly_rate_cents")
        mode = read_mode(write.body.get("rate_change_mode") or "override-current")
        if mode is None:
            raise ErrorResponse(400, MALFORMED)
        # One event for the whole change.
        write.world.rates.set("billable_rates", project, cents, mode=mode, quietly=True, actor=write.actor)
        fields["hourly_rate_cents"] = project.hourly_rate_cents
    return write.change(project, fields)


def _check_plan(write: WriteRequest) -> None:
    if write.world.settings.plan != "free":
        return
    for name in PAID_FIELDS:
        if write.body.get(name):
            raise ErrorResponse(402, f"Workspace needs to have the {name} feature enabled")


def _checked_color(write: WriteRequest, *, any_color: bool) -> str:
    color = write.text("color") or ""
    if color not in PALETTE and not any_color and write.world.settings.plan == "free":
        raise ErrorResponse(402, "Custom project colors available only for premium plans")
    if not re.fullmatch(r"#[0-9a-f]{6}", color):
        form = "#[0-9a-f]{6}"
        raise ErrorResponse(
            400, f"Error in validating color '{color}'. Project color must be a hex value in the form of {form}."
        )
    return color


def _client_id(write: WriteRequest) -> int | None:
    world = write.world
    client_id = write.integer("client_id", "cid")
    if client_id is not None:
        message = f"Client with the ID {client_id} isn't present in workspace {world.workspace.id}"
        return get_live(world.clients, client_id, 400, message).id
    name = write.text("client_name")
    if not name:
        return None
    return (find_client(world, name.strip()) or create_client(write.with_body({"name": name}))).id


def _check_name(world: World, fields: Mapping[str, Any], project: Project | None) -> None:
    """Refuse an empty name, and a name that another project of the same client has."""
    if "name" in fields and not fields["name"]:
        raise ErrorResponse(400, "Project name must be present")
    name = fields.get("name", project.name if project else None)
    client_id = fields.get("client_id", project.client_id if project else None)
    if project is not None and (name, client_id) == (project.name, project.client_id):
        return
    for other in live(world.projects.values()):
        if (other.name, other.client_id) == (name, client_id) and other is not project:
            raise ErrorResponse(400, "Name has already been taken")


def _cents(write: WriteRequest) -> int | None:
    rate = write.body.get("rate")
    if rate is None:
        return None
    # The comparison also refuses NaN and infinity, which Python's JSON decoder accepts.
    if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 <= rate <= LARGEST_RATE:
        raise ErrorResponse(400, MALFORMED)
    return round(rate * 100)
