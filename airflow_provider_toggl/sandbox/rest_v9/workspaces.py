"""REST v9, what belongs to the workspace and its organization: the lists, and the table of all v9 endpoints."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timezone
from typing import Any

from airflow_provider_toggl.sandbox.rest_v9 import me, organizations, write_routes
from airflow_provider_toggl.sandbox.rest_v9.serialize import (
    v9_client,
    v9_group,
    v9_project,
    v9_project_user,
    v9_simple_user,
    v9_tag,
    v9_task,
    v9_workspace,
    v9_workspace_user,
)
from airflow_provider_toggl.sandbox.routing import ApiRequest, ApiResponse, Route
from airflow_provider_toggl.sandbox.workspace.records import Project, Task
from airflow_provider_toggl.sandbox.workspace.world import ErrorResponse

BASE = "/api/v9/workspaces/{workspace_id}"
QUOTA_ENDPOINT = "GET /api/v9/me/quota"
ORGANIZATION_ENDPOINT = "GET /api/v9/organizations/{organization_id}"

DEFAULT_PROJECTS, MOST_PROJECTS = 151, 200
DEFAULT_TASKS = 50
MOST_PROJECT_IDS = 200
MOST_USER_IDS = 150


def read_workspace(call: ApiRequest) -> ApiResponse:
    """Answer the workspace."""
    return ApiResponse(v9_workspace(call.world, call.actor))


def list_users(call: ApiRequest) -> ApiResponse:
    """Answer the people of the workspace in their short form."""
    gone = call.settings.users_list_deleted and not call.truth("exclude_deleted")
    users = [user for user in call.world.users.values() if gone or user.deleted_at is None]
    return ApiResponse([v9_simple_user(call.world, user) for user in users])


def find_users(call: ApiRequest) -> ApiResponse:
    """Answer the people with these ids."""
    ids = call.json_object().get("user_ids")
    if not isinstance(ids, list) or not ids:
        raise ErrorResponse(400, "user_ids must not be empty")
    if len(ids) > MOST_USER_IDS:
        raise ErrorResponse(400, f"user_ids must not contain more than {MOST_USER_IDS} elements")
    return ApiResponse([v9_simple_user(call.world, call.world.users[id_]) for id_ in ids if id_ in call.world.users])


def list_workspace_users(call: ApiRequest) -> ApiResponse:
    """Answer the memberships of the workspace."""
    return ApiResponse([v9_workspace_user(call.world, user) for user in _live(call.world.users.values())])


def list_groups(call: ApiRequest) -> ApiResponse:
    """Answer the groups as the deprecated endpoint does."""
    return ApiResponse([v9_group(call.world, group) for group in _live(call.world.groups.values())])


def read_statistics(call: ApiRequest) -> ApiResponse:
    """Answer how many people and groups there are."""
    users = _live(call.world.users.values())
    return ApiResponse(
        {
            "admins": [{"user_id": user.id, "name": user.fullname} for user in users if user.is_admin],
            "groups_count": len(_live(call.world.groups.values())),
            "members_count": len(users),
        }
    )


def list_clients(call: ApiRequest) -> ApiResponse:
    """Answer clients: active ones, archived ones or both. There is no ``since`` and there are no pages."""
    status = call.text("status") or "active"
    if status not in ("active", "archived", "both"):
        raise ErrorResponse(400, "Client status is invalid")
    wanted = {"active": (False,), "archived": (True,), "both": (False, True)}[status]
    name = (call.text("name") or "").casefold()
    rows = [client for client in _live(call.world.clients.values()) if client.archived in wanted]
    return ApiResponse([v9_client(call.world, client) for client in rows if name in client.name.casefold()])


def read_client(call: ApiRequest) -> ApiResponse:
    """Answer one client."""
    id_ = call.path_id("client_id")
    client = call.world.clients.get(id_)
    if client is None or client.deleted_at is not None:
        raise ErrorResponse(404, f"No client with ID {id_} was found")
    return ApiResponse(v9_client(call.world, client))


def find_clients(call: ApiRequest) -> ApiResponse:
    """Answer the clients with these ids."""
    ids = call.json_object().get("client_ids")
    if not isinstance(ids, list):
        raise ErrorResponse(400, "client_ids must not be empty")
    rows = [client for client in _live(call.world.clients.values()) if client.id in ids]
    return ApiResponse([v9_client(call.world, client) for client in rows])


def list_tags(call: ApiRequest) -> ApiResponse:
    """Answer tags, all or a page of them."""
    wanted = (call.text("search") or "").casefold()
    rows = [tag for tag in _live(call.world.tags.values()) if wanted in tag.name.casefold()]
    rows.sort(key=lambda tag: tag.id)
    page, size = call.whole("page"), call.whole("per_page")
    if page is not None or size is not None:
        largest = call.settings.tags_largest_per_page
        rows = _page(rows, page, min(size or largest, largest))
    return ApiResponse([v9_tag(call.world, tag) for tag in rows])


def list_projects(call: ApiRequest) -> ApiResponse:
    """Answer one page of projects."""
    size = call.whole("per_page")
    if size is not None and size > MOST_PROJECTS:
        raise ErrorResponse(400, f"per_page must not exceed {MOST_PROJECTS}")
    size = size or DEFAULT_PROJECTS
    rows = _select_projects(call)
    keys: dict[str, Callable[[Project], Any]] = {
        "name": lambda project: (project.name.casefold(), project.id),
        "created_at": lambda project: (project.created_at, project.id),
    }
    rows.sort(key=keys.get(call.text("sort_field") or "name", keys["name"]), reverse=_descends(call))
    page = _page(rows, call.whole("page"), size)
    return ApiResponse([v9_project(call.world, project) for project in page], headers={"x-page-size": str(size)})


def _select_projects(call: ApiRequest) -> list[Project]:
    active = None if call.text("active") in (None, "both") else call.truth("active")
    name = (call.text("name") or call.text("search") or "").casefold()
    ids, clients, users = call.wholes("project_ids"), call.wholes("client_ids"), call.wholes("user_ids")
    mine = [call.actor.id] if call.truth("only_me") else users
    members: set[int] = {
        member.project_id for member in _live(call.world.project_users.values()) if mine and member.user_id in mine
    }
    billable, statuses = call.truth("billable"), call.query.get("statuses") or call.query.get("statuses[]")
    tests: list[Callable[[Project], bool]] = [
        lambda project: active is None or project.active is active,
        lambda project: name in project.name.casefold(),
        lambda project: ids is None or project.id in ids,
        lambda project: clients is None or project.client_id in clients,
        lambda project: mine is None or project.id in members,
        lambda project: billable is None or project.billable is billable,
        lambda project: not statuses or _status(project) in ",".join(statuses).split(","),
    ]
    # No project of the sandbox is a template.
    rows = [] if call.truth("only_templates") else _changed(call, call.world.projects.values())
    return [project for project in rows if all(test(project) for test in tests)]


def _status(project: Project) -> str:
    return "deleted" if project.deleted_at else "active" if project.active else "archived"


def read_project(call: ApiRequest) -> ApiResponse:
    """Answer one project."""
    return ApiResponse(v9_project(call.world, _project(call)))


def _project(call: ApiRequest) -> Project:
    project = call.world.projects.get(call.path_id("project_id"))
    if project is None or project.deleted_at is not None:
        raise ErrorResponse(400, "Invalid project_id")
    return project


def list_tasks(call: ApiRequest) -> ApiResponse:
    """Answer one page of tasks, in an envelope that knows how many there are."""
    rows = _changed(call, call.world.tasks.values())
    project_id = call.whole("pid")
    start, end = call.text("start_date"), call.text("end_date")
    if start is not None:
        rows = [task for task in rows if task.at.date().isoformat() >= start]
    if end is not None:
        rows = [task for task in rows if task.at.date().isoformat() <= end]
    return _envelope(call, [task for task in rows if project_id is None or task.project_id == project_id], None)


def list_basic_tasks(call: ApiRequest) -> ApiResponse:
    """Answer one page of tasks by more filters, only active ones of who asks unless told otherwise."""
    projects, clients, ids = call.wholes("project_ids"), call.wholes("client_ids"), call.wholes("task_ids")
    one = call.whole("project_id")
    only_me = call.truth("only_me") is not False
    tests: list[Callable[[Task], bool]] = [
        lambda task: one is None or task.project_id == one,
        lambda task: projects is None or task.project_id in projects,
        lambda task: clients is None or call.world.projects[task.project_id].client_id in clients,
        lambda task: ids is None or task.id in ids,
        lambda task: not only_me or task.user_id in (None, call.actor.id),
    ]
    rows = [task for task in _live(call.world.tasks.values()) if all(test(task) for test in tests)]
    return _envelope(call, rows, True)


def _envelope(call: ApiRequest, rows: list[Task], active: bool | None) -> ApiResponse:
    text = call.text("active")
    if text is not None:
        active = None if text == "both" else call.truth("active")
    wanted = (call.text("search") or "").casefold()
    rows = [row for row in rows if (active is None or row.active is active) and wanted in row.name.casefold()]
    field, size = call.text("sort_field") or "name", call.whole("per_page") or DEFAULT_TASKS
    rows.sort(key=lambda task: (task.id,) if field == "created_at" else (task.name, task.id), reverse=_descends(call))
    return ApiResponse(
        {
            "total_count": len(rows),
            "per_page": size,
            "page": call.whole("page") or 1,
            "sort_field": field,
            "sort_order": "DESC" if _descends(call) else "ASC",
            "data": [v9_task(call.world, task, meta=True) for task in _page(rows, call.whole("page"), size)],
        }
    )


def list_project_tasks(call: ApiRequest) -> ApiResponse:
    """Answer the tasks of one project, as a bare array."""
    project = _project(call)
    only_active = call.truth("active")
    rows = [task for task in _live(call.world.tasks.values()) if task.project_id == project.id]
    return ApiResponse([v9_task(call.world, task) for task in rows if task.active or not only_active])


def list_project_users(call: ApiRequest) -> ApiResponse:
    """Answer the members of projects."""
    ids, user_id = call.wholes("project_ids"), call.whole("user_id")
    if ids is not None and len(ids) > MOST_PROJECT_IDS:
        raise ErrorResponse(400, f"project_ids cannot exceed {MOST_PROJECT_IDS} elements.")
    rows = [
        member
        for member in _live(call.world.project_users.values())
        if (ids is None or member.project_id in ids) and (user_id is None or member.user_id == user_id)
    ]
    return ApiResponse([v9_project_user(call.world, member) for member in rows])


def _live(things: Iterable[Any]) -> list[Any]:
    return [thing for thing in things if thing.deleted_at is None]


def _changed(call: ApiRequest, things: Iterable[Any]) -> list[Any]:
    """Return live things, or with ``since`` those changed since then, deleted ones too."""
    since = call.whole("since", "Since is expected to be an unix timestamp, integer value")
    if since is None:
        return _live(things)
    first = datetime.fromtimestamp(min(max(since, 0), 253_402_300_799), timezone.utc)
    return [thing for thing in things if thing.at.replace(microsecond=0) >= first]


def _descends(call: ApiRequest) -> bool:
    return (call.text("sort_order") or "ASC").upper() == "DESC"


def _page(rows: list[Any], page: int | None, size: int) -> list[Any]:
    number = 1 if page is None else page
    if number < 1 or size < 1:
        raise ErrorResponse(400, "page parameter must contain values > 0.")
    return rows[(number - 1) * size : number * size]


ROUTES = [
    *me.ROUTES,
    *organizations.ROUTES,
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
    Route("GET", f"{BASE}/tasks", list_tasks, "organization"),
    Route("GET", f"{BASE}/tasks/basic", list_basic_tasks, "organization"),
    Route("GET", f"{BASE}/project_users", list_project_users, "organization"),
    *write_routes.ROUTES,
]
