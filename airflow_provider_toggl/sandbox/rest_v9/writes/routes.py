"""The endpoints of all writes: which function carries out a request, and how its result becomes the answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from airflow_provider_toggl.sandbox.rest_v9.serialize.entities import (
    v9_client,
    v9_entry,
    v9_project,
    v9_project_user,
    v9_tag,
    v9_task,
)
from airflow_provider_toggl.sandbox.rest_v9.writes import clients, entries, projects, tags, tasks
from airflow_provider_toggl.sandbox.rest_v9.writes.request import WriteRequest
from airflow_provider_toggl.sandbox.routing import NO_BODY, ApiRequest, ApiResponse, Route
from airflow_provider_toggl.sandbox.workspace.records import Tag
from airflow_provider_toggl.sandbox.workspace.world import ErrorResponse

BASE = "/api/v9/workspaces/{workspace_id}"

#: Reads the body of a request.
ReadBody = Callable[[ApiRequest], Any]
#: Makes the body of an answer from the request and the result of the write.
Answer = Callable[[ApiRequest, Any], Any]


def _write(
    method: str, path: str, carry_out: Callable[..., Any], answer: Answer, *, body: ReadBody = ApiRequest.json_object
) -> Route:
    """Return the route of a write.

    :param carry_out: called with the ``WriteRequest`` and the last id of the path below the workspace, if it has one.
    """

    def endpoint(request: ApiRequest) -> ApiResponse:
        write = WriteRequest(request.world, request.actor, body(request), request.source)
        return ApiResponse(answer(request, carry_out(write, *_target(request, path))))

    return Route(method, BASE + path, endpoint, "organization")


def _target(request: ApiRequest, path: str) -> list[Any]:
    """Return the last id that a path names: none, one, or the list of a bulk PATCH."""
    if "{ids:any}" in path:
        texts = request.path["ids"].split(",")
        if not all(text.isdecimal() and len(text) <= 18 for text in texts):
            raise ErrorResponse(400, "Invalid or missing ids")
        return [[int(text) for text in texts]]
    names = [part.split("}")[0] for part in path.split("{")[1:]]
    return [request.path_id(names[-1])] if names else []


def _no_body(request: ApiRequest) -> dict[str, Any]:  # noqa: ARG001 - one form for all readers
    return {}


def _optional_body(request: ApiRequest) -> dict[str, Any]:
    return request.json_object() if request.raw_body else {}


def _nothing(request: ApiRequest, result: Any) -> Any:  # noqa: ARG001 - one form for all answers
    return NO_BODY


def _result(request: ApiRequest, result: Any) -> Any:  # noqa: ARG001 - one form for all answers
    return result


def _as(to_json: Callable[..., Any], **options: bool) -> Answer:
    """Return an answer with the JSON of the record that was written."""
    return lambda request, record: to_json(request.world, record, **options)


def _entry(**options: bool) -> Answer:
    return lambda request, entry: v9_entry(request.world, entry, meta=bool(request.boolean("meta")), **options)


def _tag(request: ApiRequest, tag: Tag) -> Any:
    written = v9_tag(request.world, tag)
    return [written] if request.settings.tag_write_answer == "array" else written


def _delete_project(request: ApiRequest) -> ApiResponse:
    write = WriteRequest(request.world, request.actor, {}, request.source)
    return ApiResponse(projects.delete_project(write, request.path_id("project_id"), request.text("teDeletionMode")))


ROUTES = [
    _write("POST", "/time_entries", entries.create_entry, _entry(created=True)),
    _write("PUT", "/time_entries/{time_entry_id}", entries.update_entry, _entry(fresh_write=True)),
    _write(
        "PATCH", "/time_entries/{time_entry_id}/stop", entries.stop_entry, _as(v9_entry, fresh_write=True),
        body=_no_body,
    ),
    _write("DELETE", "/time_entries/{time_entry_id}", entries.delete_entry, _nothing, body=_no_body),
    _write("PATCH", "/time_entries/{ids:any}", entries.bulk_patch_entries, _result, body=ApiRequest.json),
    _write("POST", "/projects", projects.create_project, _as(v9_project, created=True)),
    _write("PUT", "/projects/{project_id}", projects.update_project, _as(v9_project, fresh_write=True)),
    Route("DELETE", f"{BASE}/projects/{{project_id}}", _delete_project, "organization"),
    _write("PATCH", "/projects/{ids:any}", projects.bulk_patch_projects, _result, body=ApiRequest.json),
    _write("POST", "/project_users", projects.create_project_user, _as(v9_project_user)),
    _write("POST", "/projects/{project_id}/tasks", tasks.create_task, _as(v9_task)),
    _write("PUT", "/projects/{project_id}/tasks/{task_id}", tasks.update_task, _as(v9_task)),
    # The published definition says that the answer is a text.
    _write(
        "DELETE", "/projects/{project_id}/tasks/{task_id}", tasks.delete_task,
        lambda request, _: request.path["task_id"], body=_no_body,
    ),
    _write("POST", "/clients", clients.create_client, _as(v9_client)),
    _write("PUT", "/clients/{client_id}", clients.update_client, _as(v9_client)),
    _write("DELETE", "/clients/{client_id}", clients.delete_client, _result, body=_no_body),
    _write("POST", "/clients/{client_id}/archive", clients.archive_client, _result, body=_no_body),
    _write("POST", "/clients/{client_id}/restore", clients.restore_client, _as(v9_client), body=_optional_body),
    _write("POST", "/tags", tags.create_tag, _tag),
    _write("PUT", "/tags/{tag_id}", tags.update_tag, _tag),
    _write("DELETE", "/tags/{tag_id}", tags.delete_tag, _nothing, body=_no_body),
]  # fmt: skip
