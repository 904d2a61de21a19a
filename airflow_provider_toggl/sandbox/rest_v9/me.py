"""REST v9, what belongs to who asks: /me and the lists under it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from typing import Any

from airflow_provider_toggl.sandbox.rest_v9.serialize import (
    v9_client,
    v9_entry,
    v9_me,
    v9_organization,
    v9_project,
    v9_tag,
    v9_task,
    v9_workspace,
    zone_of,
)
from airflow_provider_toggl.sandbox.routing import NO_BODY, ApiRequest, ApiResponse, Route
from airflow_provider_toggl.sandbox.workspace.records import TimeEntry
from airflow_provider_toggl.sandbox.workspace.world import ErrorResponse

#: Toggl's own: more time entries than this are not given, and nothing says so.
MOST_ENTRIES = 1000
DEFAULT_PROJECTS_PER_PAGE = 201
NOT_FOUND = "Resource can not be found"


def read_status(call: ApiRequest) -> ApiResponse:  # noqa: ARG001 - endpoints all take a call
    """Say that the service is up."""
    return ApiResponse("OK")


def read_me(call: ApiRequest) -> ApiResponse:
    """Answer who asks."""
    return ApiResponse(v9_me(call.world, call.actor, with_related_data=bool(call.truth("with_related_data"))))


def read_id(call: ApiRequest) -> ApiResponse:
    """Answer the id of who asks."""
    return ApiResponse(call.actor.id)


def read_logged(call: ApiRequest) -> ApiResponse:  # noqa: ARG001 - endpoints all take a call
    """Answer nothing: that it is no refusal says everything."""
    return ApiResponse(NO_BODY)


def read_quota(call: ApiRequest) -> ApiResponse:
    """Answer what is left of each quota; Toggl counts this request too."""
    return ApiResponse(call.quota_rows())


def list_organizations(call: ApiRequest) -> ApiResponse:
    """Answer the organizations of who asks."""
    return ApiResponse([v9_organization(call.world, call.actor)])


def list_workspaces(call: ApiRequest) -> ApiResponse:
    """Answer the workspaces of who asks."""
    since = _since(call)
    moved = call.world.workspace.at
    return ApiResponse([v9_workspace(call.world, call.actor, listed=True)] if since is None or moved >= since else [])


def list_time_entries(call: ApiRequest) -> ApiResponse:
    """Answer the time entries of who asks: those changed since a time, deleted ones too, or those of a range."""
    since, before = _since(call), call.text("before")
    start, end = call.text("start_date"), call.text("end_date")
    if since is not None and before is not None:
        raise ErrorResponse(400, "'since' and 'before' can not be present simultaneously")
    if (start is None) != (end is None):
        raise ErrorResponse(400, "'start_date' and 'end_date' must be present simultaneously")
    own = [entry for entry in call.world.time_entries.values() if entry.user_id == call.actor.id]
    horizon = call.world.retention_horizon()
    if horizon is not None:
        own = [entry for entry in own if entry.start >= horizon]
    if since is not None:
        _check_horizon(call, "since", since)
        found = [entry for entry in own if entry.at.replace(microsecond=0) >= since]
    else:
        found = _in_range(call, own, start, end, before)
    found.sort(key=lambda entry: (entry.start, entry.id), reverse=True)
    meta = bool(call.truth("meta"))
    return ApiResponse([v9_entry(call.world, entry, meta=meta) for entry in found[:MOST_ENTRIES]])


def _in_range(
    call: ApiRequest, own: Iterable[TimeEntry], start: str | None, end: str | None, before: str | None
) -> list[TimeEntry]:
    """Return the live entries of a range; with nothing given, those of the last days."""
    first = after = None
    if start is not None and end is not None:
        first, after = _moment(call, "start_date", start), _moment(call, "end_date", end)
        _check_horizon(call, "start_date", first)
        if after < first:
            raise ErrorResponse(400, "end_date must not be earlier than start_date")
    if before is not None:
        until = _moment(call, "before", before)
        after = until if after is None else min(after, until)
    if first is None:
        days = call.settings.me_entries_horizon_days if after is not None else call.settings.me_entries_default_days
        first = call.world.now() - timedelta(days=days)
    return [
        entry
        for entry in own
        if entry.deleted_at is None and entry.start >= first and (after is None or entry.start < after)
    ]


def _moment(call: ApiRequest, name: str, text: str) -> datetime:
    """Read a day (its first moment, in the zone of who asks) or a time with its offset."""
    zone = timezone.utc
    try:
        if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
            return datetime.fromisoformat(text).replace(tzinfo=zone_of(call.actor.timezone)).astimezone(zone)
        # A plus sign that a client did not escape arrives as a space.
        moment = datetime.fromisoformat(re.sub(r"\.\d+", "", text).replace(" ", "+").replace("Z", "+00:00"))
        if moment.tzinfo is not None:
            return moment.astimezone(zone)
    except (ValueError, OverflowError):
        pass
    raise ErrorResponse(400, f"Invalid {name} format")


def _check_horizon(call: ApiRequest, name: str, moment: datetime) -> None:
    earliest = (call.world.now() - timedelta(days=call.settings.me_entries_horizon_days)).date()
    if moment.date() < earliest:
        raise ErrorResponse(400, f"{name} must not be earlier than {earliest.isoformat()}")


def read_current(call: ApiRequest) -> ApiResponse:
    """Answer the running entry of who asks, or null."""
    entry = call.world.running_entry(call.actor.id)
    if entry is not None:
        return ApiResponse(v9_entry(call.world, entry))
    if call.settings.current_when_idle == "404":
        raise ErrorResponse(404, NOT_FOUND)
    return ApiResponse(None)


def read_time_entry(call: ApiRequest) -> ApiResponse:
    """Answer one time entry of who asks."""
    entry = call.world.time_entries.get(call.path_id("time_entry_id"))
    horizon = call.world.retention_horizon()
    if entry is None or entry.deleted_at is not None or entry.user_id != call.actor.id:
        raise ErrorResponse(404, NOT_FOUND)
    if horizon is not None and entry.start < horizon:
        raise ErrorResponse(404, NOT_FOUND)
    return ApiResponse(v9_entry(call.world, entry, single_read=True, meta=bool(call.truth("meta"))))


def list_projects(call: ApiRequest) -> ApiResponse:
    """Answer the projects of who asks, archived ones if asked for."""
    archived = call.truth("include_archived") or call.text("since") is not None
    rows = _changed(call, call.world.projects.values())
    return ApiResponse([v9_project(call.world, project) for project in rows if archived or project.active])


def page_projects(call: ApiRequest) -> ApiResponse:
    """Answer projects from an id on, a page of them."""
    first = call.whole("start_project_id") or 0
    size = call.whole("per_page") or DEFAULT_PROJECTS_PER_PAGE
    if size < 1:
        raise ErrorResponse(400, "Invalid per_page")
    rows = sorted(_changed(call, call.world.projects.values()), key=lambda project: project.id)
    return ApiResponse([v9_project(call.world, project) for project in rows if project.id >= first][:size])


def list_clients(call: ApiRequest) -> ApiResponse:
    """Answer clients."""
    return ApiResponse([v9_client(call.world, client) for client in _changed(call, call.world.clients.values())])


def list_tags(call: ApiRequest) -> ApiResponse:
    """Answer tags."""
    return ApiResponse([v9_tag(call.world, tag) for tag in _changed(call, call.world.tags.values())])


def list_tasks(call: ApiRequest) -> ApiResponse:
    """Answer tasks, those done if asked for."""
    done = call.truth("include_not_active") or call.text("since") is not None
    rows = [task for task in _changed(call, call.world.tasks.values()) if done or task.active]
    first, size = call.whole("offset") or 0, call.whole("per_page")
    rows = rows[first : None if size is None else first + size]
    return ApiResponse([v9_task(call.world, task, meta=bool(call.truth("meta"))) for task in rows])


def _changed(call: ApiRequest, things: Iterable[Any]) -> list[Any]:
    """Return the things of a list: with ``since`` those changed since then, deleted ones too, else the live ones."""
    since = _since(call)
    if since is None:
        return [thing for thing in things if thing.deleted_at is None]
    return [thing for thing in things if thing.at.replace(microsecond=0) >= since]


def _since(call: ApiRequest) -> datetime | None:
    seconds = call.whole("since", "Since is expected to be an unix timestamp, integer value")
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(seconds, timezone.utc)
    except (ValueError, OverflowError, OSError):
        raise ErrorResponse(400, "Since is expected to be an unix timestamp, integer value") from None


ROUTES = [
    Route("GET", "/api/v9/status", read_status, "none", open_to_all=True),
    Route("GET", "/api/v9/me", read_me, "user"),
    Route("GET", "/api/v9/me/id", read_id, "user"),
    Route("GET", "/api/v9/me/logged", read_logged, "user"),
    Route("GET", "/api/v9/me/quota", read_quota, "user"),
    Route("GET", "/api/v9/me/organizations", list_organizations, "user"),
    Route("GET", "/api/v9/me/workspaces", list_workspaces, "user"),
    # Not in the published definitions, but in the documents, and used by many clients.
    Route("GET", "/api/v9/workspaces", list_workspaces, "user"),
    Route("GET", "/api/v9/me/time_entries", list_time_entries, "user"),
    Route("GET", "/api/v9/me/time_entries/current", read_current, "user"),
    Route("GET", "/api/v9/me/time_entries/{time_entry_id}", read_time_entry, "user"),
    Route("GET", "/api/v9/me/projects", list_projects, "user"),
    Route("GET", "/api/v9/me/projects/paginated", page_projects, "user"),
    Route("GET", "/api/v9/me/clients", list_clients, "user"),
    Route("GET", "/api/v9/me/tags", list_tags, "user"),
    Route("GET", "/api/v9/me/tasks", list_tasks, "user"),
]
