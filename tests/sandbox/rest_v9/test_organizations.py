from __future__ import annotations

from typing import Any

import pytest
from support.sandboxes import ApiCaller


def test_the_organization_read_by_its_id_has_no_plan_name(toggl: ApiCaller) -> None:
    assert toggl.get("/organizations/{org}").json()["pricing_plan_name"] == ""
    assert toggl.get("/me/organizations").json()[0]["pricing_plan_name"] == "Free"


def test_the_people_of_the_organization_come_by_pages_that_headers_count(toggl: ApiCaller) -> None:
    live = [user for user in toggl.world.users.values() if user.deleted_at is None]
    answer = toggl.get("/organizations/{org}/users", per_page=3, page=2)
    assert len(answer.json()) == 3
    shown = {name: answer.headers[name] for name in ("X-Page", "X-Page-Size", "X-Pages", "X-Records", "X-Sort-Order")}
    assert shown == {
        "X-Page": "2",
        "X-Page-Size": "3",
        "X-Pages": str(-(-len(live) // 3)),
        "X-Records": str(len(live)),
        "X-Sort-Order": "asc",
    }
    names = [row["name"] for row in toggl.get("/organizations/{org}/users").json()]
    assert names == sorted(names, key=str.casefold)
    assert [row["name"] for row in toggl.get("/organizations/{org}/users/detailed", sort_dir="desc").json()] == names[
        ::-1
    ]


def test_people_are_selected_by_each_filter(toggl: ApiCaller) -> None:
    users = [user for user in toggl.world.users.values() if user.deleted_at is None]
    group = next(iter(toggl.world.groups.values()))

    def selected(**query: Any) -> set[int]:
        return {row["user_id"] for row in toggl.get("/organizations/{org}/users", **query).json()}

    assert selected(filter=users[0].email.upper()) == {users[0].id}
    assert selected(active_status="inactive") == {user.id for user in users if user.inactive} != set()
    assert selected(only_admins="true") == {user.id for user in users if user.is_admin}
    assert selected(groups=group.id) == set(group.user_ids) & {user.id for user in users}


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"page": 0}, "page parameter must contain values > 0."),
        ({"per_page": "many"}, "Invalid value sent for 'per_page'."),
        ({"sort_dir": "up"}, "sort_dir parameter can contain only 'asc' or 'desc'."),
    ],
)
def test_a_parameter_that_is_wrong_is_named(toggl: ApiCaller, query: dict[str, Any], message: str) -> None:
    answer = toggl.get("/organizations/{org}/users", **query)
    assert (answer.status_code, answer.json()) == (400, message)


def test_only_administrators_list_the_people(toggl: ApiCaller) -> None:
    user = next(one for one in toggl.world.users.values() if not one.is_admin and one.deleted_at is None)
    caller = ApiCaller(toggl.sandbox, token=user.token)
    answer = caller.get("/organizations/{org}/users")
    caller.close()
    assert (answer.status_code, answer.json()) == (403, "User is not authorized to list the organization users")


def test_memberships_have_two_names_for_user_and_workspace_here(toggl: ApiCaller) -> None:
    rows = toggl.get("/organizations/{org}/workspaces/{ws}/workspace_users").json()
    assert all(row["user_id"] == row["uid"] and row["workspace_id"] == row["wid"] for row in rows)
    page = toggl.get("/organizations/{org}/workspaces/{ws}/workspace_users", page=2, per_page=3).json()
    assert page == rows[3:6]


@pytest.mark.parametrize("path", ["/organizations/{org}/groups", "/organizations/{org}/workspaces/{ws}/groups"])
def test_groups_come_by_name_with_their_people(toggl: ApiCaller, path: str) -> None:
    rows = toggl.get(path).json()
    assert [row["name"] for row in rows] == sorted(row["name"] for row in rows)
    members = {group.id: group.user_ids for group in toggl.world.groups.values()}
    assert {row["group_id"]: [one["user_id"] for one in row["users"]] for row in rows} == members
    assert [row["name"] for row in toggl.get(path, name=rows[0]["name"]).json()] == [rows[0]["name"]]


def test_a_new_organization_is_answered_but_the_sandbox_keeps_its_one(toggl: ApiCaller) -> None:
    shown = toggl.write("POST", "/organizations", {"name": "New", "workspace_name": "First"}).json()
    assert list(shown) == ["id", "name", "workspace_id", "workspace_name"]
    assert len(toggl.get("/me/organizations").json()) == 1
    for body in ({}, {"name": "New"}):
        assert toggl.write("POST", "/organizations", body).status_code == 400


def test_the_audit_log_needs_premium_and_an_administrator(toggl: ApiCaller) -> None:
    path = "/audit_logs/{org}/2020-01-01T00:00:00Z/2030-01-01T00:00:00Z"
    refused = toggl.get(path)
    assert (refused.status_code, refused.json()) == (403, "User does not have access to the audit logs")
    toggl.sandbox.set(plan="premium")
    assert toggl.get(path).status_code == 200
    assert toggl.get("/audit_logs/{org}/2020-01-01/tomorrow").status_code == 400
    toggl.world.owner.is_admin = False
    assert toggl.get(path).status_code == 403


def test_the_audit_log_is_filtered_and_comes_by_pages_or_whole(toggl: ApiCaller) -> None:
    toggl.sandbox.set(plan="premium")
    toggl.sandbox.mutate(seed=1, n=60, kinds=["create_tag", "rename_client"])
    path = "/audit_logs/{org}/2020-01-01T00:00:00Z/2030-01-01T00:00:00Z"
    whole = toggl.get(path, export="true").json()
    first, second = (toggl.get(path, page_number=number).json() for number in (1, 2))
    assert len(first) == 50
    assert [*first, *second] == whole[: 50 + len(second)]
    tags = toggl.get(path, export="true", entity_type="tag", action="created").json()
    assert tags == [row for row in whole if (row["entity_type"], row["action"]) == ("tag", "created")] != []
    one = tags[0]["entity_id"]
    assert [row["entity_id"] for row in toggl.get(path, entity_type="tag", entity_id=one).json()] == [one]
    assert toggl.get(path, workspace_id=1).json() == []
