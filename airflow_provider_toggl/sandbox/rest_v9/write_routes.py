"""REST v9, what changes things: time entries, projects, clients, tags, tasks and memberships."""

from __future__ import annotations

from airflow_provider_toggl.sandbox.rest_v9 import writes
from airflow_provider_toggl.sandbox.rest_v9.serialize import (
    v9_client,
    v9_entry,
    v9_project,
    v9_project_user,
    v9_tag,
    v9_task,
)
from airflow_provider_toggl.sandbox.routing import NO_BODY, ApiRequest, ApiResponse, Route
from airflow_provider_toggl.sandbox.workspace.records import Tag
from airflow_provider_toggl.sandbox.workspace.world import ErrorResponse

BASE = "/api/v9/workspaces/{workspace_id}"


def create_entry(call: ApiRequest) -> ApiResponse:
    """Create a time entry."""
    entry = writes.create_entry(call.world, call.actor, call.json_object(), request=call.request)
    return ApiResponse(v9_entry(call.world, entry, created=True, meta=bool(call.truth("meta"))))


def update_entry(call: ApiRequest) -> ApiResponse:
    """Change a time entry."""
    entry = writes.update_entry(
        call.world, call.actor, call.path_id("time_entry_id"), call.json_object(), request=call.request
    )
    return ApiResponse(v9_entry(call.world, entry, fresh_write=True, meta=bool(call.truth("meta"))))


def stop_entry(call: ApiRequest) -> ApiResponse:
    """Stop a running time entry."""
    entry = writes.stop_entry(call.world, call.actor, call.path_id("time_entry_id"), request=call.request)
    return ApiResponse(v9_entry(call.world, entry, fresh_write=True))


def delete_entry(call: ApiRequest) -> ApiResponse:
    """Delete a time entry; the answer is empty."""
    writes.delete_entry(call.world, call.actor, call.path_id("time_entry_id"), request=call.request)
    return ApiResponse(NO_BODY)


def patch_entries(call: ApiRequest) -> ApiResponse:
    """Change several time entries; each succeeds or fails on its own."""
    return ApiResponse(
        writes.bulk_patch_entries(call.world, call.actor, _bulk_ids(call), call.json(), request=call.request)
    )


def create_project(call: ApiRequest) -> ApiResponse:
    """Create a project."""
    project = writes.create_project(call.world, call.actor, call.json_object(), request=call.request)
    return ApiResponse(v9_project(call.world, project, created=True))


def update_project(call: ApiRequest) -> ApiResponse:
    """Change a project."""
    project = writes.update_project(
        call.world, call.actor, call.path_id("project_id"), call.json_object(), request=call.request
    )
    return ApiResponse(v9_project(call.world, project, fresh_write=True))


def delete_project(call: ApiRequest) -> ApiResponse:
    """Delete a project and, as told, its time entries or only their assignment."""
    id_ = call.path_id("project_id")
    writes.delete_project(call.world, call.actor, id_, call.text("teDeletionMode"), request=call.request)
    return ApiResponse(id_)


def patch_projects(call: ApiRequest) -> ApiResponse:
    """Change several projects."""
    return ApiResponse(
        writes.bulk_patch_projects(call.world, call.actor, _bulk_ids(call), call.json(), request=call.request)
    )


def create_client(call: ApiRequest) -> ApiResponse:
    """Create a client."""
    return ApiResponse(
        v9_client(call.world, writes.create_client(call.world, call.actor, call.json_object(), request=call.request))
    )


def update_client(call: ApiRequest) -> ApiResponse:
    """Change a client."""
    client = writes.update_client(
        call.world, call.actor, call.path_id("client_id"), call.json_object(), request=call.request
    )
    return ApiResponse(v9_client(call.world, client))


def delete_client(call: ApiRequest) -> ApiResponse:
    """Delete a client; its projects stay, without one."""
    writes.delete_client(call.world, call.actor, call.path_id("client_id"), request=call.request)
    return ApiResponse(call.path_id("client_id"))


def archive_client(call: ApiRequest) -> ApiResponse:
    """Archive a client and its projects; answers the ids of those projects."""
    return ApiResponse(writes.archive_client(call.world, call.actor, call.path_id("client_id"), request=call.request))


def restore_client(call: ApiRequest) -> ApiResponse:
    """Restore an archived client and its projects, or those asked for."""
    payload = call.json_object() if call.raw_body else {}
    client = writes.restore_client(call.world, call.actor, call.path_id("client_id"), payload, request=call.request)
    return ApiResponse(v9_client(call.world, client))


