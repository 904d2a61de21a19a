from __future__ import annotations

import pytest
from support.sandboxes import ApiCaller


@pytest.fixture
def premium(toggl: ApiCaller) -> ApiCaller:
    toggl.sandbox.set(plan="premium")
    return toggl


@pytest.mark.parametrize("name", ["timesheets", "timesheet_setups"])
def test_approvals_need_premium_and_an_administrator(toggl: ApiCaller, name: str) -> None:
    refused = toggl.get(f"/workspaces/{{ws}}/{name}")
    assert (refused.status_code, refused.json()) == (402, "Approvals are a premium feature")
    toggl.sandbox.set(plan="premium")
    assert toggl.get(f"/workspaces/{{ws}}/{name}").status_code == 200
    toggl.world.owner.is_admin = False
    assert toggl.get(f"/workspaces/{{ws}}/{name}").status_code == 403


def test_timesheets_come_by_pages_in_an_envelope(premium: ApiCaller) -> None:
    (first,) = premium.get("/workspaces/{ws}/timesheets").json()
    assert (len(first["data"]), first["page"], first["per_page"]) == (20, 1, 20)
    (whole,) = premium.get("/workspaces/{ws}/timesheets", per_page=1000).json()
    assert len(whole["data"]) == whole["total_count"] == first["total_count"] > 20
    (too_many,) = premium.get("/workspaces/{ws}/timesheets", per_page=1001).json()
    assert len(too_many["data"]) == 20
    premium.sandbox.set(timesheets_answer="object")
    assert premium.get("/workspaces/{ws}/timesheets").json()["total_count"] == first["total_count"]


def test_timesheets_are_selected_by_day_and_member(premium: ApiCaller) -> None:
    (whole,) = premium.get("/workspaces/{ws}/timesheets", per_page=1000).json()
    days = sorted({row["start_date"] for row in whole["data"]})
    member = whole["data"][0]["member_id"]
    (some,) = premium.get(
        "/workspaces/{ws}/timesheets", per_page=1000, after=days[0], before=days[3], member_ids=member
    ).json()
    assert [row["start_date"] for row in some["data"]] == days[1:3]
    assert {row["member_id"] for row in some["data"]} == {member}


def test_groups_of_projects_may_need_the_projects(toggl: ApiCaller) -> None:
    rows = toggl.get("/workspaces/{ws}/project_groups").json()
    assert {row["id"] for row in rows} == toggl.live_ids("project_groups")
    toggl.sandbox.set(project_groups_need_ids=True)
    assert toggl.get("/workspaces/{ws}/project_groups").status_code == 400
    some = toggl.get("/workspaces/{ws}/project_groups", project_ids=rows[0]["pid"]).json()
    assert [row["id"] for row in some] == [row["id"] for row in rows if row["pid"] == rows[0]["pid"]]


def test_administrators_see_all_invoices_and_expenses_and_others_their_own_expenses(toggl: ApiCaller) -> None:
    shown = {row["user_invoice_id"] for row in toggl.get("/workspaces/{ws}/invoices").json()}
    assert shown == toggl.live_ids("invoices")
    assert len(toggl.get("/workspaces/{ws}/invoices", per_page=5, page=2).json()) == 5
    assert {row["id"] for row in toggl.get("/workspaces/{ws}/expenses").json()} == toggl.live_ids("expenses")
    toggl.world.owner.is_admin = False
    assert toggl.get("/workspaces/{ws}/invoices").status_code == 403
    assert {row["user_id"] for row in toggl.get("/workspaces/{ws}/expenses").json()} <= {toggl.world.owner.id}


def test_currencies_are_texts(toggl: ApiCaller) -> None:
    assert toggl.get("/workspaces/{ws}/currencies").json() == ["USD", "EUR", "GBP"]


def test_goals_are_the_user_s_own_or_with_team_goals_everybody_s(toggl: ApiCaller) -> None:
    def ids(**query: object) -> set[int]:
        return {row["goal_id"] for row in toggl.get("/workspaces/{ws}/goals", **query).json()}

    owner = toggl.world.owner.id
    own = {goal.id for goal in toggl.world.goals.values() if goal.user_id == owner and goal.deleted_at is None}
    assert ids() == own
    refused = toggl.get("/workspaces/{ws}/goals", team_goals="true")
    assert (refused.status_code, refused.json()) == (403, "User has no access to team goals feature")
    toggl.sandbox.set(plan="starter")
    everybody = ids(team_goals="true")
    assert everybody == toggl.live_ids("goals") > own
    archived = ids(team_goals="true", active="false")
    assert len(archived) == 1
    assert ids(team_goals="true", active="true") == everybody - archived
    assert len(ids(team_goals="true", per_page=2, page=2)) == 2
    toggl.sandbox.set(goals_list_archived=False, team_goals_alone=True)
    assert ids(team_goals="true") == everybody - archived - own


def test_alerts_need_a_paid_plan_unless_a_setting_says_otherwise(toggl: ApiCaller) -> None:
    assert toggl.get("/workspaces/{ws}/alerts").status_code == 402
    toggl.sandbox.set(alerts_need_paid_plan=False)
    assert {row["id"] for row in toggl.get("/workspaces/{ws}/alerts").json()} == toggl.live_ids("alerts")


def test_the_constraints_of_time_entries_are_an_object_without_an_id(toggl: ApiCaller) -> None:
    shown = toggl.get("/workspaces/{ws}/time_entry_constraints").json()
    assert set(shown.values()) == {True, False}
    assert not {"id", "workspace_id"} & shown.keys()


def test_the_history_of_a_timesheet_has_what_was_done_or_by_a_setting_the_entries_of_its_week(
    premium: ApiCaller,
) -> None:
    sheet = next(one for one in premium.world.timesheets.values() if one.status == "approved")
    path = f"/workspaces/{{ws}}/timesheets/{sheet.timesheet_setup_id}/{sheet.start_date}/history"
    assert [row["action"] for row in premium.get(path).json()] == ["submitted", "approved"]
    premium.sandbox.set(timesheet_history_answer="entries")
    assert {row["user_id"] for row in premium.get(path).json()} <= {sheet.member_id}
    assert premium.get(path.replace(str(sheet.start_date), "2001-01-01")).status_code == 400
    premium.sandbox.set(plan="free")
    assert premium.get(path).status_code == 402
