"""The lists of Reports v3: users, projects, clients, tasks and members, paged by an id."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from airflow_provider_toggl.sandbox.formats import seconds_or_none
from airflow_provider_toggl.sandbox.reports_v3.query import visibility_filters
from airflow_provider_toggl.sandbox.rest_v9.serialize.entities import v9_task
from airflow_provider_toggl.sandbox.routing import ApiRequest, ApiResponse, Handler
from airflow_provider_toggl.sandbox.workspace.records import Client, Project, ProjectUser, Task, User
from airflow_provider_toggl.sandbox.workspace.world import ErrorResponse, amount_cents

MOST_USERS = 100
MOST_IDS = 2000

RowT = TypeVar("RowT", User, Project, Client, Task, ProjectUser)


ListRows = Callable[[ApiRequest, dict[str, Any]], list[dict[str, Any]]]


def list_endpoint(rows: ListRows, *, needs_one: bool = False) -> Handler:
    """Return the endpoint of a list.

    :param needs_one: whether a request without any condition is refused.
    """
    return lambda request: ApiResponse(rows(request, _body(request, needs_one=needs_one)))


def filter_project_users(request: ApiRequest) -> ApiResponse:
    """List the members of projects."""
    body = _body(request)
    projects, clients = _ids(body, "project_ids", MOST_IDS), _ids(body, "client_ids", MOST_IDS)
    if projects is None and clients is None:
        raise ErrorResponse(400, "At least one parameter must be set")
    world, paid = request.world, request.settings.plan != "free"
    rows = [
        member
        for member in world.project_users.values()
        if member.deleted_at is None
        and (projects is None or member.project_id in projects)
        and (clients is None or world.projects[member.project_id].client_id in clients)
    ]
    return ApiResponse(
        [
            {
                "id": member.id,
                "project_id": member.project_id,
                "user_id": member.user_id,
                "group_id": None,
                "hourly_rate": member.rate_cents if paid else None,
                "labour_cost": None,
            }
            for member in _page(request, body, rows, "start_id")
        ]
    )


def filter_project_groups(request: ApiRequest) -> ApiResponse:
    """List the groups of projects: the sandbox has none."""
    body = _body(request)
    if _ids(body, "project_ids", MOST_IDS) is None and _ids(body, "group_ids", MOST_IDS) is None:
        raise ErrorResponse(400, "At least one parameter must be set")
    return ApiResponse([])


def filter_project_status(request: ApiRequest) -> ApiResponse:
    """Return the tracked time of projects."""
    body = _body(request)
    wanted, active = _ids(body, "ids", MOST_IDS), body.get("active")
    projects = [
        project
        for project in request.world.projects.values()
        if project.deleted_at is None
        and (wanted is None or project.id in wanted)
        and (active is None or project.active is active)
    ]
    return ApiResponse(_status(request, [project.id for project in projects], "project_id"))


def filter_task_status(request: ApiRequest) -> ApiResponse:
    """Return the tracked time of tasks; not on the free plan."""
    if request.settings.plan == "free":
        raise ErrorResponse(402, "Tasks are a premium feature")
    wanted = _ids(_body(request), "ids", MOST_IDS)
    tasks = [task for task in request.world.tasks.values() if task.deleted_at is None]
    return ApiResponse(_status(request, [task.id for task in tasks if wanted is None or task.id in wanted], "task_id"))


def _users(request: ApiRequest, body: dict[str, Any]) -> list[User]:
    wanted, active = _ids(body, "ids", MOST_USERS), body.get("active", True)
    rows = [
        user
        for user in request.world.users.values()
        if (user.id in wanted if wanted is not None else user.deleted_at is None and user.inactive is not active)
    ]
    return _page(request, body, rows)


def _short_users(request: ApiRequest, body: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"id": user.id, "name": user.fullname, "deleted_at": seconds_or_none(user.deleted_at)}
        for user in _users(request, body)
    ]


def _long_users(request: ApiRequest, body: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "id": user.id,
            "fullname": user.fullname,
            "email": user.email,
            "active": not user.inactive,
            "deactivated": user.inactive,
            "deleted_at": seconds_or_none(user.deleted_at),
            "avatar": "",
            "workspace_user_id": user.workspace_user_id,
        }
        for user in _users(request, body)
    ]


def _projects(request: ApiRequest, body: dict[str, Any]) -> list[dict[str, Any]]:
    wanted, clients = _ids(body, "ids", MOST_IDS), _ids(body, "client_ids", MOST_IDS)
    paid, currency = request.settings.plan != "free", request.world.workspace.default_currency
    tests: list[Callable[[Project], bool]] = [
        lambda project: project.deleted_at is None,
        lambda project: wanted is None or project.id in wanted,
        lambda project: clients is None or project.client_id in clients,
        lambda project: _named(project.name, body),
        lambda project: body.get("is_active") in (None, project.active),
        lambda project: body.get("is_private") in (None, project.is_private),
        lambda project: body.get("is_billable") in (None, project.billable),
    ]
    known = body.get("currency") in (None, currency)
    rows = [project for project in request.world.projects.values() if known and all(test(project) for test in tests)]
    return [
        {
            "id": project.id,
            "name": project.name,
            "color": project.color,
            "active": project.active,
            "client_id": project.client_id,
            "billable": project.billable if paid else None,
            "currency": currency if paid else None,
        }
        for project in _page(request, body, rows)
    ]


def _clients(request: ApiRequest, body: dict[str, Any]) -> list[dict[str, Any]]:
    wanted = _ids(body, "ids", MOST_IDS)
    rows: list[Client] = [
        client
        for client in request.world.clients.values()
        if client.deleted_at is None and (wanted is None or client.id in wanted) and _named(client.name, body)
    ]
    return [{"id": client.id, "name": client.name} for client in _page(request, body, rows)]


def _tasks(request: ApiRequest, body: dict[str, Any]) -> list[dict[str, Any]]:
    world = request.world
    wanted, projects, users = (_ids(body, name, MOST_IDS) for name in ("ids", "project_ids", "user_ids"))
    tests: list[Callable[[Task], bool]] = [
        lambda task: task.deleted_at is None,
        lambda task: wanted is None or task.id in wanted,
        lambda task: projects is None or task.project_id in projects,
        lambda task: users is None or task.user_id in users,
        lambda task: _named(task.name, body),
        lambda task: body.get("active") in (None, task.active),
        lambda task: body.get("project_active") in (None, world.projects[task.project_id].active),
    ]
    rows = [task for task in world.tasks.values() if all(test(task) for test in tests)]
    return [v9_task(world, task) for task in _page(request, body, rows)]


def _status(request: ApiRequest, ids: list[int], column: str) -> list[dict[str, Any]]:
    free = request.settings.plan == "free"
    sums = {id_: [0, 0, 0] for id_ in ids}
    filters = visibility_filters(request)
    for entry in request.entries().values():
        row = sums.get(getattr(entry, column))
        if row is None or entry.deleted_at is not None or entry.duration <= 0:
            continue
        if not all(matches(entry) for matches in filters):
            continue
        row[0] += entry.duration
        rate = request.world.rate_of(entry)
        row[1] += entry.duration if entry.billable else 0
        row[2] += amount_cents(entry.duration, rate) if rate is not None else 0
    return [
        {
            "id": id_,
            "currency": request.world.workspace.default_currency,
            "billable_amount": None if free else amount,
            "billable_seconds": 0 if free else billable,
            "estimated_seconds": request.world.tasks[id_].estimated_seconds if column == "task_id" else None,
            "tracked_seconds": tracked,
        }
        for id_, (tracked, billable, amount) in sums.items()
    ]


def _body(request: ApiRequest, *, needs_one: bool = False) -> dict[str, Any]:
    body = request.json_object() if request.raw_body else {}
    if needs_one and not any(value is not None for value in body.values()):
        raise ErrorResponse(400, "At least one parameter must be set")
    return body


def _ids(body: dict[str, Any], name: str, most: int) -> set[int | None] | None:
    value = body.get(name)
    if value is None or value == []:
        return None
    if not isinstance(value, list) or not all(one is None or type(one) is int for one in value):
        raise ErrorResponse(400, f"Invalid '{name}' value")
    if len(value) > most:
        raise ErrorResponse(400, f"Maximum count of posted IDs is {most}")
    return set(value)


def _named(name: str, body: dict[str, Any]) -> bool:
    wanted = body.get("name")
    return not isinstance(wanted, str) or wanted.casefold() in name.casefold()


def _page(request: ApiRequest, body: dict[str, Any], rows: Iterable[RowT], cursor: str = "start") -> list[RowT]:
    """Return a page of rows, starting with the id of the cursor."""
    start, size = body.get(cursor), body.get("page_size")
    for name, value in ((cursor, start), ("page_size", size)):
        if value is not None and type(value) is not int:
            raise ErrorResponse(400, f"Invalid '{name}' value")
    by_id = sorted((row for row in rows if row.id >= (start or 0)), key=lambda row: row.id)
    return by_id[: size if size and size > 0 else request.settings.report_lists_page_size]


#: The lists by the end of their path: the short ones, and those that need a condition.
FILTERS: dict[str, ListRows] = {
    "users": _short_users, "projects": _projects, "clients": _clients, "tasks": _tasks,
}  # fmt: skip
SEARCHES: dict[str, ListRows] = {**FILTERS, "users": _long_users}
