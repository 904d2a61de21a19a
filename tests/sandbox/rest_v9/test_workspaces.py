from __future__ import annotations

from typing import Any

import pytest
from support.sandboxes import ApiCaller


def ids(rows: list[dict[str, Any]]) -> set[int]:
    return {row["id"] for row in rows}


def test_the_workspace_says_its_plan(toggl: ApiCaller) -> None:
    assert toggl.get("/workspaces/{ws}").json()["premium"] is False
    toggl.sandbox.set(plan="premium")
    shown = toggl.get("/workspaces/{ws}").json()
    assert (shown["premium"], shown["business_ws"]) == (True, True)


def test_those_who_left_are_among_the_users_unless_excluded(toggl: ApiCaller) -> None:
    world = toggl.world
    assert ids(toggl.get("/workspaces/{ws}/users").json()) == set(world.users)
    assert ids(toggl.get("/workspaces/{ws}/users", exclude_deleted="true").json()) == toggl.live_ids("users")
    toggl.sandbox.set(users_list_deleted=False)
    assert ids(toggl.get("/workspaces/{ws}/users").json()) == toggl.live_ids("users") != set(world.users)


def test_users_can_be_asked_for_by_id(toggl: ApiCaller) -> None:
    id_ = toggl.world.owner.id
    assert ids(toggl.write("POST", "/workspaces/{ws}/users/data", {"user_ids": [id_, 1]}).json()) == {id_}
    for body, message in (
        ({"user_ids": []}, "user_ids must not be empty"),
        ({"user_ids": list(range(151))}, "user_ids must not contain more than 150 elements"),
    ):
        assert toggl.write("POST", "/workspaces/{ws}/users/data", body).json() == message


def test_memberships_have_ids_of_their_own(toggl: ApiCaller) -> None:
    rows = toggl.get("/workspaces/{ws}/workspace_users", includeIndirect="true").json()
    users = [user for user in toggl.world.users.values() if user.deleted_at is None]
    assert {(row["id"], row["uid"]) for row in rows} == {(user.workspace_user_id, user.id) for user in users}


def test_groups_and_statistics_count_what_is_there(toggl: ApiCaller) -> None:
    assert ids(toggl.get("/workspaces/{ws}/groups").json()) == toggl.live_ids("groups")
    shown = toggl.get("/workspaces/{ws}/statistics").json()
    assert shown["groups_count"] == len(toggl.live_ids("groups"))
    assert shown["members_count"] == len(toggl.live_ids("users"))
    assert toggl.world.owner.id in {admin["user_id"] for admin in shown["admins"]}


def test_clients_are_active_ones_unless_asked_otherwise(toggl: ApiCaller) -> None:
    clients = toggl.world.clients.values()
    active = {one.id for one in clients if one.deleted_at is None and not one.archived}
    assert ids(toggl.get("/workspaces/{ws}/clients").json()) == active
    assert ids(toggl.get("/workspaces/{ws}/clients", status="both").json()) == toggl.live_ids("clients")
    archived = toggl.live_ids("clients") - active
    assert ids(toggl.get("/workspaces/{ws}/clients", status="archived").json()) == archived != set()
    refused = toggl.get("/workspaces/{ws}/clients", status="lost")
    assert (refused.status_code, refused.json()) == (400, "Client status is invalid")


def test_clients_are_found_by_a_part_of_their_name_and_by_id(toggl: ApiCaller) -> None:
    one = next(client for client in toggl.world.clients.values() if not client.archived and not client.deleted_at)
    assert one.id in ids(toggl.get("/workspaces/{ws}/clients", name=one.name[1:4].upper()).json())
    assert toggl.get(f"/workspaces/{{ws}}/clients/{one.id}").json()["name"] == one.name
    assert ids(toggl.write("POST", "/workspaces/{ws}/clients/data", {"client_ids": [one.id]}).json()) == {one.id}
    assert toggl.write("POST", "/workspaces/{ws}/clients/data", {"client_ids": 1}).status_code == 400
    refused = toggl.get("/workspaces/{ws}/clients/1")
    assert (refused.status_code, refused.json()) == (404, "No client with ID 1 was found")


def test_tags_come_all_at_once_or_by_pages_of_a_largest_size(toggl: ApiCaller) -> None:
    every = toggl.get("/workspaces/{ws}/tags").json()
    assert ids(every) == toggl.live_ids("tags")
    toggl.sandbox.set(tags_largest_per_page=4)
    paged: list[Any] = []
    page = 1
    while rows := toggl.get("/workspaces/{ws}/tags", page=page, per_page=500).json():
        assert len(rows) <= 4
        paged += rows
        page += 1
    assert paged == every
    name = every[0]["name"]
    found = toggl.get("/workspaces/{ws}/tags", search=name.upper()).json()
    assert ids(found) == {row["id"] for row in every if name in row["name"]}


def test_pages_of_projects_have_their_size(toggl: ApiCaller) -> None:
    first = toggl.get("/workspaces/{ws}/projects")
    assert first.headers["X-Page-Size"] == "151"
    assert ids(first.json()) == toggl.live_ids("projects")
    paged: list[Any] = []
    page = 1
    while rows := toggl.get("/workspaces/{ws}/projects", page=page, per_page=10).json():
        paged += rows
        page += 1
    assert paged == first.json()
    assert page == 4


@pytest.mark.parametrize(("query", "status"), [({"per_page": 200}, 200), ({"per_page": 201}, 400), ({"page": 0}, 400)])
def test_pages_of_projects_have_a_largest_size(toggl: ApiCaller, query: dict[str, Any], status: int) -> None:
    assert toggl.get("/workspaces/{ws}/projects", **query).status_code == status


