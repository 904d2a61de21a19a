from __future__ import annotations

from typing import Any

import pytest
from support.sandboxes import ApiCaller


@pytest.fixture
def project(toggl: ApiCaller) -> Any:
    toggl.sandbox.set(plan="premium")
    return next(one for one in toggl.world.projects.values() if one.hourly_rate_cents and one.deleted_at is None)


def history(toggl: ApiCaller, project: Any, **params: Any) -> Any:
    return toggl.get(f"/workspaces/{{ws}}/rates/project/{project.id}", **params).json()


def test_a_rate_that_is_set_is_in_the_history_and_deleted_ones_as_well(toggl: ApiCaller, project: Any) -> None:
    before = history(toggl, project)
    rate = {"level": "project", "level_id": project.id, "amount": 80.5, "mode": "override-all"}
    answer = toggl.write("POST", "/workspaces/{ws}/rates", {**rate, "type": "billable_rates"})
    assert (answer.status_code, answer.content) == (201, b"")
    rates = history(toggl, project)
    assert len(rates) == len(before) + 1
    assert [one["amount"] for one in rates if one["deleted_at"] is None] == [80.5]
    toggl.sandbox.set(rates_list_deleted=False)
    assert [one["amount"] for one in history(toggl, project)] == [80.5]
    assert toggl.get(f"/workspaces/{{ws}}/projects/{project.id}").json()["rate"] == 80.5


def test_a_project_s_rate_is_changed_by_its_mode(toggl: ApiCaller, project: Any) -> None:
    path = f"/workspaces/{{ws}}/projects/{project.id}"
    toggl.write("PUT", path, {"rate": 90, "rate_change_mode": "start-today"})
    assert toggl.get(path).json()["rate"] == 90
    assert len([one for one in history(toggl, project) if one["deleted_at"] is None]) >= 2


@pytest.mark.parametrize(
    ("plan", "kind", "status"),
    [("free", "billable_rates", 402), ("starter", "billable_rates", 200), ("starter", "labor_costs", 402)],
)
def test_a_plan_without_rates_refuses_them(toggl: ApiCaller, project: Any, plan: str, kind: str, status: int) -> None:
    toggl.sandbox.set(plan=plan)
    answer = toggl.get(f"/workspaces/{{ws}}/rates/workspace_user/{toggl.world.owner.workspace_user_id}", type=kind)
    assert answer.status_code == status


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("team/1", "Invalid level: it should be workspace, workspace_user, project or project_user"),
        ("project/1", "Invalid entity ID"),
        ("task/1", "Task not found in workspace"),
        ("workspace_user/1", "User not found in workspace"),
    ],
)
def test_what_does_not_exist_is_refused_in_toggl_s_words(toggl: ApiCaller, project: Any, path: str, text: str) -> None:
    answer = toggl.get(f"/workspaces/{{ws}}/rates/{path}")
    assert (answer.status_code, answer.json()) == (400, text)
