"""Reports v3: lists of users, projects, clients, tasks and memberships, by filter and with an id as cursor."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from airflow_provider_toggl.sandbox.reports_v3.rows import amount_cents, rate_of
from airflow_provider_toggl.sandbox.reports_v3.visibility import visibility_filters
from airflow_provider_toggl.sandbox.rest_v9.serialize import seconds_offset, v9_task
from airflow_provider_toggl.sandbox.routing import ApiRequest, ApiResponse
from airflow_provider_toggl.sandbox.workspace.records import Client, Project, ProjectUser, Task, User
from airflow_provider_toggl.sandbox.workspace.world import ErrorResponse

MOST_USERS = 100
MOST_IDS = 2000

RowT = TypeVar("RowT", User, Project, Client, Task, ProjectUser)


def filter_users(call: ApiRequest) -> ApiResponse:
    """Answer users in their short form."""
    rows = _users(call, _body(call))
    return ApiResponse([{"id": user.id, "name": user.fullname, "deleted_at": _deleted(user)} for user in rows])


def search_users(call: ApiRequest) -> ApiResponse:
    """Answer users in their long form."""
    rows = _users(call, _body(call, needs_one=True))
    return ApiResponse(
        [
            {
                "id": user.id,
                "fullname": user.fullname,
                "email": user.email,
                "active": not user.inactive,
                "deactivated": user.inactive,
                "deleted_at": _deleted(user),
                "avatar": "",
                "workspace_user_id": user.workspace_user_id,
            }
            for user in rows
        ]
    )


def filter_projects(call: ApiRequest) -> ApiResponse:
    """Answer projects."""
    return ApiResponse(_projects(call, _body(call)))


def search_projects(call: ApiRequest) -> ApiResponse:
    """Answer projects; at least one condition must be given."""
    return ApiResponse(_projects(call, _body(call, needs_one=True)))


def filter_clients(call: ApiRequest) -> ApiResponse:
    """Answer clients."""
    return ApiResponse(_clients(call, _body(call)))


def search_clients(call: ApiRequest) -> ApiResponse:
    """Answer clients; at least one condition must be given."""
    return ApiResponse(_clients(call, _body(call, needs_one=True)))


def filter_tasks(call: ApiRequest) -> ApiResponse:
    """Answer tasks."""
    return ApiResponse(_tasks(call, _body(call)))


def search_tasks(call: ApiRequest) -> ApiResponse:
    """Answer tasks; at least one condition must be given."""
    return ApiResponse(_tasks(call, _body(call, needs_one=True)))


def filter_project_users(call: ApiRequest) -> ApiResponse:
    """Answer the members of projects."""
    body = _body(call)
    projects, clients = _ids(body, "project_ids", MOST_IDS), _ids(body, "client_ids", MOST_IDS)
    if projects is None and clients is None:
        raise ErrorResponse(400, "At least one parameter must be set")
    world, paid = call.world, call.settings.plan != "free"
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
            for member in _page(call, body, rows, "start_id")
        ]
    )


def filter_project_groups(call: ApiRequest) -> ApiResponse:
    """Answer the groups of projects: the sandbox has none."""
    body = _body(call)
    if _ids(body, "project_ids", MOST_IDS) is None and _ids(body, "group_ids", MOST_IDS) is None:
        raise ErrorResponse(400, "At least one parameter must be set")
    return ApiResponse([])


def filter_project_status(call: ApiRequest) -> ApiResponse:
    """Answer what was tracked in projects."""
    body = _body(call)
    wanted, active = _ids(body, "ids", MOST_IDS), body.get("active")
    projects = [
        project
        for project in call.world.projects.values()
        if project.deleted_at is None
        and (wanted is None or project.id in wanted)
        and (active is None or project.active is active)
    ]
    return ApiResponse(_status(call, [project.id for project in projects], "project_id"))


def filter_task_status(call: ApiRequest) -> ApiResponse:
    """Answer what was tracked in tasks; not on the free plan."""
    if call.settings.plan == "free":
        raise ErrorResponse(402, "Tasks are a premium feature")
    wanted = _ids(_body(call), "ids", MOST_IDS)
    tasks = [task for task in call.world.tasks.values() if task.deleted_at is None]
    return ApiResponse(_status(call, [task.id for task in tasks if wanted is None or task.id in wanted], "task_id"))


def _users(call: ApiRequest, body: dict[str, Any]) -> list[User]:
    wanted, active = _ids(body, "ids", MOST_USERS), body.get("active", True)
    rows = [
        user
        for user in call.world.users.values()
        if (user.id in wanted if wanted is not None else user.deleted_at is None and user.inactive is not active)
    ]
    return _page(call, body, rows)


def _projects(call: ApiRequest, body: dict[str, Any]) -> list[dict[str, Any]]:
    wanted, clients = _ids(body, "ids", MOST_IDS), _ids(body, "client_ids", MOST_IDS)
    paid, currency = call.settings.plan != "free", call.world.workspace.default_currency
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
    rows = [project for project in call.world.projects.values() if known and all(test(project) for test in tests)]
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
        for project in _page(call, body, rows)
    ]


def _clients(call: ApiRequest, body: dict[str, Any]) -> list[dict[str, Any]]:
    wanted = _ids(body, "ids", MOST_IDS)
    rows: list[Client] = [
        client
        for client in call.world.clients.values()
        if client.deleted_at is None and (wanted is None or client.id in wanted) and _named(client.name, body)
    ]
    return [{"id": client.id, "name": client.name} for client in _page(call, body, rows)]


def _tasks(call: ApiRequest, body: dict[str, Any]) -> list[dict[str, Any]]:
    world = call.world
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
    return [v9_task(world, task) for task in _page(call, body, rows)]


def _status(call: ApiRequest, ids: list[int], column: str) -> list[dict[str, Any]]:
    free = call.settings.plan == "free"
    sums = {id_: [0, 0, 0] for id_ in ids}
    tests = visibility_filters(call)
    for entry in call.entries().values():
        row = sums.get(getattr(entry, column))
        if row is None or entry.deleted_at is not None or entry.duration <= 0:
            continue
        if not all(test(entry) for test in tests):
            continue
        row[0] += entry.duration
        rate = rate_of(call.world, entry)
        row[1] += entry.duration if entry.billable else 0
        row[2] += amount_cents(entry.duration, rate) if rate is not None else 0
    return [
        {
            "id": id_,
            "currency": call.world.workspace.default_currency,
            "billable_amount": None if free else amount,
            "billable_seconds": 0 if free else billable,
            "estimated_seconds": call.world.tasks[id_].estimated_seconds if column == "task_id" else None,
            "tracked_seconds": tracked,
        }
        for id_, (tracked, billable, amount) in sums.items()
    ]


def _body(call: ApiRequest, *, needs_one: bool = False) -> dict[str, Any]:
    body = call.json_object() if call.raw_body else {}
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


def _deleted(user: User) -> str | None:
    return None if user.deleted_at is None else seconds_offset(user.deleted_at)


def _page(call: ApiRequest, body: dict[str, Any], rows: Iterable[RowT], cursor: str = "start") -> list[RowT]:
    """Return the rows from the cursor's id on, that one included, at most a page of them."""
    start, size = body.get(cursor), body.get("page_size")
    for name, value in ((cursor, start), ("page_size", size)):
        if value is not None and type(value) is not int:
            raise ErrorResponse(400, f"Invalid '{name}' value")
    by_id = sorted((row for row in rows if row.id >= (start or 0)), key=lambda row: row.id)
    return by_id[: size if size and size > 0 else call.settings.report_lists_page_size]