def test_projects_are_selected_by_each_filter(toggl: ApiCaller) -> None:
    world = toggl.world
    projects = [one for one in world.projects.values() if one.deleted_at is None]
    some = next(one for one in projects if one.client_id is not None)

    def selected(**query: Any) -> set[int]:
        return ids(toggl.get("/workspaces/{ws}/projects", **query).json())

    assert selected(active="true") == {one.id for one in projects if one.active}
    assert selected(active="false") == {one.id for one in projects if not one.active}
    assert selected(active="both") == toggl.live_ids("projects")
    assert selected(client_ids=some.client_id) == {one.id for one in projects if one.client_id == some.client_id}
    assert selected(project_ids=f"{some.id},1") == {some.id}
    assert some.id in selected(name=some.name[:3])
    assert selected(billable="true") == {one.id for one in projects if one.billable}
    assert selected(statuses="archived") == {one.id for one in projects if not one.active}
    assert selected(only_templates="true") == set()
    owner = world.owner.id
    members = {one.project_id for one in world.project_users.values() if one.user_id == owner and not one.deleted_at}
    assert selected(only_me="true") == selected(user_ids=owner) == members & toggl.live_ids("projects")


def test_projects_are_sorted_as_asked(toggl: ApiCaller) -> None:
    def names(**query: Any) -> list[str]:
        return [row["name"].casefold() for row in toggl.get("/workspaces/{ws}/projects", **query).json()]

    assert names() == sorted(names())
    assert names(sort_order="DESC") == names()[::-1]
    created = [row["created_at"] for row in toggl.get("/workspaces/{ws}/projects", sort_field="created_at").json()]
    assert created == sorted(created)


def test_projects_since_include_deleted_ones(toggl: ApiCaller) -> None:
    toggl.sandbox.advance(60)
    since = int(toggl.world.now().timestamp())
    gone = min(toggl.live_ids("projects"))
    toggl.write("DELETE", f"/workspaces/{{ws}}/projects/{gone}")
    (row,) = [one for one in toggl.get("/workspaces/{ws}/projects", since=since).json() if one["id"] == gone]
    assert row["server_deleted_at"] == "2026-03-10T12:01:00+00:00"
    assert toggl.get("/workspaces/{ws}/projects", since="x").status_code == 400


def test_one_project_is_read_by_its_id(toggl: ApiCaller) -> None:
    id_ = min(toggl.live_ids("projects"))
    assert toggl.get(f"/workspaces/{{ws}}/projects/{id_}").json()["id"] == id_
    refused = toggl.get("/workspaces/{ws}/projects/1")
    assert (refused.status_code, refused.json()) == (400, "Invalid project_id")


def test_tasks_come_in_an_envelope_that_knows_how_many_there_are(toggl: ApiCaller) -> None:
    every = toggl.get("/workspaces/{ws}/tasks").json()
    assert (every["page"], every["per_page"], every["sort_field"], every["sort_order"]) == (1, 50, "name", "ASC")
    assert ids(every["data"]) == toggl.live_ids("tasks")
    second = toggl.get("/workspaces/{ws}/tasks", page=2, per_page=12).json()
    assert second["data"] == every["data"][12:24]
    assert second["total_count"] == len(toggl.live_ids("tasks"))
    turned = toggl.get("/workspaces/{ws}/tasks", sort_order="DESC").json()
    assert turned["data"] == every["data"][::-1]


def test_tasks_are_selected_by_each_filter(toggl: ApiCaller) -> None:
    tasks = [one for one in toggl.world.tasks.values() if one.deleted_at is None]
    some = tasks[0]

    def selected(path: str = "/workspaces/{ws}/tasks", **query: Any) -> set[int]:
        return ids(toggl.get(path, **query).json()["data"])

    assert selected(active="true") == {one.id for one in tasks if one.active}
    assert selected(active="both") == {one.id for one in tasks}
    assert selected(pid=some.project_id) == {one.id for one in tasks if one.project_id == some.project_id}
    assert some.id in selected(search=some.name[:3].lower())
    day = some.at.date().isoformat()
    assert selected(start_date=day, end_date=day) == {one.id for one in tasks if one.at.date() == some.at.date()}
    basic = "/workspaces/{ws}/tasks/basic"
    assert selected(basic, task_ids=some.id, only_me="false", active="both") == {some.id}
    assert selected(basic, only_me="false") == {one.id for one in tasks if one.active}
    mine = {one.id for one in tasks if one.active and one.user_id in (None, toggl.world.owner.id)}
    assert selected(basic) == mine


def test_the_tasks_of_a_project_are_a_bare_array(toggl: ApiCaller) -> None:
    some = next(one for one in toggl.world.tasks.values() if one.deleted_at is None)
    rows = toggl.get(f"/workspaces/{{ws}}/projects/{some.project_id}/tasks").json()
    assert some.id in ids(rows)
    assert {row["project_id"] for row in rows} == {some.project_id}
    only = toggl.get(f"/workspaces/{{ws}}/projects/{some.project_id}/tasks", active="true").json()
    assert all(row["active"] for row in only)


def test_members_of_projects_are_selected_by_project_and_user(toggl: ApiCaller) -> None:
    members = [one for one in toggl.world.project_users.values() if one.deleted_at is None]
    some = members[0]
    assert ids(toggl.get("/workspaces/{ws}/project_users").json()) == {one.id for one in members}
    shown = toggl.get("/workspaces/{ws}/project_users", project_ids=some.project_id, user_id=some.user_id).json()
    assert ids(shown) == {some.id}
    many = ",".join(map(str, range(201)))
    refused = toggl.get("/workspaces/{ws}/project_users", project_ids=many)
    assert (refused.status_code, refused.json()) == (400, "project_ids cannot exceed 200 elements.")
