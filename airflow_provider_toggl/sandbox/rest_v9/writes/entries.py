"""What REST writes do to time entries."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from airflow_provider_toggl.sandbox.rest_v9.writes.request import (
    MALFORMED,
    Payload,
    Request,
    check_bulk,
    date_of,
    flag_of,
    has,
    int_of,
    list_of,
    seconds_between,
    text_of,
    time_of,
    unix,
)
from airflow_provider_toggl.sandbox.rest_v9.writes.tags import find_or_create_tag
from airflow_provider_toggl.sandbox.workspace.records import TimeEntry, User
from airflow_provider_toggl.sandbox.workspace.world import ErrorResponse, World

#: Toggl's longest entry.
LARGEST_DURATION = 999 * 3600
NO_ACCESS = "User does not have access to this resource."
NOT_FOUND = "Time entry not found"

#: Fields that a bulk PATCH can set, by each of their names.
PATCHABLE = ("description", "billable", "project_id", "pid", "task_id", "tid", "start", "stop", "duration", "user_id")
PATCHABLE_TAGS = ("tags", "tag_ids")


def create_entry(world: World, actor: User, payload: Payload, *, request: Request | None = None) -> TimeEntry:
    """Create a time entry; one that runs stops the other that runs for the same user, unknown tag names are created.

    :raises Refused: 400 when something is missing or contradicts itself, 402 when the plan lacks what it asks for,
        403 when it is for somebody else and the actor is no admin.
    """
    if world.settings.created_with_needed and not text_of(payload, "created_with"):
        raise ErrorResponse(400, "created_with needs to be provided an a valid string")
    _check_workspace(world, payload)
    user = _user_for(world, actor, payload)
    start = time_of(payload, "start")
    if start is None:
        raise ErrorResponse(400, "Start time is missing")
    day = date_of(payload, "start_date")
    if day is not None:
        start = start.replace(year=day.year, month=day.month, day=day.day)
    start, stop, duration = _new_times(start, time_of(payload, "stop"), int_of(payload, "duration"))
    _check_billable(world, payload)
    billable, description = flag_of(payload, "billable"), text_of(payload, "description")
    project_id, task_id = _project_and_task(world, actor, payload, None, None)
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
        tag_ids=_tags(world, actor, payload, [], request),
        billable=billable,
        created_with=text_of(payload, "created_with") or "",
    )
    if entry.is_running:
        _stop_running(world, user.id, actor, request)
        entry.at = world.now()
    return world.store(entry, actor, request)


def update_entry(
    world: World, actor: User, entry_id: int, payload: Payload, *, request: Request | None = None
) -> TimeEntry:
    """Change the fields that the payload has, and ``at``.

    A new ``start`` alone keeps ``stop`` and changes the duration; ``tag_action`` "add" or "delete" changes the tags
    instead of replacing them.

    :raises Refused: 400, 402 and 403 as ``create_entry``, 404 when there is no such entry.
    """
    entry = editable_entry(world, actor, entry_id)
    _check_workspace(world, payload)
    fields: dict[str, Any] = {}
    if has(payload, "start", "stop", "duration"):
        fields["start"], fields["stop"], fields["duration"] = _changed_times(entry, payload)
    if has(payload, "description"):
        fields["description"] = text_of(payload, "description")
    if has(payload, "billable"):
        if not entry.billable:
            _check_billable(world, payload)
        fields["billable"] = flag_of(payload, "billable")
    if has(payload, "user_id", "uid"):
        fields["user_id"] = _user_for(world, actor, payload).id
    if has(payload, "project_id", "pid", "task_id", "tid"):
        found = _project_and_task(world, actor, payload, entry.project_id, entry.task_id)
        fields["project_id"], fields["task_id"] = found
    if has(payload, "tags", "tag_ids"):
        fields["tag_ids"] = _tags(world, actor, payload, entry.tag_ids, request)
    user_id = fields.get("user_id", entry.user_id)
    if fields.get("stop", entry.stop) is None and fields.get("duration", entry.duration) < 0:
        _stop_running(world, user_id, actor, request, but=entry.id)
    return world.change(entry, fields, actor, request)


def stop_entry(world: World, actor: User, entry_id: int, *, request: Request | None = None) -> TimeEntry:
    """Stop an entry now.

    :raises Refused: 404 when there is no such entry, 409 when it has a stop, 403 when it is somebody else's.
    """
    entry = editable_entry(world, actor, entry_id)
    if entry.stop is not None:
        raise ErrorResponse(409, "Time entry already stopped")
    return _stop(world, entry, actor, request)


def delete_entry(world: World, actor: User, entry_id: int, *, request: Request | None = None) -> None:
    """Delete an entry.

    :raises Refused: 404 when there is no such entry, 403 when it is somebody else's.
    """
    world.mark_deleted(editable_entry(world, actor, entry_id), actor, request)


def bulk_patch_entries(
    world: World,
    actor: User,
    ids: Sequence[int],
    ops: Any,
    *,
    request: Request | None = None,
) -> dict[str, list[Any]]:
    """Apply JSON Patch operations to each of the entries; what fails for one does not stop the others.

    :returns: ``{"success": [id], "failure": [{"id", "message"}]}``.
    :raises Refused: 400 when the operations are malformed, or there are no or more than 100 ids.
    """
    payloads = _patch_payloads(check_bulk(ids, ops))
    success: list[int] = []
    failure: list[dict[str, Any]] = []
    for entry_id in ids:
        try:
            for payload in payloads:
                update_entry(world, actor, entry_id, payload, request=request)
        except ErrorResponse as refused:
            failure.append({"id": entry_id, "message": refused.text})
        else:
            success.append(entry_id)
    return {"success": success, "failure": failure}


def editable_entry(world: World, actor: User, entry_id: int) -> TimeEntry:
    """Return a live entry that the actor may change: their own, or anybody's for an admin."""
    entry = world.time_entries.get(entry_id)
    if entry is None or entry.deleted_at is not None:
        raise ErrorResponse(404, NOT_FOUND)
    if entry.user_id != actor.id and not actor.is_admin:
        raise ErrorResponse(403, NO_ACCESS)
    return entry


