from __future__ import annotations

import pytest
from support.sandboxes import ApiCaller

from airflow_provider_toggl.sandbox.workspace.world import WorldChange

START = "2026-03-10T10:00:00Z"


def make_entry(toggl: ApiCaller, **payload: object) -> dict[str, object]:
    body = {"created_with": "test", "start": START, "workspace_id": toggl.sandbox.workspace_id, **payload}
    answer = toggl.write("POST", "/workspaces/{ws}/time_entries", body)
    assert answer.status_code == 200, answer.text
    told: dict[str, object] = answer.json()
    return told


def test_an_entry_lives_through_its_whole_life(toggl: ApiCaller) -> None:
    made = make_entry(toggl, duration=-1, description="first")
    path = f"/workspaces/{{ws}}/time_entries/{made['id']}"
    assert made["duration"] == -1773136800
    assert toggl.get("/me/time_entries/current").json()["id"] == made["id"]
    assert toggl.write("PUT", path, {"description": "second"}).json()["description"] == "second"
    stopped = toggl.write("PATCH", path + "/stop").json()
    assert (stopped["stop"], stopped["duration"]) == ("2026-03-10T12:00:00Z", 7200)
    again = toggl.write("PATCH", path + "/stop")
    assert (again.status_code, again.json()) == (409, "Time entry already stopped")
    gone = toggl.write("DELETE", path)
    assert (gone.status_code, gone.content) == (200, b"")
    assert toggl.get(f"/me/time_entries/{made['id']}").status_code == 404


def test_times_end_with_z_in_answer_to_a_write_and_with_an_offset_when_read(toggl: ApiCaller) -> None:
    made = make_entry(toggl, duration=60)
    assert made["start"] == "2026-03-10T10:00:00Z"
    assert toggl.get(f"/me/time_entries/{made['id']}").json()["start"] == "2026-03-10T10:00:00+00:00"


def test_no_tags_are_null_in_answer_to_a_create_and_empty_when_read(toggl: ApiCaller) -> None:
    made = make_entry(toggl, duration=60)
    assert (made["tags"], made["tag_ids"]) == (None, None)
    assert toggl.get(f"/me/time_entries/{made['id']}").json()["tags"] == []


def test_several_entries_are_changed_at_once_each_by_itself(toggl: ApiCaller) -> None:
    one, two = make_entry(toggl, duration=60), make_entry(toggl, duration=70)
    operations = [{"op": "replace", "path": "/description", "value": "both"}]
    told = toggl.write("PATCH", f"/workspaces/{{ws}}/time_entries/{one['id']},{two['id']},5", operations).json()
    assert told["success"] == [one["id"], two["id"]]
    assert [failure["id"] for failure in told["failure"]] == [5]
    assert toggl.get(f"/me/time_entries/{two['id']}").json()["description"] == "both"


@pytest.mark.parametrize("ids", ["x", "1,,2", "1;2"])
def test_ids_that_are_none_are_refused(toggl: ApiCaller, ids: str) -> None:
    answer = toggl.write("PATCH", f"/workspaces/{{ws}}/time_entries/{ids}", [])
    assert answer.status_code == 400


def test_more_than_a_hundred_ids_are_refused(toggl: ApiCaller) -> None:
    ids = ",".join(map(str, range(101)))
    operations = [{"op": "replace", "path": "/description", "value": "x"}]
    assert toggl.write("PATCH", f"/workspaces/{{ws}}/time_entries/{ids}", operations).status_code == 400


def test_a_project_is_made_changed_and_deleted(toggl: ApiCaller) -> None:
    made = toggl.write("POST", "/workspaces/{ws}/projects", {"name": "Brand new", "active": True}).json()
    path = f"/workspaces/{{ws}}/projects/{made['id']}"
    assert toggl.write("PUT", path, {"name": "Newer"}).json()["name"] == "Newer"
    told = toggl.write(
        "PATCH", f"/workspaces/{{ws}}/projects/{made['id']}", [{"op": "replace", "path": "/active", "value": False}]
    ).json()
    assert told == {"success": [made["id"]], "failure": []}
    gone = toggl.write("DELETE", path)
    assert (gone.status_code, gone.json()) == (200, made["id"])


@pytest.mark.parametrize("mode", ["unassign", "delete"])
def test_deleting_a_project_does_to_its_entries_what_is_asked(toggl: ApiCaller, mode: str) -> None:
    made = toggl.write("POST", "/workspaces/{ws}/projects", {"name": "Brand new", "active": True}).json()
    entry = make_entry(toggl, duration=60, project_id=made["id"])
    toggl.write("DELETE", f"/workspaces/{{ws}}/projects/{made['id']}", teDeletionMode=mode)
    row = next(row for row in toggl.sandbox.truth("time_entries") if row["id"] == entry["id"])
    assert (row["deleted_at"] is not None) is (mode == "delete")
    assert row["project_id"] is None or mode == "delete"


