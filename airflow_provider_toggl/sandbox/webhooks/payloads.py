"""What an event tells of a change: its metadata and the object, as they are at that moment."""

from __future__ import annotations

from typing import Any

from airflow_provider_toggl.sandbox.rest_v9.serialize import (
    seconds_offset,
    v9_client,
    v9_entry,
    v9_project,
    v9_project_user,
    v9_tag,
    v9_task,
    v9_workspace_user,
)
from airflow_provider_toggl.sandbox.settings import Settings
from airflow_provider_toggl.sandbox.webhooks.bodies import Json, to_text
from airflow_provider_toggl.sandbox.workspace.records import Client, Project, ProjectUser, Tag, Task, TimeEntry, User
from airflow_provider_toggl.sandbox.workspace.world import World, WorldChange

#: Toggl's word for what webhooks tell of, by the world's; what is not here has no events.
MODELS = {
    "time_entry": "time_entry",
    "project": "project",
    "client": "client",
    "tag": "tag",
    "task": "task",
    "project_user": "project_user",
    "user": "workspace_user",
}
_METHODS = {"created": "POST", "updated": "PUT", "deleted": "DELETE"}
_LEGACY_KEYS = ("wid", "uid", "pid", "cid", "tid", "gid")


def id_of(change: WorldChange) -> int:
    """Return the id that webhooks know a thing by: of a person, that of the membership."""
    return change.obj.workspace_user_id if isinstance(change.obj, User) else change.obj.id


def gives_event(settings: Settings, change: WorldChange) -> bool:
    """Whether a change gives an event at all: bulk edits and side effects may not."""
    if change.kind not in MODELS:
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
        return last == _segment(MODELS[change.kind])
    return str(id_of(change)) in (*path.split("/"), *ids)


def build_metadata(world: World, change: WorldChange) -> Json:
    """Return what an event says about itself: texts only, keys sorted."""
    model, id_ = MODELS[change.kind], str(id_of(change))
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
    """Return the object as it is now, keys sorted; of what was deleted, what the switch says."""
    if change.action == "deleted" and world.settings.webhook_deleted_payload != "full":
        if world.settings.webhook_deleted_payload == "null":
            return None
        ids: Json = {"id": id_of(change), "wid": world.workspace.id}
        if isinstance(change.obj, TimeEntry):
            ids["uid"] = change.obj.user_id
        return dict(sorted(ids.items()))
    payload = _whole_payload(world, change.obj)
    if world.settings.webhook_keys == "newer":
        for legacy in _LEGACY_KEYS:
            payload.pop(legacy, None)
    return dict(sorted(payload.items()))


def snapshot(world: World, change: WorldChange) -> tuple[str, str]:
    """Return metadata and payload as JSON texts."""
    return to_text(build_metadata(world, change)), to_text(build_payload(world, change))


def _whole_payload(world: World, obj: Any) -> Json:
    if isinstance(obj, TimeEntry):
        return _entry(world, obj)
    if isinstance(obj, Project):
        return v9_project(world, obj, fresh_write=True)
    if isinstance(obj, Client):
        return {**v9_client(world, obj), "workspace_id": obj.workspace_id}
    if isinstance(obj, Tag):
        return v9_tag(world, obj)
    if isinstance(obj, Task):
        return v9_task(world, obj)
    if isinstance(obj, ProjectUser):
        return v9_project_user(world, obj)
    if isinstance(obj, User):
        return v9_workspace_user(world, obj, organization_form=True)
    raise TypeError(type(obj).__name__)


def _entry(world: World, entry: TimeEntry) -> Json:
    settings = world.settings
    told = v9_entry(world, entry, fresh_write=True)
    told.pop("permissions", None)
    told["at"] = seconds_offset(entry.at)
    tags = told["tags"] or []
    told["tags"] = tags or (None if settings.webhook_no_tags == "null" else [])
    # Captured in 2023: tag_ids null beside tags []; in 2025 an array.
    told["tag_ids"] = (told["tag_ids"] or []) if tags or settings.webhook_no_tags == "empty" else None
    return told


def _path(world: World, change: WorldChange) -> str:
    """Return the path that a plain request for such a change has."""
    workspace, model = f"/api/v9/workspaces/{world.workspace.id}", MODELS[change.kind]
    if isinstance(change.obj, Task):
        workspace += f"/projects/{change.obj.project_id}"
    end = "" if change.action == "created" else f"/{id_of(change)}"
    return f"{workspace}/{_segment(model)}{end}"


def _segment(model: str) -> str:
    return "time_entries" if model == "time_entry" else f"{model}s"
