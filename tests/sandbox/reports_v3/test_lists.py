from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.sandboxes import ApiCaller

from airflow_provider_toggl.sandbox.workspace.records import Project
from airflow_provider_toggl.sandbox.workspace.world import live


def rows(toggl: ApiCaller, list_name: str, /, **body: Any) -> list[dict[str, Any]]:
    answer = toggl.report(list_name, body)
    assert answer.status_code == 200, answer.text
    shown: list[dict[str, Any]] = answer.json()
    return shown


def ids(shown: list[dict[str, Any]]) -> set[int]:
    return {row["id"] for row in shown}


@pytest.mark.parametrize("name", ["users", "projects", "clients", "tasks"])
def test_a_search_needs_a_condition_and_a_filter_does_not(toggl: ApiCaller, name: str) -> None:
    refused = toggl.report(f"search/{name}", {})
    assert (refused.status_code, refused.json()) == (400, "At least one parameter must be set")
    assert toggl.report(f"search/{name}", {"start": 0}).status_code == 200
    assert toggl.report(f"filters/{name}").status_code == 200


@pytest.mark.parametrize("name", ["users", "projects", "clients", "tasks"])
def test_a_list_without_conditions_has_all_live_records_on_pages_by_id(toggl: ApiCaller, name: str) -> None:
    toggl.sandbox.set(report_lists_page_size=4)
    every: list[int] = []
    start = 0
    while page := rows(toggl, f"filters/{name}", start=start):
        assert len(page) <= 4
        every += [row["id"] for row in page]
        start = every[-1] + 1
    toggl.sandbox.set(report_lists_page_size=201)
    assert every == [row["id"] for row in rows(toggl, f"filters/{name}")]
    assert name == "users" or set(every) == toggl.live_ids(name)


def test_users_are_active_ones_unless_asked_for_by_id(toggl: ApiCaller) -> None:
    users = toggl.world.users.values()
    active = {one.id for one in users if one.deleted_at is None and not one.inactive}
    assert ids(rows(toggl, "filters/users")) == active
    inactive = {one.id for one in users if one.deleted_at is None and one.inactive}
    assert ids(rows(toggl, "filters/users", active=False)) == inactive != set()
    gone = next(one.id for one in users if one.deleted_at is not None)
    (row,) = rows(toggl, "search/users", ids=[gone])
    assert row["deleted_at"] is not None
    assert list(row) == [
        "id", "fullname", "email", "active", "deactivated", "deleted_at", "avatar", "workspace_user_id",
    ]  # fmt: skip


@pytest.mark.parametrize(("name", "most"), [("users", 100), ("clients", 2000), ("tasks", 2000), ("projects", 2000)])
def test_more_ids_than_allowed_are_refused(toggl: ApiCaller, name: str, most: int) -> None:
    refused = toggl.report(f"filters/{name}", {"ids": list(range(most + 1))})
    assert (refused.status_code, refused.json()) == (400, f"Maximum count of posted IDs is {most}")


def test_projects_are_selected_by_each_filter(toggl: ApiCaller) -> None:
    projects = live(toggl.world.projects.values())
    some = next(one for one in projects if one.client_id is not None)

    def wanted(test: Callable[[Project], bool]) -> set[int]:
        return {one.id for one in projects if test(one)}

    selections: list[tuple[dict[str, Any], set[int]]] = [
        ({"ids": [some.id]}, {some.id}),
        ({"client_ids": [some.client_id]}, wanted(lambda one: one.client_id == some.client_id)),
        ({"client_ids": [None]}, wanted(lambda one: not one.client_id)),
        ({"is_active": False}, wanted(lambda one: not one.active)),
        ({"is_private": True}, wanted(lambda one: one.is_private)),
        ({"is_billable": True}, wanted(lambda one: one.billable)),
        ({"currency": "XXX"}, set()),
    ]
    for body, selected in selections:
        assert ids(rows(toggl, "filters/projects", **body)) == selected, body
    assert some.id in ids(rows(toggl, "filters/projects", name=some.name[:3].upper()))
    assert len(rows(toggl, "filters/projects", page_size=3)) == 3


def test_tasks_are_selected_by_each_filter(toggl: ApiCaller) -> None:
    tasks = live(toggl.world.tasks.values())
    some = next(one for one in tasks if one.user_id is not None)
    of_project = {one.id for one in tasks if one.project_id == some.project_id}
    assert ids(rows(toggl, "filters/tasks", project_ids=[some.project_id])) == of_project
    of_user = {one.id for one in tasks if one.user_id == some.user_id}
    assert ids(rows(toggl, "filters/tasks", user_ids=[some.user_id])) == of_user
    assert ids(rows(toggl, "filters/tasks", active=False)) == {one.id for one in tasks if not one.active}
    active = {one.id for one in tasks if toggl.world.projects[one.project_id].active}
    assert ids(rows(toggl, "filters/tasks", project_active=True)) == active


def test_members_are_asked_for_by_project_or_client(toggl: ApiCaller) -> None:
    members = live(toggl.world.project_users.values())
    project = members[0].project_id
    of_project = {one.id for one in members if one.project_id == project}
    assert ids(rows(toggl, "filters/project_users", project_ids=[project])) == of_project
    client_of = {one.id: one.client_id for one in toggl.world.projects.values()}
    client = next(client_of[one.project_id] for one in members if client_of[one.project_id] is not None)
    of_client = {one.id for one in members if client_of[one.project_id] == client}
    assert ids(rows(toggl, "filters/project_users", client_ids=[client])) == of_client
    assert toggl.report("filters/project_users", {}).status_code == 400


def test_no_project_of_the_sandbox_has_a_group(toggl: ApiCaller) -> None:
    assert rows(toggl, "filters/project_groups", project_ids=[1]) == []
    assert toggl.report("filters/project_groups", {}).status_code == 400


def test_status_lists_have_tracked_seconds_of_projects_and_tasks(toggl: ApiCaller) -> None:
    entries = [one for one in toggl.live_entries() if one.duration > 0]
    some = next(one for one in entries if one.task_id is not None)
    tracked = sum(one.duration for one in entries if one.project_id == some.project_id)
    (row,) = rows(toggl, "filters/projects/status", ids=[some.project_id])
    assert (row["tracked_seconds"], row["billable_amount"]) == (tracked, None)
    toggl.sandbox.set(plan="premium")
    (task,) = rows(toggl, "filters/tasks/status", ids=[some.task_id])
    assert task["tracked_seconds"] == sum(one.duration for one in entries if one.task_id == some.task_id)
    assert any(row["billable_amount"] for row in rows(toggl, "filters/projects/status"))


@pytest.mark.parametrize("body", [{"ids": 5}, {"ids": ["x"]}, {"start": "x"}, {"page_size": 1.5}])
def test_conditions_of_another_type_are_refused(toggl: ApiCaller, body: dict[str, Any]) -> None:
    assert toggl.report("filters/projects", body).status_code == 400
