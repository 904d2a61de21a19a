"""The endpoints of the workspace, and the table of all endpoints of v9."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from airflow_provider_toggl.sandbox.rest_v9 import business, me, organizations, rates
from airflow_provider_toggl.sandbox.rest_v9.serialize.entities import (
    v9_client,
    v9_period,
    v9_project,
    v9_project_user,
    v9_tag,
    v9_task,
)
from airflow_provider_toggl.sandbox.rest_v9.serialize.people import (
    v9_group,
    v9_simple_user,
    v9_workspace,
    v9_workspace_user,
)
from airflow_provider_toggl.sandbox.rest_v9.writes import routes as write_routes
from airflow_provider_toggl.sandbox.routing import ApiRequest, ApiResponse, Route
from airflow_provider_toggl.sandbox.workspace.records import Project, Task
from airflow_provider_toggl.sandbox.workspace.world import ErrorResponse, get_live, live

BASE = "/api/v9/workspaces/{workspace_id}"
QUOTA_ENDPOINT = "GET /api/v9/me/quota"
ORGANIZATION_ENDPOINT = "GET /api/v9/organizations/{organization_id}"

DEFAULT_PROJECTS, MOST_PROJECTS = 151, 200
DEFAULT_TASKS = 50
MOST_PROJECT_IDS = 200
MOST_USER_IDS = 150


def read_workspace(request: ApiRequest) -> ApiResponse:
    """Return the workspace."""
    return ApiResponse(v9_workspace(request.world, request.actor))


def list_users(request: ApiRequest) -> ApiResponse:
    """List the users of the workspace in their short form."""
    removed = request.settings.users_list_deleted and not request.boolean("exclude_deleted")
    users = [user for user in request.world.users.values() if removed or user.deleted_at is None]
    return ApiResponse([v9_simple_user(request.world, user) for user in users])


def find_users(request: ApiRequest) -> ApiResponse:
    """Return the users with the given ids."""
    ids = request.json_object().get("user_ids")
    if not isinstance(ids, list) or not ids:
        raise ErrorResponse(400, "user_ids must not be empty")
    if len(ids) > MOST_USER_IDS:
        raise ErrorResponse(400, f"user_ids must not contain more than {MOST_USER_IDS} elements")
    return ApiResponse(
        [v9_simple_user(request.world, request.world.users[id_]) for id_ in ids if id_ in request.world.users]
    )


def list_workspace_users(request: ApiRequest) -> ApiResponse:
    """List the members of the workspace."""
    return ApiResponse([v9_workspace_user(request.world, user) for user in live(request.world.users.values())])


def list_groups(request: ApiRequest) -> ApiResponse:
    """List the groups (deprecated by Toggl)."""
    return ApiResponse([v9_group(request.world, group) for group in live(request.world.groups.values())])


def read_statistics(request: ApiRequest) -> ApiResponse:
    """Return the number of users and groups."""
    users = live(request.world.users.values())
    return ApiResponse(
        {
            "admins": [{"user_id": user.id, "name": user.fullname} for user in users if user.is_admin],
            "groups_count": len(live(request.world.groups.values())),
            "members_count": len(users),
        }
    )


def list_clients(request: ApiRequest) -> ApiResponse:
    """List clients: active ones, archived ones or both, without ``since`` and pages."""
    status = request.text("status") or "active"
    if status not in ("active", "archived", "both"):
        raise ErrorResponse(400, "Client status is invalid")
    wanted = {"active": (False,), "archived": (True,), "both": (False, True)}[status]
    name = (request.text("name") or "").casefold()
    rows = [client for client in live(request.world.clients.values()) if client.archived in wanted]
    return ApiResponse([v9_client(request.world, client) for client in rows if name in client.name.casefold()])


def read_client(request: ApiRequest) -> ApiResponse:
    """Return one client."""
    id_ = request.path_id("client_id")
    client = get_live(request.world.clients, id_, 404, f"No client with ID {id_} was found")
    return ApiResponse(v9_client(request.world, client))


def find_clients(request: ApiRequest) -> ApiResponse:
    """Return the clients with the given ids."""
    ids = request.json_object().get("client_ids")
    if not isinstance(ids, list):
        raise ErrorResponse(400, "client_ids must not be empty")
    rows = [client for client in live(request.world.clients.values()) if client.id in ids]
    return ApiResponse([v9_client(request.world, client) for client in rows])


def list_tags(request: ApiRequest) -> ApiResponse:
    """List tags, all or a page of them."""
    wanted = (request.text("search") or "").casefold()
    rows = [tag for tag in live(request.world.tags.values()) if wanted in tag.name.casefold()]
    rows.sort(key=lambda tag: tag.id)
    page, size = request.integer("page"), request.integer("per_page")
    if page is not None or size is not None:
        largest = request.settings.tags_largest_per_page
        rows = _page(rows, page, min(size or largest, largest))
    return ApiResponse([v9_tag(request.world, tag) for tag in rows])


def list_projects(request: ApiRequest) -> ApiResponse:
    """Return a page of projects."""
    size = request.integer("per_page")
    if size is not None and size > MOST_PROJECTS:
        raise ErrorResponse(400, f"per_page must not exceed {MOST_PROJECTS}")
    size = size or DEFAULT_PROJECTS
    rows = _select_projects(request)
    keys: dict[str, Callable[[Project], Any]] = {
        "name": lambda project: (project.name.casefold(), project.id),
        "created_at": lambda project: (project.created_at, project.id),
    }
    rows.sort(key=keys.get(request.text("sort_field") or "name", keys["name"]), reverse=_is_descending(request))
    page = _page(rows, request.integer("page"), size)
    return ApiResponse([v9_project(request.world, project) for project in page], headers={"x-page-size": str(size)})


def _select_projects(request: ApiRequest) -> list[Project]:
    active = None if request.text("active") in (None, "both") else request.boolean("active")
    name = (request.text("name") or request.text("search") or "").casefold()
    ids, clients, users = request.integers("project_ids"), request.integers("client_ids"), request.integers("user_ids")
    mine = [request.actor.id] if request.boolean("only_me") else users
    members: set[int] = {
        member.project_id for member in live(request.world.project_users.values()) if mine and member.user_id in mine
    }
    billable, statuses = request.boolean("billable"), request.query.get("statuses") or request.query.get("statuses[]")
    tests: list[Callable[[Project], bool]] = [
        lambda project: active is None or project.active is active,
        lambda project: name in project.name.casefold(),
        lambda project: ids is None or project.id in ids,
        lambda project: clients is None or project.client_id in clients,
        lambda project: mine is None or project.id in members,
        lambda project: billable is None or project.billable is billable,
        lambda project: not statuses or _status(project) in ",".join(statuses).split(","),
    ]
    # The sandbox has no templates.
    rows = [] if request.boolean("only_templates") else request.changed(request.world.projects.values())
    return [project for project in rows if all(test(project) for test in tests)]


def _status(project: Project) -> str:
    return "deleted" if project.deleted_at else "active" if project.active else "archived"


def read_project(request: ApiRequest) -> ApiResponse:
    """Return one project."""
    return ApiResponse(v9_project(request.world, _project(request)))


def list_project_periods(request: ApiRequest) -> ApiResponse:
    """List the periods of a project up to the current one; a setting gives only that one, as an object."""
    first, last = request.text("start_date") or "", request.text("end_date") or "9999"
    rows = [
        v9_period(period)
        for period in request.world.periods_of(_project(request))
        if period.end_date.isoformat() >= first and period.start_date.isoformat() <= last
    ]
    return ApiResponse(rows[-1] if rows and request.settings.project_periods_answer == "object" else rows)


def _project(request: ApiRequest) -> Project:
    return get_live(request.world.projects, request.path_id("project_id"), 400, "Invalid project_id")


def list_tasks(request: ApiRequest) -> ApiResponse:
    """Return a page of tasks in an envelope with their number."""
    rows = request.changed(request.world.tasks.values())
    project_id = request.integer("pid")
    start, end = request.text("start_date"), request.text("end_date")
    if start is not None:
        rows = [task for task in rows if task.at.date().isoformat() >= start]
    if end is not None:
        rows = [task for task in rows if task.at.date().isoformat() <= end]
    return _envelope(request, [task for task in rows if project_id is None or task.project_id == project_id], None)


def list_basic_tasks(request: ApiRequest) -> ApiResponse:
    """Return a page of tasks with more filters; by default, only active tasks of the user."""
    projects, clients, ids = (
        request.integers("project_ids"),
        request.integers("client_ids"),
        request.integers("task_ids"),
    )
    one = request.integer("project_id")
    only_me = request.boolean("only_me") is not False
    tests: list[Callable[[Task], bool]] = [
        lambda task: one is None or task.project_id == one,
        lambda task: projects is None or task.project_id in projects,
        lambda task: clients is None or request.world.projects[task.project_id].client_id in clients,
        lambda task: ids is None or task.id in ids,
        lambda task: not only_me or task.user_id in (None, request.actor.id),
    ]
    rows = [task for task in live(request.world.tasks.values()) if all(test(task) for test in tests)]
    return _envelope(request, rows, True)


def _envelope(request: ApiRequest, rows: list[Task], active: bool | None) -> ApiResponse:
    text = request.text("active")
    if text is not None:
        active = None if text == "both" else request.boolean("active")
    wanted = (request.text("search") or "").casefold()
    rows = [row for row in rows if (active is None or row.active is active) and wanted in row.name.casefold()]
    field, size = request.text("sort_field") or "name", request.integer("per_page") or DEFAULT_TASKS
    rows.sort(
        key=lambda task: (task.id,) if field == "created_at" else (task.name, task.id), reverse=_is_descending(request)
    )
    return ApiResponse(
        {
            "total_count": len(rows),
            "per_page": size,
            "page": request.integer("page") or 1,
            "sort_field": field,
            "sort_order": "DESC" if _is_descending(request) else "ASC",
            "data": [v9_task(request.world, task, meta=True) for task in _page(rows, request.integer("page"), size)],
        }
    )


def list_project_tasks(request: ApiRequest) -> ApiResponse:
    """List the tasks of a project, as an array."""
    project = _project(request)
    only_active = request.boolean("active")
    rows = [task for task in live(request.world.tasks.values()) if task.project_id == project.id]
    return ApiResponse([v9_task(request.world, task) for task in rows if task.active or not only_active])


def list_project_users(request: ApiRequest) -> ApiResponse:
    """List the members of projects."""
    ids, user_id = request.integers("project_ids"), request.integer("user_id")
    if ids is not None and len(ids) > MOST_PROJECT_IDS:
        raise ErrorResponse(400, f"project_ids cannot exceed {MOST_PROJECT_IDS} elements.")
    rows = [
        member
        for member in live(request.world.project_users.values())
        if (ids is None or member.project_id in ids) and (user_id is None or member.user_id == user_id)
    ]
    return ApiResponse([v9_project_user(request.world, member) for member in rows])


def _is_descending(request: ApiRequest) -> bool:
    return (request.text("sort_order") or "ASC").upper() == "DESC"


def _page(rows: list[Any], page: int | None, size: int) -> list[Any]:
    number = 1 if page is None else page
    if number < 1 or size < 1:
        raise ErrorResponse(400, "page parameter must contain values > 0.")
    return rows[(number - 1) * size : number * size]


ROUTES = [
    *me.ROUTES,
    *organizations.ROUTES,
    *rates.ROUTES,
    Route("GET", BASE, read_workspace, "organization"),
    Route("GET", f"{BASE}/users", list_users, "organization"),
    Route("POST", f"{BASE}/users/data", find_users, "organization"),
    Route("GET", f"{BASE}/workspace_users", list_workspace_users, "organization"),
    Route("GET", f"{BASE}/groups", list_groups, "organization"),
    Route("GET", f"{BASE}/statistics", read_statistics, "organization"),
    Route("GET", f"{BASE}/clients", list_clients, "organization"),
    Route("GET", f"{BASE}/clients/{{client_id}}", read_client, "organization"),
    Route("POST", f"{BASE}/clients/data", find_clients, "organization"),
    Route("GET", f"{BASE}/tags", list_tags, "organization"),
    Route("GET", f"{BASE}/projects", list_projects, "organization"),
    Route("GET", f"{BASE}/projects/{{project_id}}", read_project, "organization"),
    Route("GET", f"{BASE}/projects/{{project_id}}/tasks", list_project_tasks, "organization"),
    Route("GET", f"{BASE}/projects/{{project_id}}/periods", list_project_periods, "organization"),
    Route("GET", f"{BASE}/tasks", list_tasks, "organization"),
    Route("GET", f"{BASE}/tasks/basic", list_basic_tasks, "organization"),
    Route("GET", f"{BASE}/project_users", list_project_users, "organization"),
    *business.ROUTES,
    *write_routes.ROUTES,
]
