from __future__ import annotations

import json
from dataclasses import replace

import pytest
from support.pulls import STREAMS as FIRST
from support.pulls import Workspace

from airflow_provider_toggl.core import errors
from airflow_provider_toggl.core.streams import STREAMS
from airflow_provider_toggl.core.sync.pull import read_pages
from airflow_provider_toggl.sandbox.mutate import KINDS


@pytest.fixture
def workspace(build) -> Workspace:
    return build(entries=20, plan="premium")


def test_members_have_rates_costs_and_hours_and_follow_each_change(workspace: Workspace) -> None:
    summary = workspace.pull("workspace_users")
    assert (summary.requests, summary.skipped, summary.unseen) == (1, "", [])
    assert workspace.wrong("workspace_users") == []
    assert {row["working_hours_in_minutes"] for row in workspace.content("workspace_users")} >= {None, 480}
    wait(workspace)
    workspace.toggl.mutate(seed=1, n=12, kinds=["change_terms"])
    workspace.toggl.mutate(seed=1, n=1, kinds=["remove_user"])
    assert workspace.wrong("workspace_users") != []
    assert workspace.pull("workspace_users").absent == 1
    assert workspace.wrong("workspace_users") == []


def wait(workspace: Workspace) -> None:
    """Let time pass: a list of the same second as the one before does not show which of the two is later."""
    workspace.toggl.advance(2)
    workspace.clock.ahead += 2


@pytest.mark.parametrize(
    "stream", [name for name in STREAMS if name not in FIRST and STREAMS[name].listing != "histories"]
)
def test_a_stream_reaches_the_truth_through_changes_and_deletions(workspace: Workspace, stream: str) -> None:
    assert workspace.pull(stream).inserted > 0
    assert workspace.wrong(stream) == []
    wait(workspace)
    kinds = [kind for kind, (_, of, _) in KINDS.items() if of == stream or "workspace_user" in stream or of == "users"]
    workspace.toggl.mutate(seed=2, n=30, kinds=kinds)
    workspace.pull(stream, absent_share=1.0)
    assert workspace.wrong(stream) == []
    assert workspace.pull(stream).updated == 0


def test_each_page_of_timesheets_is_read(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    small = replace(STREAMS["timesheets"], per_page=15)
    monkeypatch.setitem(STREAMS, "timesheets", small)
    pages = -(-len(workspace.toggl.truth("timesheets")) // 15)
    assert workspace.pull("timesheets").requests == pages > 2
    assert workspace.wrong("timesheets") == []


def test_an_envelope_of_timesheets_that_is_in_no_array_is_read_too(workspace: Workspace) -> None:
    workspace.toggl.set(timesheets_answer="object")
    workspace.pull("timesheets")
    assert workspace.wrong("timesheets") == []


@pytest.mark.parametrize("stream", ["timesheets", "timesheet_setups"])
def test_approvals_that_the_plan_lacks_are_skipped_until_it_has_them(workspace: Workspace, stream: str) -> None:
    workspace.toggl.set(plan="starter")
    summary = workspace.pull(stream)
    assert summary.skipped.startswith(f"{stream} is not part of the workspace's plan.")
    assert "Approvals are a premium feature" in summary.skipped
    assert (summary.requests, summary.watermark) == (1, None)
    assert workspace.rows(f"SELECT count(*) AS n FROM toggl.{stream}") == [{"n": 0}]
    workspace.toggl.set(plan="premium")
    assert workspace.pull(stream).skipped == ""
    assert workspace.wrong(stream) == []


def test_alerts_are_skipped_where_the_plan_has_none(workspace: Workspace) -> None:
    workspace.toggl.set(plan="free")
    assert workspace.pull("alerts").skipped.startswith("alerts is not part of the workspace's plan.")


def test_goals_are_skipped_where_the_plan_has_none_of_the_team(workspace: Workspace) -> None:
    workspace.toggl.set(plan="free")
    summary = workspace.pull("goals")
    assert summary.skipped.startswith("goals needs a plan with team goals")
    assert "User has no access to team goals feature" in summary.skipped
    assert workspace.rows("SELECT count(*) AS n FROM toggl.goals") == [{"n": 0}]
    workspace.toggl.set(plan="starter", team_goals_alone=True)
    workspace.pull("goals")
    owner = workspace.toggl.world.owner.id
    assert {row["user_id"] for row in workspace.content("goals")} == {
        row["user_id"] for row in workspace.toggl.truth("goals") if row["user_id"] != owner
    }


def test_an_endpoint_that_gives_the_same_page_again_is_not_asked_forever(workspace: Workspace) -> None:
    page = [{"user_invoice_id": number, "workspace_id": workspace.id} for number in range(50)]
    workspace.toggl.fault("status", status=200, body=page, match={"path": "invoices$"}, times=None)
    with pytest.raises(errors.MalformedAnswer, match="Two pages of invoices are the same"):
        workspace.pull("invoices")
    assert len(workspace.calls("invoices")) == 2


@pytest.mark.parametrize(
    ("stream", "secret"),
    [("workspaces", "api_token"), ("workspaces", "ical_url"), ("expenses", "download_url")],
)
def test_a_key_that_is_a_secret_leaves_the_reader_with_no_page(workspace: Workspace, stream: str, secret: str) -> None:
    path = STREAMS[stream].path.format(workspace_id=workspace.id)
    assert secret in workspace.session().request("GET", path).text
    for page in read_pages(workspace.session(), workspace.request(stream)):
        assert secret.encode() not in page.body


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
