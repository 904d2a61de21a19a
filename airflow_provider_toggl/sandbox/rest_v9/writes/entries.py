"""Writes of time entries."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from airflow_provider_toggl.sandbox.rest_v9.writes.request import (
    MALFORMED,
    WriteRequest,
    apply_to_each,
    read_patched_value,
    seconds_between,
    unix,
)
from airflow_provider_toggl.sandbox.rest_v9.writes.tags import find_or_create_tag
from airflow_provider_toggl.sandbox.workspace.records import TimeEntry, User
from airflow_provider_toggl.sandbox.workspace.world import ErrorResponse, get_live, live

#: Seconds of the longest time entry that Toggl accepts.
LARGEST_DURATION = 999 * 3600
NO_ACCESS = "User does not have access to this resource."
NO_TASK = "User cannot access selected task"

#: Fields that a bulk PATCH can set, under their current and their legacy names.
PATCHABLE = ("description", "billable", "project_id", "pid", "task_id", "tid", "start", "stop", "duration", "user_id")
PATCHABLE_TAGS = ("tags", "tag_ids")
#: Fields of them that always have a value.
NEVER_EMPTY = ("start", "stop", "duration", "user_id")


def create_entry(write: WriteRequest) -> TimeEntry:
    """Create a time entry. A running one stops the user's other running entry; unknown tag names become tags.

    :raises ErrorResponse: 400 for a missing or contradictory field, 402 for what the plan lacks, 403 for an entry of
        another user by somebody who is no administrator.
    """
    world = write.world
    if world.settings.created_with_needed and not write.text("created_with"):
        raise ErrorResponse(400, "created_with needs to be provided an a valid string")
    _check_workspace(write)
    user = _user_for(write)
    start = write.time("start")
    if start is None:
        raise ErrorResponse(400, "Start time is missing")
    day = write.date("start_date")
    if day is not None:
        start = start.replace(year=day.year, month=day.month, day=day.day)
    start, stop, duration = _new_times(start, write.time("stop"), write.integer("duration"))
    _check_billable(write)
    billable, description = write.flag("billable"), write.text("description")
    project_id, task_id = _project_and_task(write, None, None)
    entry = TimeEntry(
        id=world.next_id("time_entry"),
        workspace_id=world.workspace.id,
        user_id=user.id,
        start=start,
        stop=stop,
        duration=duration,
        at=world.now(),
        description=description,
        project_id=project_id,
        task_id=task_id,
        tag_ids=_tags(write, []),
        billable=billable,
        created_with=write.text("created_with") or "",
    )
    if entry.is_running:
        _stop_running(write, user.id)
        entry.at = world.now()
    return write.store(entry)


def update_entry(write: WriteRequest, entry_id: int) -> TimeEntry:
    """Change the fields that the body has, and ``at``.

    A new ``start`` alone keeps ``stop`` and changes the duration. ``tag_action`` "add" or "delete" changes the tags
    instead of replacing them.

    :raises ErrorResponse: 400, 402 and 403 as ``create_entry``, 404 if there is no such entry.
    """
    entry = editable_entry(write, entry_id)
    _check_workspace(write)
    fields: dict[str, Any] = {}
    if write.has("start", "stop", "duration"):
        fields["start"], fields["stop"], fields["duration"] = _changed_times(write, entry)
    if write.has("description"):
        fields["description"] = write.text("description")
    if write.has("billable"):
        if not entry.billable:
            _check_billable(write)
        fields["billable"] = write.flag("billable")
    if write.has("user_id", "uid"):
        fields["user_id"] = _user_for(write).id
    if write.has("project_id", "pid", "task_id", "tid"):
        fields["project_id"], fields["task_id"] = _project_and_task(write, entry.project_id, entry.task_id)
    if write.has("tags", "tag_ids"):
        fields["tag_ids"] = _tags(write, entry.tag_ids)
    if fields.get("stop", entry.stop) is None and fields.get("duration", entry.duration) < 0:
        _stop_running(write, fields.get("user_id", entry.user_id), but=entry.id)
    return write.change(entry, fields)


def stop_entry(write: WriteRequest, entry_id: int) -> TimeEntry:
    """Stop a time entry now.

    :raises ErrorResponse: 404 if there is no such entry, 409 if it has a stop, 403 if it belongs to another user.
    """
    entry = editable_entry(write, entry_id)
    if entry.stop is not None:
        raise ErrorResponse(409, "Time entry already stopped")
    return _stop(write, entry)


def delete_entry(write: WriteRequest, entry_id: int) -> TimeEntry:
    """Delete a time entry.

    :raises ErrorResponse: 404 if there is no such entry, 403 if it belongs to another user.
    """
    return write.delete(editable_entry(write, entry_id))


def bulk_patch_entries(write: WriteRequest, ids: Sequence[int]) -> dict[str, list[Any]]:
    """Apply JSON Patch operations to each of the time entries; a failure of one does not stop the others.

    To remove a field that always has a value, or to set it to null, is refused. Toggl's definition has that message for
    another endpoint (of project users); what Toggl does here is unverified.

    :returns: ``{"success": [id], "failure": [{"id", "message"}]}``.
    :raises ErrorResponse: 400 for malformed operations, no ids, or more than 100.
    """
    bodies = _patch_bodies(write.operations(ids))

    def update(entry_id: int) -> None:
        for body in bodies:
            update_entry(write.with_body(body), entry_id)

    return apply_to_each(ids, update)


def editable_entry(write: WriteRequest, entry_id: int) -> TimeEntry:
    """Return a time entry that the user may change: their own, or any one for an administrator."""
    entry = get_live(write.world.time_entries, entry_id, 404, "Time entry not found")
    if entry.user_id != write.actor.id and not write.actor.is_admin:
        raise ErrorResponse(403, NO_ACCESS)
    return entry


def _patch_bodies(operations: list[tuple[str, str, Any]]) -> list[dict[str, Any]]:
    """Translate operations to bodies of updates: one for each operation on tags, one for all other fields."""
    fields: dict[str, Any] = {}
    tags: list[dict[str, Any]] = []
    for verb, name, value in operations:
        if name in PATCHABLE_TAGS:
            # Without a value, RFC 6902 removes all of them: nothing replaces them.
            is_removal_of_all = verb == "remove" and value is None
            action = None if is_removal_of_all else {"add": "add", "remove": "delete", "replace": None}[verb]
            tags.append({name: value, "tag_action": action})
        elif name not in PATCHABLE:
            raise ErrorResponse(400, f"Path not found: /{name}")
        else:
            fields[name] = read_patched_value(verb, name, value, NEVER_EMPTY)
    return ([fields] if fields else []) + tags


def _check_workspace(write: WriteRequest) -> None:
    if write.integer("workspace_id", "wid") not in (None, write.world.workspace.id):
        raise ErrorResponse(403, NO_ACCESS)


def _check_billable(write: WriteRequest) -> None:
    settings = write.world.settings
    if settings.plan == "free" and settings.billable_needs_paid_plan and write.flag("billable"):
        raise ErrorResponse(402, "Billable is a premium feature")


def _user_for(write: WriteRequest) -> User:
    user_id = write.integer("user_id", "uid")
    if user_id is None or user_id == write.actor.id:
        return write.actor
    user = get_live(write.world.users, user_id, 400, "Invalid user_id")
    if not write.actor.is_admin:
        raise ErrorResponse(403, NO_ACCESS)
    return user


def _new_times(start: datetime, stop: datetime | None, duration: int | None) -> tuple[datetime, datetime | None, int]:
    """Return start, stop and duration as stored; without stop and duration, the entry has 0 seconds and no stop."""
    if duration is not None and duration < 0:
        if stop is not None:
            raise ErrorResponse(400, "A running time entry cannot have a stop time")
        return start, None, -unix(start)
    if stop is None:
        if duration is None:
            return start, None, 0
        _check_length(duration)
        return start, start + timedelta(seconds=duration), duration
    length = seconds_between(start, stop)
    if length < 0:
        raise ErrorResponse(400, "Stop time must be after start time")
    if duration is not None and duration != length:
        raise ErrorResponse(400, "Start, stop and duration are not consistent")
    _check_length(length)
    return start, stop, length


def _check_length(duration: int) -> None:
    if duration > LARGEST_DURATION:
        raise ErrorResponse(400, "Time entry duration can't exceed 999 hours")


def _changed_times(write: WriteRequest, entry: TimeEntry) -> tuple[datetime, datetime | None, int]:
    start = write.time("start") or entry.start
    stop, duration = write.time("stop"), write.integer("duration")
    if stop is None and duration is None:
        if entry.stop is None:
            return start, None, -unix(start) if entry.is_running else 0
        stop = entry.stop
    return _new_times(start, stop, duration)


def _project_and_task(
    write: WriteRequest, project_id: int | None, task_id: int | None
) -> tuple[int | None, int | None]:
    """Return project and task as the body sets them: a task sets its project, another project removes the task."""
    if write.has("project_id", "pid"):
        wanted = write.integer("project_id", "pid")
        if wanted is not None and wanted != project_id:
            _check_project(write, wanted)
        task_id = task_id if wanted == project_id else None
        project_id = wanted
    if write.has("task_id", "tid"):
        task_id = write.integer("task_id", "tid")
        if task_id is not None:
            task = get_live(write.world.tasks, task_id, 400, NO_TASK)
            if project_id not in (None, task.project_id):
                raise ErrorResponse(400, NO_TASK)
            project_id = task.project_id
    return project_id, task_id


def _check_project(write: WriteRequest, project_id: int) -> None:
    world, actor = write.world, write.actor
    project = world.projects.get(project_id)
    member = actor.is_admin or any(
        (member.project_id, member.user_id) == (project_id, actor.id) for member in live(world.project_users.values())
    )
    if project is None or project.deleted_at is not None or (project.is_private and not member):
        raise ErrorResponse(400, "User cannot access the selected project")
    if not project.active:
        raise ErrorResponse(400, "Cannot add time entries to an archived project")


def _tags(write: WriteRequest, current: list[int]) -> list[int]:
    world, action = write.world, write.text("tag_action")
    if action not in (None, "", "add", "delete"):
        raise ErrorResponse(400, MALFORMED)
    named = [name for name in write.items("tags", str) if name.strip()]
    ids = write.items("tag_ids", int)
    for tag_id in ids:
        tag = world.tags.get(tag_id)
        if tag is None or (tag.deleted_at is not None and action != "delete"):
            raise ErrorResponse(400, f"Tag with the ID {tag_id} isn't present in workspace {world.workspace.id}")
    if action == "delete":
        going = set(ids) | {tag.id for tag in world.tags.values() if tag.name in named}
        return [tag_id for tag_id in current if tag_id not in going]
    ids = ids + [find_or_create_tag(write, name).id for name in named]
    return list(dict.fromkeys([*current, *ids] if action == "add" else ids))


def _stop_running(write: WriteRequest, user_id: int, *, but: int | None = None) -> None:
    running = write.world.running_entry(user_id)
    if running is not None and running.id != but:
        _stop(write, running)


def _stop(write: WriteRequest, entry: TimeEntry) -> TimeEntry:
    # A client whose clock is ahead may have started an entry in the future.
    stop = max(entry.start, write.world.now().replace(microsecond=0))
    return write.change(entry, {"stop": stop, "duration": seconds_between(entry.start, stop)})
