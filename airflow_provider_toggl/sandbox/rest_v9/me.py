"""The endpoints of the token's owner: /me and the lists below it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone

from airflow_provider_toggl.sandbox.formats import zone_of
from airflow_provider_toggl.sandbox.rest_v9.serialize.entities import v9_client, v9_entry, v9_project, v9_tag, v9_task
from airflow_provider_toggl.sandbox.rest_v9.serialize.people import v9_me, v9_organization, v9_workspace
from airflow_provider_toggl.sandbox.routing import NO_BODY, ApiRequest, ApiResponse, Route
from airflow_provider_toggl.sandbox.workspace.records import TimeEntry
from airflow_provider_toggl.sandbox.workspace.world import ErrorResponse

#: Toggl returns no more time entries than this, without any sign that there are more.
MOST_ENTRIES = 1000
DEFAULT_PROJECTS_PER_PAGE = 201
NOT_FOUND = "Resource can not be found"


def read_status(request: ApiRequest) -> ApiResponse:  # noqa: ARG001 - endpoints all take a request
    """Return that the service is up."""
    return ApiResponse("OK")


def read_me(request: ApiRequest) -> ApiResponse:
    """Return the user."""
    return ApiResponse(
        v9_me(request.world, request.actor, with_related_data=bool(request.boolean("with_related_data")))
    )


def read_id(request: ApiRequest) -> ApiResponse:
    """Return the id of the user."""
    return ApiResponse(request.actor.id)


def read_logged(request: ApiRequest) -> ApiResponse:  # noqa: ARG001 - endpoints all take a request
    """Return an empty answer, which confirms the credentials."""
    return ApiResponse(NO_BODY)


def read_quota(request: ApiRequest) -> ApiResponse:
    """Return the state of each quota; Toggl counts this request too."""
    return ApiResponse(request.quota_rows())


def list_organizations(request: ApiRequest) -> ApiResponse:
    """List the organizations of the user."""
    return ApiResponse([v9_organization(request.world, request.actor)])


def list_workspaces(request: ApiRequest) -> ApiResponse:
    """List the workspaces of the user."""
    since = request.since()
    moved = request.world.workspace.at
    return ApiResponse(
        [v9_workspace(request.world, request.actor, listed=True)] if since is None or moved >= since else []
    )


def list_time_entries(request: ApiRequest) -> ApiResponse:
    """List the user's time entries: those changed since a time, deleted ones included, or those of a range."""
    since, before = request.since(), request.text("before")
    start, end = request.text("start_date"), request.text("end_date")
    if since is not None and before is not None:
        raise ErrorResponse(400, "'since' and 'before' can not be present simultaneously")
    if (start is None) != (end is None):
        raise ErrorResponse(400, "'start_date' and 'end_date' must be present simultaneously")
    own = [entry for entry in request.world.time_entries.values() if entry.user_id == request.actor.id]
    horizon = request.world.retention_horizon()
    if horizon is not None:
        own = [entry for entry in own if entry.start >= horizon]
    if since is not None:
        _check_horizon(request, "since", since)
        found = [entry for entry in own if entry.at.replace(microsecond=0) >= since]
    else:
        found = _in_range(request, own, start, end, before)
    found.sort(key=lambda entry: (entry.start, entry.id), reverse=True)
    meta = bool(request.boolean("meta"))
    return ApiResponse([v9_entry(request.world, entry, meta=meta) for entry in found[:MOST_ENTRIES]])


def _in_range(
    request: ApiRequest, own: Iterable[TimeEntry], start: str | None, end: str | None, before: str | None
) -> list[TimeEntry]:
    """Return the time entries of a range that are not deleted; without parameters, those of the last days."""
    first = after = None
    if start is not None and end is not None:
        first, after = _moment(request, "start_date", start), _moment(request, "end_date", end)
        _check_horizon(request, "start_date", first)
        if after < first:
            raise ErrorResponse(400, "end_date must not be earlier than start_date")
    if before is not None:
        until = _moment(request, "before", before)
        after = until if after is None else min(after, until)
    if first is None:
        days = (
            request.settings.me_entries_horizon_days if after is not None else request.settings.me_entries_default_days
        )
        first = request.world.now() - timedelta(days=days)
    return [
        entry
        for entry in own
        if entry.deleted_at is None and entry.start >= first and (after is None or entry.start < after)
    ]


