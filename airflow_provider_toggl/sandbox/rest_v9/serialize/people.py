"""Answers of the sandbox in the form of Toggl's API v9: users, groups, the workspace and the organization."""

from __future__ import annotations

import hashlib
from typing import Any

from airflow_provider_toggl.sandbox.formats import (
    accounts_id,
    micros_z,
    seconds_offset,
    seconds_or_none,
    seconds_z,
    units,
)
from airflow_provider_toggl.sandbox.rest_v9.serialize.entities import v9_client, v9_entry, v9_project, v9_tag, v9_task
from airflow_provider_toggl.sandbox.workspace.records import Group, User
from airflow_provider_toggl.sandbox.workspace.world import World, live, seen_terms

PLAN_NAMES = {"free": "Free", "starter": "Starter", "premium": "Premium", "enterprise": "Enterprise"}
PLAN_IDS = {"free": 0, "starter": 1, "premium": 2, "enterprise": 3}
#: Time entries that `with_related_data` returns at most, the newest.
RELATED_ENTRIES = 1000

Json = dict[str, Any]


def v9_workspace_user(world: World, user: User, *, organization_form: bool = False) -> Json:
    """Return the JSON of a member of the workspace: ``id`` is the membership, ``uid`` the user.

    :param organization_form: add ``user_id`` and ``workspace_id``, as the organization's endpoint does.
    """
    document: Json = {
        "id": user.workspace_user_id,
        "uid": user.id,
        "wid": world.workspace.id,
        "name": user.fullname,
        "email": user.email,
        "admin": user.is_admin,
        "workspace_admin": user.is_admin,
        "organization_admin": user.id == world.owner.id and user.is_admin,
        "role": "admin" if user.is_admin else "user",
        "active": True,
        "inactive": user.inactive,
        "is_direct": True,
        "group_ids": [group.id for group in live(world.groups.values()) if user.id in group.user_ids],
        "timezone": user.timezone,
        "avatar_file_name": "",
        "at": seconds_offset(user.at),
        **_terms(world, user),
    }
    if organization_form:
        document["user_id"] = user.id
        document["workspace_id"] = world.workspace.id
    return document


def _terms(world: World, user: User) -> Json:
    """Return rate, labor cost and working hours of a member as far as the plan has them."""
    seen = seen_terms(world, user)
    return {
        "rate": units(world.rates.current_cents("billable_rates", user)),
        "rate_last_updated": seconds_or_none(world.rates.changed_at("billable_rates", user)),
        "labor_cost": units(world.rates.current_cents("labor_costs", user)),
        "labor_cost_last_updated": seconds_or_none(world.rates.changed_at("labor_costs", user)),
        "working_hours_in_minutes": seen.working_hours_in_minutes,
    }


def v9_simple_user(world: World, user: User) -> Json:  # noqa: ARG001 - one signature for all functions
    """Return the short JSON of a user."""
    return {
        "id": user.id,
        "fullname": user.fullname,
        "email": user.email,
        "is_active": True,
        "is_admin": user.is_admin,
        "inactive": user.inactive,
    }


def v9_group(world: World, group: Group) -> Json:  # noqa: ARG001 - one signature for all functions
    """Return the JSON of a group, as in the deprecated endpoint of the workspace."""
    return {
        "id": group.id,
        "workspace_id": group.workspace_id,
        "name": group.name,
        "at": seconds_offset(group.at),
        "has_users": bool(group.user_ids),
    }


def org_group(world: World, group: Group) -> Json:
    """Return the JSON of a group, as in the organization's endpoints."""
    return {
        "group_id": group.id,
        "name": group.name,
        "at": micros_z(group.at),
        "workspaces": [group.workspace_id],
        "users": [
            {"user_id": user_id, "name": world.users[user_id].fullname, "avatar_url": "", "joined": True}
            for user_id in group.user_ids
        ],
    }


