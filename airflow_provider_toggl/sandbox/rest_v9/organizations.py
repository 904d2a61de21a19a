"""The endpoints of the organization, its users and its groups."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

from airflow_provider_toggl.sandbox.formats import audit_record
from airflow_provider_toggl.sandbox.rest_v9.serialize.people import org_group, v9_organization, v9_workspace_user
from airflow_provider_toggl.sandbox.routing import ApiRequest, ApiResponse, Route
from airflow_provider_toggl.sandbox.workspace.records import User
from airflow_provider_toggl.sandbox.workspace.world import ErrorResponse

BASE = "/api/v9/organizations/{organization_id}"
DEFAULT_USERS = 50
DEFAULT_AUDIT_RECORDS = 50


def read_organization(request: ApiRequest) -> ApiResponse:
    """Return the organization."""
    return ApiResponse(v9_organization(request.world, request.actor, single_read=True))


def create_organization(request: ApiRequest) -> ApiResponse:
    """Answer as if an organization were created; a sandbox has only one."""
    body = request.json_object()
    name, workspace = body.get("name"), body.get("workspace_name")
    if not isinstance(name, str) or not name:
        raise ErrorResponse(400, "Field 'name' cannot be empty.")
    if not isinstance(workspace, str) or not workspace:
        raise ErrorResponse(400, "workspace name must be provided")
    ids = {"id": request.world.organization.id + 1, "workspace_id": request.world.workspace.id + 1}
    return ApiResponse(
        {"id": ids["id"], "name": name, "workspace_id": ids["workspace_id"], "workspace_name": workspace}
    )


def list_users(request: ApiRequest) -> ApiResponse:
    """Return a page of the organization's users, for administrators only."""
    if not request.actor.is_admin:
        raise ErrorResponse(403, "User is not authorized to list the organization users")
    page, size = _number(request, "page", 1), _number(request, "per_page", DEFAULT_USERS)
    direction = (request.text("sort_dir") or "asc").lower()
    if direction not in ("asc", "desc"):
        raise ErrorResponse(400, "sort_dir parameter can contain only 'asc' or 'desc'.")
    rows = _select_users(request)
    rows.sort(key=lambda user: (user.fullname.casefold(), user.id), reverse=direction == "desc")
    headers = {
        "x-page": str(page),
        "x-page-size": str(size),
        "x-pages": str(math.ceil(len(rows) / size)),
        "x-records": str(len(rows)),
        "x-sort-order": direction,
    }
    return ApiResponse([_org_user(request, user) for user in rows[(page - 1) * size : page * size]], headers=headers)


def list_audit_log(request: ApiRequest) -> ApiResponse:
    """Return the records of the audit log between two times: all of them, or a page; for administrators only."""
    if not request.world.has_audit_log() or not request.actor.is_admin:
        raise ErrorResponse(403, "User does not have access to the audit logs")
    try:
        begin, end = (datetime.fromisoformat(request.path[name].replace("Z", "+00:00")) for name in ("from", "to"))
        selected = [record for record in request.world.audit_log.values() if begin <= record.at <= end]
    except (ValueError, TypeError) as error:
        raise ErrorResponse(400, "Invalid date") from error
    wanted: dict[str, int | str | None] = {
        name: request.integer(name) for name in ("workspace_id", "entity_id", "user_id")
    }
    wanted |= {name: request.text(name) for name in ("entity_type", "action")}
    rows = [
        audit_record(record, time_key=request.settings.audit_log_time)
        for record in selected
        if all(value in (None, getattr(record, name)) for name, value in wanted.items())
    ]
    if not request.boolean("export"):
        page, size = _number(request, "page_number", 1), _number(request, "page_size", DEFAULT_AUDIT_RECORDS)
        rows = rows[(page - 1) * size : page * size]
    return ApiResponse(rows)


