from __future__ import annotations

import json

import pytest
from support.pulls import Workspace

from airflow_provider_toggl.core import errors


@pytest.fixture
def workspace(build) -> Workspace:
    return build(entries=20, plan="premium")


def test_members_have_rates_costs_and_hours_and_follow_each_change(workspace: Workspace) -> None:
    summary = workspace.pull("workspace_users")
    assert (summary.requests, summary.skipped, summary.unseen) == (1, "", [])
    assert workspace.wrong("workspace_users") == []
    assert {row["working_hours_in_minutes"] for row in workspace.content("workspace_users")} >= {None, 480}
    workspace.toggl.mutate(seed=1, n=12, kinds=["change_terms"])
    workspace.toggl.mutate(seed=1, n=1, kinds=["remove_user"])
    assert workspace.wrong("workspace_users") != []
    assert workspace.pull("workspace_users").absent == 1
    assert workspace.wrong("workspace_users") == []


def test_costs_that_the_token_may_not_see_are_null_and_reported(workspace: Workspace) -> None:
    workspace.toggl.set(labor_costs_shown=False)
    summary = workspace.pull("workspace_users")
    assert summary.unseen == ["labor_cost"]
    assert "no labor_cost in any row" in str(summary)
    assert {row["labor_cost"] for row in workspace.content("workspace_users")} == {None}
    assert any(row["rate"] for row in workspace.content("workspace_users"))


def test_a_stream_that_the_token_may_not_read_is_skipped_with_its_reason(workspace: Workspace) -> None:
    workspace.pull("workspace_users")
    before = workspace.content("workspace_users")
    state = workspace.state("workspace_users")
    text = "User does not have access to this resource."
    workspace.toggl.fault("status", status=403, body=text, match={"path": "workspace_users$"}, times=2)
    for _ in range(2):
        summary = workspace.pull("workspace_users")
        assert summary.skipped.startswith("workspace_users needs a token")
        assert text in summary.skipped
        assert (summary.requests, summary.rows) == (2, 0)
    stored = workspace.state("workspace_users")
    assert json.loads(stored["cursor"])["skipped"] == summary.skipped
    assert stored["watermark"] == state["watermark"]
    assert stored["requests_spent"] == state["requests_spent"] + 4
    assert workspace.content("workspace_users") == before
    assert workspace.pull("workspace_users").skipped == ""
    assert not json.loads(workspace.state("workspace_users")["cursor"])["skipped"]


def test_a_workspace_that_the_token_does_not_see_is_no_reason_to_skip(workspace: Workspace) -> None:
    workspace.id = 12_345
    with pytest.raises(errors.AccessDenied, match="check the workspace ID"):
        workspace.pull("workspace_users")


def test_a_list_that_every_member_may_read_is_not_skipped(workspace: Workspace) -> None:
    workspace.toggl.fault("status", status=403, body="no", match={"path": "clients$"})
    with pytest.raises(errors.AccessDenied):
        workspace.pull("clients")
