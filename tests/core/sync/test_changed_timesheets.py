"""The histories of timesheets: which are read, and how many requests that takes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from support.pulls import Workspace

from airflow_provider_toggl.core.sync import changed_timesheets
from airflow_provider_toggl.core.sync.changed_timesheets import FIRST_REACHES
from airflow_provider_toggl.core.sync.pull import PullSummary
from airflow_provider_toggl.core.sync.rated_objects import rows_of
from airflow_provider_toggl.sandbox.workspace.records import TimeEntry, Timesheet
from airflow_provider_toggl.sandbox.workspace.world import live


@pytest.fixture
def workspace(build) -> Workspace:
    return build(entries=20, plan="premium")


def pull_histories(workspace: Workspace, **options: Any) -> PullSummary:
    workspace.pull("timesheets")
    return workspace.pull("timesheet_history", **options)


def sheets_of(workspace: Workspace, status: str) -> list[Timesheet]:
    return [one for one in workspace.toggl.world.timesheets.values() if one.status == status]


def move(workspace: Workspace, sheet: Timesheet, **fields: Any) -> None:
    workspace.toggl.world.change(sheet, fields, workspace.toggl.world.owner)


def wait(workspace: Workspace) -> None:
    workspace.toggl.advance(3600)
    workspace.clock.ahead += 3600


def test_all_histories_are_read_on_request(workspace: Workspace) -> None:
    summary = pull_histories(workspace, incremental=False)
    handed_in = [one for one in workspace.toggl.world.timesheets.values() if one.submitted_at]
    assert summary.requests == len(handed_in) > 0
    assert workspace.wrong("timesheet_history") == []


def test_a_first_load_reads_the_timesheets_that_changed_in_the_last_month(workspace: Workspace) -> None:
    since = workspace.now() - FIRST_REACHES
    latest = [
        one
        for one in workspace.toggl.world.timesheets.values()
        if one.submitted_at and max(one.submitted_at, one.decided_at or one.submitted_at) >= since
    ]
    assert pull_histories(workspace).requests == len(latest) > 0


def test_only_timesheets_that_changed_are_read_again(workspace: Workspace) -> None:
    pull_histories(workspace, incremental=False)
    assert pull_histories(workspace).requests == 0
    wait(workspace)
    sheet, now = sheets_of(workspace, "submitted")[0], workspace.toggl.world.now()
    move(workspace, sheet, status="approved", decided_at=now, decided_by=workspace.toggl.world.owner.id)
    wait(workspace)
    assert pull_histories(workspace).requests == 1
    assert workspace.wrong("timesheet_history") == []
    wait(workspace)
    assert pull_histories(workspace).requests == 0


def test_a_reopened_timesheet_is_read_again_though_it_lost_its_times(workspace: Workspace) -> None:
    pull_histories(workspace, incremental=False)
    wait(workspace)
    sheet = sheets_of(workspace, "approved")[0]
    move(workspace, sheet, status="open", submitted_at=None, decided_at=None, decided_by=None)
    assert pull_histories(workspace).requests == 1
    assert workspace.wrong("timesheet_history") == []
    assert pull_histories(workspace).requests == 0
    steps = workspace.rows(
        f"SELECT action FROM toggl.timesheet_history WHERE timesheet_setup_id = {sheet.timesheet_setup_id} "
        f"AND start_date = '{sheet.start_date}' ORDER BY created_at"
    )
    assert [row["action"] for row in steps] == ["submitted", "approved", "reopened"]


def test_the_history_of_a_timesheet_that_is_gone_stays(workspace: Workspace) -> None:
    pull_histories(workspace, incremental=False)
    before = workspace.content("timesheet_history")
    workspace.toggl.mutate(seed=1, n=1, kinds=["delete_timesheet_setup"])
    wait(workspace)
    workspace.pull("timesheets", absent_share=1.0)
    assert workspace.pull("timesheet_history").requests == 0
    assert workspace.content("timesheet_history") == before


def test_an_answer_with_time_entries_is_kept_whole(workspace: Workspace) -> None:
    workspace.toggl.set(timesheet_history_answer="entries")
    summary = pull_histories(workspace, incremental=False)
    assert summary.rejected == 0
    for row in workspace.content("timesheet_history"):
        assert row["action"] is None
        assert row["created_at"] - row["updated_at"] < timedelta(seconds=1)
        assert '"duration": ' in row["record"]


def test_a_plan_without_approvals_costs_no_request_for_histories(workspace: Workspace) -> None:
    workspace.toggl.set(plan="starter")
    assert pull_histories(workspace).requests == 0


@pytest.mark.parametrize("step", [1, -1])
def test_records_that_a_history_no_longer_has_cost_no_request_each_night(
    build: Any, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    # No engine promises an order of rows.
    monkeypatch.setattr(changed_timesheets, "rows_of", lambda *of: rows_of(*of)[::step])
    workspace: Workspace = build(entries=200, plan="premium")
    workspace.toggl.set(timesheet_history_answer="entries")
    world = workspace.toggl.world
    pull_histories(workspace, incremental=False)
    sheet = next(one for one in sheets_of(workspace, "submitted") if len(entries_of(workspace, one)) > 1)
    wait(workspace)
    world.mark_deleted(entries_of(workspace, sheet)[-1], world.owner)
    move(workspace, sheet, status="approved", decided_at=world.now(), decided_by=world.owner.id)
    wait(workspace)
    assert pull_histories(workspace).requests == 1
    wait(workspace)
    assert pull_histories(workspace).requests == 0


def entries_of(workspace: Workspace, sheet: Timesheet) -> list[TimeEntry]:
    days = [sheet.start_date, sheet.end_date]
    entries = live(workspace.toggl.world.time_entries.values())
    return [one for one in entries if one.user_id == sheet.member_id and days[0] <= one.start.date() <= days[1]]
