"""The periods of recurring projects: which are read, and how many requests that takes."""

from __future__ import annotations

import pytest
from support.pulls import Workspace

from airflow_provider_toggl.core.sync.pull import PullSummary


@pytest.fixture
def workspace(build) -> Workspace:
    return build(entries=5, plan="premium")


def pull_periods(workspace: Workspace) -> PullSummary:
    workspace.pull("projects")
    return workspace.pull("project_periods")


def wait(workspace: Workspace, days: int) -> None:
    workspace.toggl.advance(86_400 * days)
    workspace.clock.ahead += 86_400 * days


def test_each_recurring_project_costs_one_request_until_its_period_is_over(workspace: Workspace) -> None:
    recurring = {period.project_id for period in workspace.toggl.world.project_periods.values()}
    assert pull_periods(workspace).requests == len(recurring) > 0
    assert workspace.wrong("project_periods") == []
    owner = workspace.toggl.world.owner
    workspace.toggl.world.change(workspace.toggl.world.projects[min(recurring)], {"name": "Another"}, owner)
    assert pull_periods(workspace).requests == 0
    wait(workspace, 7)
    assert workspace.wrong("project_periods") != []
    assert pull_periods(workspace).requests == len(recurring)
    assert workspace.wrong("project_periods") == []
    assert pull_periods(workspace).requests == 0


def test_a_project_that_begins_to_recur_is_read(workspace: Workspace) -> None:
    pull_periods(workspace)
    workspace.toggl.mutate(seed=1, n=1, kinds=["recur_project"])
    assert pull_periods(workspace).requests == 1
    assert workspace.wrong("project_periods") == []


def test_an_answer_with_the_current_period_alone_adds_one_each_time(workspace: Workspace) -> None:
    workspace.toggl.set(project_periods_answer="object")
    summaries = []
    for _ in range(2):
        summaries.append(pull_periods(workspace))
        wait(workspace, 7)
    first, second = summaries
    assert first.inserted == second.inserted == first.requests > 0
    assert workspace.rows("SELECT count(*) AS n FROM toggl.project_periods") == [{"n": 2 * first.inserted}]


def test_a_plan_without_recurring_projects_costs_no_request(workspace: Workspace) -> None:
    workspace.toggl.set(plan="free")
    assert pull_periods(workspace).requests == 0


def test_without_projects_in_the_warehouse_nothing_is_asked(workspace: Workspace) -> None:
    summary = workspace.pull("project_periods")
    assert (summary.requests, summary.watermark) == (0, None)