def test_a_color_of_one_s_own_needs_a_plan(toggl: ApiCaller) -> None:
    id_ = next(iter(toggl.world.projects))
    answer = toggl.write("PUT", f"/workspaces/{{ws}}/projects/{id_}", {"color": "#FFFFFF"})
    assert (answer.status_code, answer.json()) == (402, "Custom project colors available only for premium plans")


def test_a_client_is_made_changed_archived_restored_and_deleted(toggl: ApiCaller) -> None:
    toggl.sandbox.set(plan="premium")
    made = toggl.write("POST", "/workspaces/{ws}/clients", {"name": "Brand new"}).json()
    path = f"/workspaces/{{ws}}/clients/{made['id']}"
    assert toggl.write("PUT", path, {"name": "Newer"}).json()["name"] == "Newer"
    assert toggl.write("POST", path + "/archive").json() == []
    assert toggl.get(path).json()["archived"] is True
    assert toggl.write("POST", path + "/restore", {"restore_all_projects": True}).json()["archived"] is False
    assert toggl.write("DELETE", path).json() == made["id"]
    assert toggl.get(path).status_code == 404


def test_a_tag_is_made_renamed_and_deleted(toggl: ApiCaller) -> None:
    made = toggl.write("POST", "/workspaces/{ws}/tags", {"name": "brand new"}).json()
    path = f"/workspaces/{{ws}}/tags/{made['id']}"
    assert toggl.write("PUT", path, {"name": "newer"}).json()["name"] == "newer"
    assert toggl.write("DELETE", path).status_code == 200
    assert made["id"] not in {row["id"] for row in toggl.get("/workspaces/{ws}/tags").json()}


def test_a_written_tag_is_answered_alone_or_in_an_array(toggl: ApiCaller) -> None:
    toggl.sandbox.set(tag_write_answer="array")
    (made,) = toggl.write("POST", "/workspaces/{ws}/tags", {"name": "brand new"}).json()
    assert made["name"] == "brand new"


def test_a_task_is_made_changed_and_deleted_where_the_plan_has_tasks(toggl: ApiCaller) -> None:
    project = next(one.id for one in toggl.world.projects.values() if one.active and one.deleted_at is None)
    path = f"/workspaces/{{ws}}/projects/{project}/tasks"
    assert toggl.write("POST", path, {"name": "Brand new"}).status_code == 402
    toggl.sandbox.set(plan="starter")
    made = toggl.write("POST", path, {"name": "Brand new"}).json()
    assert toggl.write("PUT", f"{path}/{made['id']}", {"active": False}).json()["active"] is False
    assert toggl.write("DELETE", f"{path}/{made['id']}").json() == str(made["id"])


def test_a_user_is_made_a_member_of_a_project_once(toggl: ApiCaller) -> None:
    made = toggl.write("POST", "/workspaces/{ws}/projects", {"name": "Brand new", "active": True}).json()
    user = next(one.id for one in toggl.world.users.values() if one.id != toggl.world.owner.id)
    body = {"project_id": made["id"], "user_id": user}
    assert toggl.write("POST", "/workspaces/{ws}/project_users", body).json()["user_id"] == user
    again = toggl.write("POST", "/workspaces/{ws}/project_users", body)
    assert (again.status_code, again.json()) == (400, "Project user already exists")


def test_those_who_listen_are_told_who_changed_what_by_which_request(toggl: ApiCaller) -> None:
    heard: list[WorldChange] = []
    toggl.world.listeners.append(heard.append)
    toggl.write("POST", "/workspaces/{ws}/tags", {"name": "brand new"})
    (change,) = heard
    assert (change.kind, change.action, change.actor) == ("tag", "created", toggl.world.owner)
    assert change.request == {
        "method": "POST",
        "path": f"/api/v9/workspaces/{toggl.sandbox.workspace_id}/tags",
        "body": {"name": "brand new"},
        "text": '{"name": "brand new"}',
    }


@pytest.mark.parametrize("body", [[], "text", 5, None])
def test_a_payload_that_is_no_object_is_refused(toggl: ApiCaller, body: object) -> None:
    answer = toggl.write("POST", "/workspaces/{ws}/tags", body)
    assert (answer.status_code, answer.json()) == (400, "Invalid JSON input")