def create_tag(call: ApiRequest) -> ApiResponse:
    """Create a tag."""
    return _tag(call, writes.create_tag(call.world, call.actor, call.json_object(), request=call.request))


def update_tag(call: ApiRequest) -> ApiResponse:
    """Rename a tag."""
    return _tag(
        call,
        writes.update_tag(call.world, call.actor, call.path_id("tag_id"), call.json_object(), request=call.request),
    )


def delete_tag(call: ApiRequest) -> ApiResponse:
    """Delete a tag; entries lose it."""
    writes.delete_tag(call.world, call.actor, call.path_id("tag_id"), request=call.request)
    return ApiResponse(NO_BODY)


def create_task(call: ApiRequest) -> ApiResponse:
    """Create a task."""
    task = writes.create_task(
        call.world, call.actor, call.path_id("project_id"), call.json_object(), request=call.request
    )
    return ApiResponse(v9_task(call.world, task))


def update_task(call: ApiRequest) -> ApiResponse:
    """Change a task."""
    task = writes.update_task(call.world, call.actor, call.path_id("task_id"), call.json_object(), request=call.request)
    return ApiResponse(v9_task(call.world, task))


def delete_task(call: ApiRequest) -> ApiResponse:
    """Delete a task; the answer is a text, as its definition says."""
    writes.delete_task(call.world, call.actor, call.path_id("task_id"), request=call.request)
    return ApiResponse(call.path["task_id"])


def create_project_user(call: ApiRequest) -> ApiResponse:
    """Make a user a member of a project."""
    member = writes.create_project_user(call.world, call.actor, call.json_object(), request=call.request)
    return ApiResponse(v9_project_user(call.world, member))


def _tag(call: ApiRequest, tag: Tag) -> ApiResponse:
    written = v9_tag(call.world, tag)
    return ApiResponse([written] if call.settings.tag_write_answer == "array" else written)


def _bulk_ids(call: ApiRequest) -> list[int]:
    texts = call.path["ids"].split(",")
    if not all(text.isdecimal() and len(text) <= 18 for text in texts):
        raise ErrorResponse(400, "Invalid or missing ids")
    return [int(text) for text in texts]


ROUTES = [
    Route("POST", f"{BASE}/time_entries", create_entry, "organization"),
    Route("PUT", f"{BASE}/time_entries/{{time_entry_id}}", update_entry, "organization"),
    Route("PATCH", f"{BASE}/time_entries/{{time_entry_id}}/stop", stop_entry, "organization"),
    Route("DELETE", f"{BASE}/time_entries/{{time_entry_id}}", delete_entry, "organization"),
    Route("PATCH", f"{BASE}/time_entries/{{ids:any}}", patch_entries, "organization"),
    Route("POST", f"{BASE}/projects", create_project, "organization"),
    Route("PUT", f"{BASE}/projects/{{project_id}}", update_project, "organization"),
    Route("DELETE", f"{BASE}/projects/{{project_id}}", delete_project, "organization"),
    Route("PATCH", f"{BASE}/projects/{{ids:any}}", patch_projects, "organization"),
    Route("POST", f"{BASE}/projects/{{project_id}}/tasks", create_task, "organization"),
    Route("PUT", f"{BASE}/projects/{{project_id}}/tasks/{{task_id}}", update_task, "organization"),
    Route("DELETE", f"{BASE}/projects/{{project_id}}/tasks/{{task_id}}", delete_task, "organization"),
    Route("POST", f"{BASE}/project_users", create_project_user, "organization"),
    Route("POST", f"{BASE}/clients", create_client, "organization"),
    Route("PUT", f"{BASE}/clients/{{client_id}}", update_client, "organization"),
    Route("DELETE", f"{BASE}/clients/{{client_id}}", delete_client, "organization"),
    Route("POST", f"{BASE}/clients/{{client_id}}/archive", archive_client, "organization"),
    Route("POST", f"{BASE}/clients/{{client_id}}/restore", restore_client, "organization"),
    Route("POST", f"{BASE}/tags", create_tag, "organization"),
    Route("PUT", f"{BASE}/tags/{{tag_id}}", update_tag, "organization"),
    Route("DELETE", f"{BASE}/tags/{{tag_id}}", delete_tag, "organization"),
]