def v9_workspace(world: World, viewer: User | None = None, *, listed: bool = False) -> Json:
    """Return the JSON of the workspace.

    :param viewer: the user who requests it, by default the owner.
    :param listed: whether it is an item of ``/me/workspaces``.
    """
    workspace = world.workspace
    admin = (viewer or world.owner).is_admin
    # Not a user's token: Toggl still sends the deprecated token of the workspace.
    digest = hashlib.sha256(f"workspace-{workspace.id}".encode()).hexdigest()[:32]
    plan = world.settings.plan
    return {
        "id": workspace.id,
        "organization_id": workspace.organization_id,
        "name": workspace.name,
        "profile": 0,
        "premium": plan != "free",
        "business_ws": plan in ("premium", "enterprise"),
        "admin": admin,
        "role": "admin" if admin else "user",
        "suspended_at": None,
        "server_deleted_at": None,
        "default_hourly_rate": units(world.rates.current_cents("billable_rates", workspace)),
        "rate_last_updated": seconds_or_none(world.rates.changed_at("billable_rates", workspace)),
        "default_currency": workspace.default_currency,
        "only_admins_may_create_projects": False,
        "only_admins_may_create_tags": False,
        "only_admins_see_billable_rates": False,
        "only_admins_see_team_dashboard": False,
        "projects_billable_by_default": True,
        "projects_private_by_default": True,
        **(_NEWER_WORKSPACE_KEYS if world.settings.newer_keys else {}),
        **_retention(world),
        "last_modified": seconds_z(world.now().replace(hour=0, minute=0, second=0)) if listed else None,
        "reports_collapse": True,
        "rounding": workspace.rounding,
        "rounding_minutes": workspace.rounding_minutes,
        "api_token": digest,
        "at": seconds_offset(workspace.at),
        "logo_url": "https://assets.track.toggl.com/images/workspace.jpg",
        "ical_url": f"/ical/workspace_user/{digest}",
        "ical_enabled": True,
        "csv_upload": None,
        "subscription": None,
        "hide_start_end_times": False,
        "working_hours_in_minutes": None,
        "permissions": None,
    }


#: Keys of the definitions of 2026 that recordings of 2024 lack.
_NEWER_WORKSPACE_KEYS: Json = {
    "projects_enforce_billable": False,
    "limit_public_project_data": False,
    "disable_approvals": True,
    "disable_expenses": True,
    "disable_timesheet_view": True,
}


def _retention(world: World) -> Json:
    settings = world.settings
    if not settings.retention_reported:
        return {}
    return {"max_data_retention_days": (settings.retention_days or 0) if settings.plan == "free" else 0}


def v9_organization(world: World, viewer: User | None = None, *, single_read: bool = False) -> Json:
    """Return the JSON of the organization.

    :param viewer: the user who requests it, by default the owner.
    :param single_read: for a read by id, which has no name of the plan.
    """
    organization = world.organization
    viewer = viewer or world.owner
    plan = world.settings.plan
    free = plan == "free"
    return {
        "id": organization.id,
        "name": organization.name,
        "pricing_plan_id": PLAN_IDS[plan],
        "created_at": micros_z(organization.created_at),
        "at": micros_z(organization.created_at),
        "server_deleted_at": None,
        "is_multi_workspace_enabled": False,
        "suspended_at": None,
        "user_count": len(live(world.users.values())),
        "trial_info": {
            "trial": False,
            "trial_available": free,
            "trial_end_date": None,
            "next_payment_date": None,
            "last_pricing_plan_id": None,
            "can_have_trial": free,
            "trial_plan_id": None,
        },
        "is_unified": False,
        "max_workspaces": 20,
        **_retention(world),
        "permissions": None,
        "admin": viewer.is_admin,
        "owner": viewer.id == world.owner.id,
        "pricing_plan_name": "" if single_read else PLAN_NAMES[plan],
        "pricing_plan_enterprise": plan == "enterprise",
    }


def v9_me(world: World, user: User, *, with_related_data: bool = False) -> Json:
    """Return the answer to GET /me: the JSON of a user, with their API token.

    :param with_related_data: add the workspace's clients, projects, tags and tasks, and the user's newest
        ``RELATED_ENTRIES`` time entries.
    """
    document: Json = {
        "id": user.id,
        "api_token": user.token,
        "email": user.email,
        "fullname": user.fullname,
        "timezone": user.timezone,
        "toggl_accounts_id": accounts_id(user),
        "default_workspace_id": world.workspace.id,
        "beginning_of_week": 1,
        "image_url": "https://assets.track.toggl.com/images/profile.png",
        "created_at": micros_z(user.created_at),
        "updated_at": micros_z(user.at),
        "openid_email": None,
        "openid_enabled": False,
        "country_id": None,
        "has_password": True,
        "at": micros_z(world.now()),
        "intercom_hash": hashlib.sha256(f"intercom-{user.id}".encode()).hexdigest(),
        "oauth_providers": [],
        "authorization_updated_at": micros_z(user.created_at),
    }
    if with_related_data:
        document.update(_related(world, user))
    return document


def _related(world: World, user: User) -> Json:
    own = [entry for entry in live(world.time_entries.values()) if entry.user_id == user.id]
    horizon = world.retention_horizon()
    own = [entry for entry in own if horizon is None or entry.start >= horizon]
    own.sort(key=lambda entry: entry.start, reverse=True)
    return {
        "clients": [v9_client(world, client) for client in live(world.clients.values())] or None,
        "projects": [v9_project(world, project) for project in live(world.projects.values())] or None,
        "tags": [v9_tag(world, tag) for tag in live(world.tags.values())] or None,
        "tasks": [v9_task(world, task) for task in live(world.tasks.values())] or None,
        "time_entries": [v9_entry(world, entry) for entry in own[:RELATED_ENTRIES]] or None,
        "workspaces": [v9_workspace(world, user, listed=True)],
    }
