"""The JSON parts of a simulated event: metadata (the change) and payload (the object), as they are at that moment."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from airflow_provider_toggl.sandbox.formats import seconds_offset
from airflow_provider_toggl.sandbox.rest_v9.serialize.business import v9_project_group
from airflow_provider_toggl.sandbox.rest_v9.serialize.entities import (
    v9_client,
    v9_entry,
    v9_project,
    v9_project_user,
    v9_tag,
    v9_task,
)
from airflow_provider_toggl.sandbox.rest_v9.serialize.people import v9_workspace_user
from airflow_provider_toggl.sandbox.settings import Settings
from airflow_provider_toggl.sandbox.webhooks.bodies import Json, to_text
from airflow_provider_toggl.sandbox.workspace.records import (
    Client,
    Project,
    ProjectGroup,
    ProjectUser,
    Tag,
    Task,
    TimeEntry,
    User,
)
from airflow_provider_toggl.sandbox.workspace.world import World, WorldChange

#: The webhook entity of each kind of record; other kinds have no events.
ENTITY_OF_KIND = {
    "time_entry": "time_entry",
    "project": "project",
    "client": "client",
    "tag": "tag",
    "task": "task",
    "project_user": "project_user",
    "project_group": "project_group",
    "user": "workspace_user",
}
_METHODS = {"created": "POST", "updated": "PUT", "deleted": "DELETE"}
_LEGACY_KEYS = ("wid", "uid", "pid", "cid", "tid", "gid")


def entity_id_of(change: WorldChange) -> int:
    """Return the id that events use for a record: for a user, the id of the membership."""
    return change.obj.workspace_user_id if isinstance(change.obj, User) else change.obj.id


def gives_event(settings: Settings, change: WorldChange) -> bool:
    """Return whether a change creates events: settings can exclude bulk edits and side effects.

    A bulk edit is ``PATCH …/1,2,3``. A side effect changes a record that the path does not name.
    """
    if change.kind not in ENTITY_OF_KIND:
        return False
    path = str((change.request or {}).get("path") or "").rstrip("/")
    if not path:
        return True
    last = path.rsplit("/", 1)[-1]
    ids = last.split(",")
    is_bulk = (change.request or {}).get("method") == "PATCH" and all(one.isdigit() for one in ids)
    if is_bulk and not settings.webhook_bulk_events:
        return False
    if settings.webhook_side_effect_events:
        return True
    if change.action == "created":
        return last == _segment(ENTITY_OF_KIND[change.kind])
    return str(entity_id_of(change)) in (*path.split("/"), *ids)


def build_metadata(world: World, change: WorldChange) -> Json:
    """Return the metadata of an event: texts only, keys sorted."""
    model, id_ = ENTITY_OF_KIND[change.kind], str(entity_id_of(change))
    actor = change.actor or world.owner
    request = change.request or {}
    metadata: Json = {
        "action": change.action,
        "event_user_id": str(actor.id),
        "model": model,
        "path": request.get("path") or _path(world, change),
        "request_type": request.get("method") or _METHODS[change.action],
        "workspace_id": str(world.workspace.id),
    }
    if request.get("text"):
        metadata["request_body"] = request["text"]
    owner = getattr(change.obj, "user_id", None)
    if owner is not None:
        metadata["model_owner_id"] = str(owner)
    project = world.projects.get(getattr(change.obj, "project_id", None) or 0)
    if project is not None:
        metadata["project_id"] = str(project.id)
        metadata["project_is_private"] = "true" if project.is_private else "false"
    if world.settings.webhook_id_key in ("named", "both"):
        metadata[f"{model}_id"] = id_
    if world.settings.webhook_id_key in ("entity_id", "both"):
        metadata["entity_id"] = id_
    return dict(sorted(metadata.items()))


def build_payload(world: World, change: WorldChange) -> Json | None:
    """Return the object as it is now, keys sorted; for a deletion, what ``webhook_deleted_payload`` says."""
    if change.action == "deleted" and world.settings.webhook_deleted_payload != "full":
        if world.settings.webhook_deleted_payload == "null":
            return None
        ids: Json = {"id": entity_id_of(change), "wid": world.workspace.id}
        if isinstance(change.obj, TimeEntry):
            ids["uid"] = change.obj.user_id
        return dict(sorted(ids.items()))
    payload = _whole_payload(world, change.obj)
    if world.settings.webhook_keys == "newer":
        for legacy in _LEGACY_KEYS:
            payload.pop(legacy, None)
    return dict(sorted(payload.items()))


def snapshot(world: World, change: WorldChange) -> tuple[str, str]:
    """Return metadata and payload of a change as JSON texts."""
    return to_text(build_metadata(world, change)), to_text(build_payload(world, change))


def _whole_payload(world: World, obj: Any) -> Json:
    writers: dict[type, Callable[..., Json]] = {
        TimeEntry: _entry,
        Project: partial(v9_project, fresh_write=True),
        Client: lambda world, client: {**v9_client(world, client), "workspace_id": client.workspace_id},
        Tag: v9_tag,
        Task: v9_task,
        ProjectUser: v9_project_user,
        ProjectGroup: lambda world, access: {
            **v9_project_group(world, access),
            "workspace_id": access.workspace_id,
            "project_id": access.project_id,
        },
        User: partial(v9_workspace_user, organization_form=True),
    }
    return writers[type(obj)](world, obj)


def _entry(world: World, entry: TimeEntry) -> Json:
    settings = world.settings
    shown = v9_entry(world, entry, fresh_write=True)
    shown.pop("permissions", None)
    shown["at"] = seconds_offset(entry.at)
    tags = shown["tags"] or []
    shown["tags"] = tags or (None if settings.webhook_no_tags == "null" else [])
    # Captured in 2023: tag_ids null beside tags []; in 2025 an array.
    shown["tag_ids"] = (shown["tag_ids"] or []) if tags or settings.webhook_no_tags == "empty" else None
    return shown


def _path(world: World, change: WorldChange) -> str:
    """Return the path to report for a change that no request made."""
    workspace, model = f"/api/v9/workspaces/{world.workspace.id}", ENTITY_OF_KIND[change.kind]
    if isinstance(change.obj, Task):
        workspace += f"/projects/{change.obj.project_id}"
    end = "" if change.action == "created" else f"/{entity_id_of(change)}"
    return f"{workspace}/{_segment(model)}{end}"


def _segment(model: str) -> str:
    return "time_entries" if model == "time_entry" else f"{model}s"
