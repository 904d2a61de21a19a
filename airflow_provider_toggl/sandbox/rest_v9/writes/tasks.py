"""Creates, changes and deletes tasks of projects, as Toggl's API v9 does."""

from __future__ import annotations

from typing import Any

from airflow_provider_toggl.sandbox.rest_v9.writes.request import WriteRequest
from airflow_provider_toggl.sandbox.workspace.records import Task
from airflow_provider_toggl.sandbox.workspace.world import ErrorResponse, get_live, live

NO_PROJECT = "Project not found/accessible, Can not change tasks of archived project"


def create_task(write: WriteRequest, project_id: int) -> Task:
    """Create a task of a project.

    :raises ErrorResponse: 402 on the free plan (by ``tasks_need_paid_plan``), 400 if the project is missing or
        archived, or the name is empty or taken.
    """
    world = write.world
    if world.settings.plan == "free" and world.settings.tasks_need_paid_plan:
        raise ErrorResponse(402, "Tasks are a premium feature")
    if not get_live(world.projects, project_id, 400, NO_PROJECT).active:
        raise ErrorResponse(400, NO_PROJECT)
    task = Task(
        id=world.next_id("task"),
        workspace_id=world.workspace.id,
        project_id=project_id,
        name=_free_name(write, project_id, None),
        at=world.now(),
        user_id=_user_id(write),
        active=write.flag("active", True),
        estimated_seconds=write.integer("estimated_seconds"),
    )
    return write.store(task)


def update_task(write: WriteRequest, task_id: int) -> Task:
    """Change the fields that the body has; ``active`` false marks the task as done.

    :raises ErrorResponse: 400 if its project is archived or the name is empty or taken, 404 if there is no such task.
    """
    task = get_live(write.world.tasks, task_id, 404, "Task not found")
    if not write.world.projects[task.project_id].active:
        raise ErrorResponse(400, NO_PROJECT)
    fields: dict[str, Any] = {}
    if write.has("name"):
        fields["name"] = _free_name(write, task.project_id, task)
    if write.has("active"):
        fields["active"] = write.flag("active", True)
    if write.has("estimated_seconds"):
        fields["estimated_seconds"] = write.integer("estimated_seconds")
    if write.has("user_id"):
        fields["user_id"] = _user_id(write)
    return write.change(task, fields)


def delete_task(write: WriteRequest, task_id: int) -> list[int]:
    """Delete a task and remove it from its time entries; their ``at`` becomes now if the setting
    ``task_deletion_moves_at`` is on.

    :returns: the ids of the time entries that had the task.
    :raises ErrorResponse: 404 if there is no such task.
    """
    world = write.world
    task = get_live(world.tasks, task_id, 404, "Task not found")
    entries = [entry for entry in live(world.time_entries.values()) if entry.task_id == task_id]
    for entry in entries:
        write.change(entry, {"task_id": None}, moves_at=world.settings.task_deletion_moves_at)
    write.delete(task)
    return [entry.id for entry in entries]


def _user_id(write: WriteRequest) -> int | None:
    user_id = write.integer("user_id")
    return None if user_id is None else get_live(write.world.users, user_id, 400, "Invalid user_id").id


def _free_name(write: WriteRequest, project_id: int, task: Task | None) -> str:
    name = (write.text("name") or "").strip()
    if not name:
        raise ErrorResponse(400, "Task name must be present")
    for other in live(write.world.tasks.values()):
        if (other.name, other.project_id) == (name, project_id) and other is not task:
            raise ErrorResponse(400, "Name has already been taken")
    return name
