"""Writes over HTTP: each endpoint reaches its write, and answers in Toggl's form."""

from __future__ import annotations

from typing import Any

import pytest
from support.sandboxes import ApiCaller

from airflow_provider_toggl.sandbox.workspace.world import WorldChange

ENTRIES = "/workspaces/{ws}/time_entries"


def create_entry(toggl: ApiCaller, **fields: Any) -> dict[str, Any]:
    body = {"created_with": "test", "start": "2026-03-10T10:00:00Z", "duration": 60, **fields}
    answer = toggl.write("POST", ENTRIES, body)
    assert answer.status_code == 200, answer.text
    created: dict[str, Any] = answer.json()
    return created


def test_a_time_entry_is_started_changed_stopped_and_deleted(toggl: ApiCaller) -> None:
    created = create_entry(toggl, duration=-1, description="first")
    path = f"{ENTRIES}/{created['id']}"
    assert created["duration"] == -1773136800
    assert toggl.get("/me/time_entries/current").json()["id"] == created["id"]
    assert toggl.write("PUT", path, {"description": "second"}).json()["description"] == "second"
    stopped = toggl.write("PATCH", path + "/stop").json()
    assert (stopped["stop"], stopped["duration"]) == ("2026-03-10T12:00:00Z", 7200)
    again = toggl.write("PATCH", path + "/stop")
    assert (again.status_code, again.json()) == (409, "Time entry already stopped")
    deleted = toggl.write("DELETE", path)
    assert (deleted.status_code, deleted.content) == (200, b"")
    assert toggl.get(f"/me/time_entries/{created['id']}").status_code == 404


def test_an_answer_to_a_creation_has_other_times_and_tags_than_a_read(toggl: ApiCaller) -> None:
    created = create_entry(toggl)
    read = toggl.get(f"/me/time_entries/{created['id']}").json()
    assert (created["start"], created["tags"]) == ("2026-03-10T10:00:00Z", None)
    assert (read["start"], read["tags"]) == ("2026-03-10T10:00:00+00:00", [])


def test_a_bulk_patch_changes_each_entry_by_itself(toggl: ApiCaller) -> None:
    one, two = create_entry(toggl), create_entry(toggl)
    operations = [{"op": "replace", "path": "/description", "value": "both"}]
    result = toggl.write("PATCH", f"{ENTRIES}/{one['id']},{two['id']},5", operations).json()
    assert result["success"] == [one["id"], two["id"]]
    assert [failure["id"] for failure in result["failure"]] == [5]


@pytest.mark.parametrize("ids", ["x", "1,,2", "1;2"])
def test_malformed_ids_of_a_bulk_patch_are_refused(toggl: ApiCaller, ids: str) -> None:
    assert toggl.write("PATCH", f"{ENTRIES}/{ids}", []).status_code == 400


@pytest.mark.parametrize("name", ["projects", "clients", "tags"])
def test_a_record_is_created_renamed_and_deleted(toggl: ApiCaller, name: str) -> None:
    created = toggl.write("POST", f"/workspaces/{{ws}}/{name}", {"name": "Brand new"}).json()
    path = f"/workspaces/{{ws}}/{name}/{created['id']}"
    assert toggl.write("PUT", path, {"name": "Newer"}).json()["name"] == "Newer"
    deleted = toggl.write("DELETE", path)
    assert (deleted.status_code, deleted.content) == (200, b"" if name == "tags" else str(created["id"]).encode())
    (row,) = [row for row in toggl.sandbox.truth(name) if row["id"] == created["id"]]
    assert row["deleted_at"]


def test_projects_have_a_bulk_patch(toggl: ApiCaller) -> None:
    id_ = next(iter(toggl.world.projects))
    operations = [{"op": "replace", "path": "/active", "value": False}]
    result = toggl.write("PATCH", f"/workspaces/{{ws}}/projects/{id_}", operations).json()
    assert result == {"success": [id_], "failure": []}


def test_the_deletion_mode_of_a_project_is_a_query_parameter(toggl: ApiCaller) -> None:
    project = toggl.write("POST", "/workspaces/{ws}/projects", {"name": "Brand new", "active": True}).json()
    entry = create_entry(toggl, project_id=project["id"])
    toggl.write("DELETE", f"/workspaces/{{ws}}/projects/{project['id']}", teDeletionMode="delete")
    assert toggl.world.time_entries[entry["id"]].deleted_at is not None


def test_a_client_is_archived_and_restored(toggl: ApiCaller) -> None:
    toggl.sandbox.set(plan="premium")
    path = f"/workspaces/{{ws}}/clients/{next(iter(toggl.world.clients))}"
    assert isinstance(toggl.write("POST", path + "/archive").json(), list)
    assert toggl.get(path).json()["archived"] is True
    assert toggl.write("POST", path + "/restore", {"restore_all_projects": True}).json()["archived"] is False


def test_the_answer_to_a_written_tag_may_be_an_array(toggl: ApiCaller) -> None:
    toggl.sandbox.set(tag_write_answer="array")
    (created,) = toggl.write("POST", "/workspaces/{ws}/tags", {"name": "brand new"}).json()
    assert created["name"] == "brand new"


def test_a_task_is_created_changed_and_deleted(toggl: ApiCaller) -> None:
    toggl.sandbox.set(plan="starter")
    project = next(one.id for one in toggl.world.projects.values() if one.active and one.deleted_at is None)
    path = f"/workspaces/{{ws}}/projects/{project}/tasks"
    created = toggl.write("POST", path, {"name": "Brand new"}).json()
    assert toggl.write("PUT", f"{path}/{created['id']}", {"active": False}).json()["active"] is False
    assert toggl.write("DELETE", f"{path}/{created['id']}").json() == str(created["id"])


def test_a_user_is_added_to_a_project(toggl: ApiCaller) -> None:
    project = toggl.write("POST", "/workspaces/{ws}/projects", {"name": "Brand new"}).json()
    user = next(one.id for one in toggl.world.users.values() if one.id != toggl.world.owner.id)
    body = {"project_id": project["id"], "user_id": user}
    assert toggl.write("POST", "/workspaces/{ws}/project_users", body).json()["user_id"] == user


def test_listeners_receive_the_user_and_the_request_of_a_change(toggl: ApiCaller) -> None:
    changes: list[WorldChange] = []
    toggl.world.listeners.append(changes.append)
    toggl.write("POST", "/workspaces/{ws}/tags", {"name": "brand new"})
    (change,) = changes
    assert (change.kind, change.action, change.actor) == ("tag", "created", toggl.world.owner)
    assert change.request == {
        "method": "POST",
        "path": f"/api/v9/workspaces/{toggl.sandbox.workspace_id}/tags",
        "body": {"name": "brand new"},
        "text": '{"name": "brand new"}',
    }


@pytest.mark.parametrize("body", [[], "text", 5, None])
def test_a_body_that_is_not_an_object_is_refused(toggl: ApiCaller, body: object) -> None:
    answer = toggl.write("POST", "/workspaces/{ws}/tags", body)
    assert (answer.status_code, answer.json()) == (400, "Invalid JSON input")