def _patch_payloads(ops: list[tuple[str, str, Any]]) -> list[dict[str, Any]]:
    """Translate patch operations to payloads of updates; tags need one each, the other fields share one."""
    fields: dict[str, Any] = {}
    tags: list[dict[str, Any]] = []
    for verb, name, value in ops:
        if name in PATCHABLE_TAGS:
            action = {"add": "add", "remove": "delete", "replace": None}[verb]
            tags.append({name: value, "tag_action": action})
        elif name not in PATCHABLE:
            raise ErrorResponse(400, f"Path not found: /{name}")
        elif verb == "remove" and name in ("start", "stop", "duration", "user_id"):
            raise ErrorResponse(400, f"Operation not supported (remove /{name})")
        else:
            fields[name] = None if verb == "remove" else value
    return ([fields] if fields else []) + tags


def _check_workspace(world: World, payload: Payload) -> None:
    if int_of(payload, "workspace_id", "wid") not in (None, world.workspace.id):
        raise ErrorResponse(403, NO_ACCESS)


def _check_billable(world: World, payload: Payload) -> None:
    gated = world.settings.plan == "free" and world.settings.billable_needs_paid_plan
    if gated and flag_of(payload, "billable"):
        raise ErrorResponse(402, "Billable is a premium feature")


def _user_for(world: World, actor: User, payload: Payload) -> User:
    user_id = int_of(payload, "user_id", "uid")
    if user_id is None or user_id == actor.id:
        return actor
    user = world.users.get(user_id)
    if user is None or user.deleted_at is not None:
        raise ErrorResponse(400, "Invalid user_id")
    if not actor.is_admin:
        raise ErrorResponse(403, NO_ACCESS)
    return user


def _new_times(start: datetime, stop: datetime | None, duration: int | None) -> tuple[datetime, datetime | None, int]:
    """Return start, stop and duration as stored; neither stop nor duration is 0 seconds without a stop."""
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


def _changed_times(entry: TimeEntry, payload: Payload) -> tuple[datetime, datetime | None, int]:
    start = time_of(payload, "start") or entry.start
    stop, duration = time_of(payload, "stop"), int_of(payload, "duration")
    if stop is None and duration is None:
        if entry.stop is None:
            return start, None, -unix(start) if entry.is_running else 0
        stop = entry.stop
    return _new_times(start, stop, duration)


def _project_and_task(
    world: World, actor: User, payload: Payload, project_id: int | None, task_id: int | None
) -> tuple[int | None, int | None]:
    """Return project and task as the payload wants them; a task brings its project, another project drops the task."""
    if has(payload, "project_id", "pid"):
        wanted = int_of(payload, "project_id", "pid")
        if wanted is not None and wanted != project_id:
            _check_project(world, actor, wanted)
        task_id = task_id if wanted == project_id else None
        project_id = wanted
    if has(payload, "task_id", "tid"):
        task_id = int_of(payload, "task_id", "tid")
        if task_id is not None:
            task = world.tasks.get(task_id)
            if task is None or task.deleted_at is not None or project_id not in (None, task.project_id):
                raise ErrorResponse(400, "User cannot access selected task")
            project_id = task.project_id
    return project_id, task_id


def _check_project(world: World, actor: User, project_id: int) -> None:
    project = world.projects.get(project_id)
    member = actor.is_admin or any(
        member.project_id == project_id and member.user_id == actor.id and member.deleted_at is None
        for member in world.project_users.values()
    )
    if project is None or project.deleted_at is not None or (project.is_private and not member):
        raise ErrorResponse(400, "User cannot access the selected project")
    if not project.active:
        raise ErrorResponse(400, "Cannot add time entries to an archived project")


def _tags(world: World, actor: User, payload: Payload, current: list[int], request: Request | None) -> list[int]:
    action = text_of(payload, "tag_action")
    if action not in (None, "", "add", "delete"):
        raise ErrorResponse(400, MALFORMED)
    named = [name for name in list_of(payload, "tags", str) if name.strip()]
    ids = list_of(payload, "tag_ids", int)
    for tag_id in ids:
        tag = world.tags.get(tag_id)
        if tag is None or (tag.deleted_at is not None and action != "delete"):
            raise ErrorResponse(400, f"Tag with the ID {tag_id} isn't present in workspace {world.workspace.id}")
    if action == "delete":
        going = set(ids) | {tag.id for tag in world.tags.values() if tag.name in named}
        return [tag_id for tag_id in current if tag_id not in going]
    ids = ids + [find_or_create_tag(world, actor, name, request=request).id for name in named]
    return list(dict.fromkeys([*current, *ids] if action == "add" else ids))


def _stop_running(world: World, user_id: int, actor: User, request: Request | None, *, but: int | None = None) -> None:
    running = world.running_entry(user_id)
    if running is not None and running.id != but:
        _stop(world, running, actor, request)


def _stop(world: World, entry: TimeEntry, actor: User, request: Request | None) -> TimeEntry:
    # An entry may have been started in the future, by a client whose clock is ahead.
    stop = max(entry.start, world.now().replace(microsecond=0))
    fields = {"stop": stop, "duration": seconds_between(entry.start, stop)}
    return world.change(entry, fields, actor, request)