def _moment(request: ApiRequest, name: str, text: str) -> datetime:
    """Parse a time with its offset, or a day, which starts at midnight in the user's time zone."""
    zone = timezone.utc
    try:
        if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
            return datetime.fromisoformat(text).replace(tzinfo=zone_of(request.actor.timezone)).astimezone(zone)
        # An unescaped plus sign arrives as a space.
        moment = datetime.fromisoformat(re.sub(r"\.\d+", "", text).replace(" ", "+").replace("Z", "+00:00"))
        if moment.tzinfo is not None:
            return moment.astimezone(zone)
    except (ValueError, OverflowError):
        pass
    raise ErrorResponse(400, f"Invalid {name} format")


def _check_horizon(request: ApiRequest, name: str, moment: datetime) -> None:
    earliest = (request.world.now() - timedelta(days=request.settings.me_entries_horizon_days)).date()
    if moment.date() < earliest:
        raise ErrorResponse(400, f"{name} must not be earlier than {earliest.isoformat()}")


def read_current(request: ApiRequest) -> ApiResponse:
    """Return the running time entry of the user, or null."""
    entry = request.world.running_entry(request.actor.id)
    if entry is not None:
        return ApiResponse(v9_entry(request.world, entry))
    if request.settings.current_when_idle == "404":
        raise ErrorResponse(404, NOT_FOUND)
    return ApiResponse(None)


def read_time_entry(request: ApiRequest) -> ApiResponse:
    """Return one time entry of the user."""
    entry = request.world.time_entries.get(request.path_id("time_entry_id"))
    horizon = request.world.retention_horizon()
    if entry is None or entry.deleted_at is not None or entry.user_id != request.actor.id:
        raise ErrorResponse(404, NOT_FOUND)
    if horizon is not None and entry.start < horizon:
        raise ErrorResponse(404, NOT_FOUND)
    return ApiResponse(v9_entry(request.world, entry, single_read=True, meta=bool(request.boolean("meta"))))


def list_projects(request: ApiRequest) -> ApiResponse:
    """List projects; archived ones on request."""
    archived = request.boolean("include_archived") or request.text("since") is not None
    rows = request.changed(request.world.projects.values())
    return ApiResponse([v9_project(request.world, project) for project in rows if archived or project.active])


def page_projects(request: ApiRequest) -> ApiResponse:
    """Return a page of projects, from an id on."""
    first = request.integer("start_project_id") or 0
    size = request.integer("per_page") or DEFAULT_PROJECTS_PER_PAGE
    if size < 1:
        raise ErrorResponse(400, "Invalid per_page")
    rows = sorted(request.changed(request.world.projects.values()), key=lambda project: project.id)
    return ApiResponse([v9_project(request.world, project) for project in rows if project.id >= first][:size])


def list_clients(request: ApiRequest) -> ApiResponse:
    """Answer clients."""
    return ApiResponse([v9_client(request.world, client) for client in request.changed(request.world.clients.values())])


def list_tags(request: ApiRequest) -> ApiResponse:
    """List tags."""
    return ApiResponse([v9_tag(request.world, tag) for tag in request.changed(request.world.tags.values())])


def list_tasks(request: ApiRequest) -> ApiResponse:
    """List tasks; done ones on request."""
    done = request.boolean("include_not_active") or request.text("since") is not None
    rows = [task for task in request.changed(request.world.tasks.values()) if done or task.active]
    first, size = request.integer("offset") or 0, request.integer("per_page")
    rows = rows[first : None if size is None else first + size]
    return ApiResponse([v9_task(request.world, task, meta=bool(request.boolean("meta"))) for task in rows])


ROUTES = [
    Route("GET", "/api/v9/status", read_status, "none", public=True),
    Route("GET", "/api/v9/me", read_me, "user"),
    Route("GET", "/api/v9/me/id", read_id, "user"),
    Route("GET", "/api/v9/me/logged", read_logged, "user"),
    Route("GET", "/api/v9/me/quota", read_quota, "user"),
    Route("GET", "/api/v9/me/organizations", list_organizations, "user"),
    Route("GET", "/api/v9/me/workspaces", list_workspaces, "user"),
    # In the documentation and used by many clients, but not in the published definitions.
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
