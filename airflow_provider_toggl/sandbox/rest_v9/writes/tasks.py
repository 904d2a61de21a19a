"""What REST writes do to tasks."""

from __future__ import annotations

from typing import Any

from airflow_provider_toggl.sandbox.rest_v9.writes.request import Payload, Request, flag_of, has, int_of, text_of
from airflow_provider_toggl.sandbox.workspace.records import Task, User
from airflow_provider_toggl.sandbox.workspace.world import ErrorResponse, World

NO_PROJECT = "Project not found/accessible, Can not change tasks of archived project"


def create_task(
    world: World, actor: User, project_id: int, payload: Payload, *, request: Request | None = None
) -> Task:
    """Create a task of a project.

    :raises Refused: 402 on the free plan (a switch), 400 when the project is not there or archived, or the name is
        empty or taken.
    """
    if world.settings.plan == "free" and world.settings.tasks_need_paid_plan:
        raise ErrorResponse(402, "Tasks are a premium feature")
    project = world.projects.get(project_id)
    if project is None or project.deleted_at is not None or not project.active:
        raise ErrorResponse(400, NO_PROJECT)
    task = Task(
        id=world.next_id("task"),
        workspace_id=world.workspace.id,
        project_id=project_id,
        name=_free_name(world, project_id, payload, None),
        at=world.now(),
        user_id=_user_id(world, payload),
        active=flag_of(payload, "active", True),
        estimated_seconds=int_of(payload, "estimated_seconds"),
    )
    return world.store(task, actor, request)


def update_task(world: World, actor: User, task_id: int, payload: Payload, *, request: Request | None = None) -> Task:
    """Change the fields that the payload has; ``active`` false marks the task as done.

    :raises Refused: 400 when its project is archived or the name is empty or taken, 404 when there is no such task.
    """
    task = _get(world, task_id)
    if not world.projects[task.project_id].active:
        raise ErrorResponse(400, NO_PROJECT)
    fields: dict[str, Any] = {}
    if has(payload, "name"):
        fields["name"] = _free_name(world, task.project_id, payload, task)
    if has(payload, "active"):
        fields["active"] = flag_of(payload, "active", True)
    if has(payload, "estimated_seconds"):
        fields["estimated_seconds"] = int_of(payload, "estimated_seconds")
    if has(payload, "user_id"):
        fields["user_id"] = _user_id(world, payload)
    return world.change(task, fields, actor, request)


def delete_task(world: World, actor: User, task_id: int, *, request: Request | None = None) -> list[int]:
    """Delete a task; its entries have none then, and their ``at`` moves unless that is switched off.

    :returns: the ids of the entries that had it.
    :raises Refused: 404 when there is no such task.
    """
    task = _get(world, task_id)
    had = [entry for entry in world.time_entries.values() if entry.task_id == task_id and entry.deleted_at is None]
    for entry in had:
        world.change(entry, {"task_id": None}, actor, request, moves_at=world.settings.task_deletion_moves_at)
    world.mark_deleted(task, actor, request)
    return [entry.id for entry in had]


def _get(world: World, task_id: int) -> Task:
    task = world.tasks.get(task_id)
    if task is None or task.deleted_at is not None:
        raise ErrorResponse(404, "Task not found")
    return task


def _user_id(world: World, payload: Payload) -> int | None:
    user_id = int_of(payload, "user_id")
    if user_id is None:
        return None
    user = world.users.get(user_id)
    if user is None or user.deleted_at is not None:
        raise ErrorResponse(400, "Invalid user_id")
    return user_id


def _free_name(world: World, project_id: int, payload: Payload, task: Task | None) -> str:
    name = (text_of(payload, "name") or "").strip()
    if not name:
        raise ErrorResponse(400, "Task name must be present")
    for other in world.tasks.values():
        if (other.name, other.project_id) == (name, project_id) and other is not task and other.deleted_at is None:
            raise ErrorResponse(400, "Name has already been taken")
    return name