def _number(request: ApiRequest, name: str, default: int) -> int:
    number = request.integer(name, f"Invalid value sent for '{name}'.")
    if number is not None and number < 1:
        raise ErrorResponse(400, f"{name} parameter must contain values > 0.")
    return number or default


def _select_users(request: ApiRequest) -> list[User]:
    text = (request.text("filter") or "").casefold()
    statuses = (request.text("active_status") or "active,inactive,invited").split(",")
    groups = request.integers("groups")
    members = {
        user_id for id_ in groups or () if id_ in request.world.groups for user_id in request.world.groups[id_].user_ids
    }
    only_admins = request.boolean("only_admins")
    return [
        user
        for user in request.world.users.values()
        if user.deleted_at is None
        and (text in user.fullname.casefold() or text in user.email.casefold())
        and ("inactive" if user.inactive else "active") in statuses
        and (groups is None or user.id in members)
        and (user.is_admin or not only_admins)
    ]


def _org_user(request: ApiRequest, user: User) -> dict[str, Any]:
    world = request.world
    groups = [
        {"group_id": group.id, "name": group.name}
        for group in world.groups.values()
        if group.deleted_at is None and user.id in group.user_ids
    ]
    return {
        "id": user.workspace_user_id,
        "organization_id": world.organization.id,
        "user_id": user.id,
        "name": user.fullname,
        "email": user.email,
        "avatar_url": "",
        "admin": user.is_admin,
        "owner": user.id == world.owner.id,
        "role_id": 1 if user.id == world.owner.id else 2 if user.is_admin else 3,
        "joined": True,
        "inactive": user.inactive,
        "invitation_id": None,
        "can_edit_email": False,
        "2fa_enabled": False,
        "groups": groups,
        "workspace_count": 1,
        "workspaces": [
            {
                "workspace_id": world.workspace.id,
                "workspace_name": world.workspace.name,
                "workspace_user_id": user.workspace_user_id,
                "active": True,
                "inactive": user.inactive,
                "admin": user.is_admin,
                "role": "admin" if user.is_admin else "user",
            }
        ],
    }


def list_workspace_users(request: ApiRequest) -> ApiResponse:
    """List the members of the workspace in the organization's form, all or a page of them."""
    text = (request.text("name") or request.text("search") or "").casefold()
    active = request.boolean("active")
    rows = [
        user
        for user in request.world.users.values()
        if user.deleted_at is None and text in user.fullname.casefold() and active in (None, not user.inactive)
    ]
    page, size = request.integer("page"), request.integer("per_page")
    if page is not None or size is not None:
        number, size = _number(request, "page", 1), _number(request, "per_page", DEFAULT_USERS)
        rows = rows[(number - 1) * size : number * size]
    return ApiResponse([v9_workspace_user(request.world, user, organization_form=True) for user in rows])


def list_groups(request: ApiRequest) -> ApiResponse:
    """List the groups by name."""
    text = (request.text("name") or "").casefold()
    workspace = request.integer("workspace", "Invalid number in workspace")
    groups = [
        group
        for group in request.world.groups.values()
        if group.deleted_at is None and text in group.name.casefold() and workspace in (None, group.workspace_id)
    ]
    groups.sort(key=lambda group: (group.name.casefold(), group.id))
    return ApiResponse([org_group(request.world, group) for group in groups])


ROUTES = [
    Route("POST", "/api/v9/organizations", create_organization, "user"),
    Route("GET", BASE, read_organization, "organization"),
    Route("GET", "/api/v9/audit_logs/{organization_id}/{from:any}/{to:any}", list_audit_log, "organization"),
    Route("GET", f"{BASE}/users", list_users, "organization"),
    Route("GET", f"{BASE}/users/detailed", list_users, "organization"),
    Route("GET", f"{BASE}/groups", list_groups, "organization"),
    Route("GET", f"{BASE}/workspaces/{{workspace_id}}/groups", list_groups, "organization"),
    Route("GET", f"{BASE}/workspaces/{{workspace_id}}/workspace_users", list_workspace_users, "organization"),
]
