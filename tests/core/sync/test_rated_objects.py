"""The histories of rates: which are read, how many requests that takes, and what they say about time entries."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import pytest
from support.pulls import Workspace

from airflow_provider_toggl.core.errors import AccessDenied, ConfigurationError, PayloadRefused
from airflow_provider_toggl.core.sync.pull import PullSummary, read_pages
from airflow_provider_toggl.sandbox.workspace.rates import RateHistories
from airflow_provider_toggl.sandbox.workspace.world import live

SOURCES = ("projects", "project_users", "tasks", "workspace_users", "workspaces")


@pytest.fixture
def workspace(build) -> Workspace:
    return build(entries=60, plan="premium")


def pull_rates(workspace: Workspace, **options: Any) -> PullSummary:
    """Pull what says whose rates changed, then rates."""
    for stream in SOURCES:
        workspace.pull(stream)
    return workspace.pull("rates", **options)


def rates_of(workspace: Workspace) -> RateHistories:
    return workspace.toggl.world.rates


def project_of(workspace: Workspace) -> Any:
    return next(one for one in live(workspace.toggl.world.projects.values()) if one.hourly_rate_cents)


def asked_for(workspace: Workspace) -> int:
    return len(workspace.calls("/rates/"))


def test_a_first_load_reads_the_history_of_each_object_that_has_a_rate(workspace: Workspace) -> None:
    summary = pull_rates(workspace)
    assert workspace.wrong("rates") == []
    assert summary.inserted == len(workspace.toggl.truth("rates")) > 0
    assert summary.requests == asked_for(workspace)
    assert summary.watermark is not None
    stored = workspace.content("rates")
    assert {row["level"] for row in stored} == {"project", "project_user", "task", "workspace_user"}
    assert {row["currency"] for row in stored} == {workspace.toggl.world.workspace.default_currency}


def test_a_run_without_a_change_costs_no_request(workspace: Workspace) -> None:
    pull_rates(workspace)
    workspace.toggl.advance(3600)
    summary = pull_rates(workspace)
    assert (summary.requests, summary.rows, summary.skipped) == (0, 0, "")


def test_only_histories_that_changed_are_read_again(workspace: Workspace) -> None:
    pull_rates(workspace)
    workspace.toggl.advance(3600)
    rates_of(workspace).set("billable_rates", project_of(workspace), 12_345, mode="start-today")
    rates_of(workspace).set("billable_rates", workspace.toggl.world.workspace, 4_000)
    assert pull_rates(workspace).requests == 2
    assert workspace.wrong("rates") == []


@pytest.mark.parametrize("listed", [True, False])
def test_rates_follow_changes_of_every_kind(workspace: Workspace, listed: bool) -> None:
    workspace.toggl.set(rates_list_deleted=listed)
    pull_rates(workspace)
    for seed in range(3):
        workspace.toggl.advance(86_400)
        workspace.toggl.mutate(seed=seed, n=40, kinds=["change_rate", "change_terms"])
        pull_rates(workspace)
        assert workspace.wrong("rates") == []


def test_a_deleted_rate_that_its_history_no_longer_has_is_absent(workspace: Workspace) -> None:
    workspace.toggl.set(rates_list_deleted=False)
    pull_rates(workspace)
    project = project_of(workspace)
    rate = rates_of(workspace).history("billable_rates", project)[-1]
    rates_of(workspace).delete(rate, project)
    workspace.toggl.advance(60)
    assert pull_rates(workspace).updated >= 1
    (row,) = workspace.rows(f"SELECT * FROM toggl.rates WHERE id = {rate.id}")
    assert row["absent_at"] > row["seen_at"]


def test_a_refusal_of_every_history_is_an_error_and_all_are_read_by_the_next_run(workspace: Workspace) -> None:
    workspace.toggl.fault("status", status=400, match={"path": "/rates/"}, times=None)
    with pytest.raises(PayloadRefused):
        pull_rates(workspace)
    workspace.toggl.clear_faults()
    pull_rates(workspace)
    assert workspace.wrong("rates") == []


def test_the_history_of_an_object_that_was_deleted_meanwhile_stops_no_other(workspace: Workspace) -> None:
    workspace.toggl.fault("status", status=400, match={"path": "/rates/"}, times=1)
    summary = pull_rates(workspace)
    assert (summary.skipped, len(workspace.wrong("rates")) > 0) == ("", True)
    assert {row["level"] for row in workspace.content("rates")} == {"project", "project_user", "task", "workspace_user"}


def test_a_run_that_stops_goes_on_with_the_histories_that_are_left(workspace: Workspace) -> None:
    asked = 0

    def refuse_after_five(call: Any) -> None:
        nonlocal asked
        asked += "/rates/" in call.path
        if asked > 5 and "/rates/" in call.path:
            raise AccessDenied("ordered by the test", status=403)

    for stream in SOURCES:
        workspace.pull(stream)
    started = workspace.now()
    stopped = workspace.pull("rates", before_call=refuse_after_five, run_started=started)
    assert "ordered by the test" in stopped.skipped
    assert len({(row["level"], row["level_id"], row["type"]) for row in workspace.content("rates")}) == 5
    before = asked_for(workspace)
    workspace.pull("rates")
    assert workspace.wrong("rates") == []
    # Those that changed in the same second as the last one are read again.
    histories = {(row["level"], row["level_id"], row["type"]) for row in workspace.content("rates")}
    assert asked_for(workspace) - before < len(histories)


def test_costs_that_the_token_may_not_see_are_null_and_prices_are_loaded(workspace: Workspace) -> None:
    for stream in SOURCES:
        workspace.pull(stream)
    workspace.toggl.set(labor_costs_shown=False)
    summary = workspace.pull("rates")
    assert summary.skipped == ""
    assert {row["type"] for row in workspace.content("rates")} == {"billable_rates"}
    workspace.toggl.set(labor_costs_shown=True)
    workspace.pull("rates")
    assert workspace.wrong("rates") == []


def test_a_plan_without_rates_costs_no_request(workspace: Workspace) -> None:
    workspace.toggl.set(plan="free")
    summary = pull_rates(workspace)
    assert (summary.requests, summary.rows, asked_for(workspace)) == (0, 0, 0)


def test_rates_are_not_complete_before_all_that_has_rates_is_loaded(workspace: Workspace, caplog) -> None:
    workspace.pull("projects")
    summary = workspace.pull("rates")
    assert summary.watermark is None
    assert "project_users, tasks, workspace_users, workspaces" in caplog.text
    assert pull_rates(workspace).watermark is not None
    assert workspace.wrong("rates") == []


def test_without_a_warehouse_rates_cannot_be_read(workspace: Workspace) -> None:
    with pytest.raises(ConfigurationError, match="Load it with TogglToSqlOperator"):
        read_pages(workspace.session(), workspace.request("rates", incremental=False))


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(1, 50))])
def test_what_entries_are_worth_is_what_the_report_says(build, seed: int) -> None:
    # With four users, one of them had left before: nobody can know that user's rates.
    workspace = build(seed=seed, entries=150, plan="premium", users=3)
    for entry in workspace.toggl.world.time_entries.values():
        entry.billable = True
    rng = random.Random(seed)
    for _ in range(3):
        workspace.toggl.mutate(
            seed=rng.randrange(99), n=30, kinds=["change_rate", "change_terms", "retime", "move_day"]
        )
        workspace.toggl.advance(86_400)
    pull_rates(workspace)
    workspace.pull(incremental=False, since=workspace.now().date() - timedelta(days=300))
    assert workspace.rows("SELECT * FROM toggl.time_entry_amount_differences") == []
    priced = workspace.rows("SELECT * FROM toggl.time_entry_amounts WHERE amount > 0")
    assert len({row["rate_level"] for row in priced}) >= 3
    costs = {
        row["time_entry_id"]: row["labor_cost"] for row in workspace.rows("SELECT * FROM toggl.time_entry_amounts")
    }
    world = workspace.toggl.world
    wrong = {
        id_
        for id_, cost in costs.items()
        if (None if cost is None else round(cost * 100)) != world.rates.cents_of("labor_costs", world.time_entries[id_])
    }
    assert not wrong


def test_the_rates_of_what_was_deleted_stay(workspace: Workspace) -> None:
    pull_rates(workspace)
    project = project_of(workspace)
    workspace.toggl.world.mark_deleted(project, workspace.toggl.world.owner)
    workspace.toggl.advance(3600)
    assert pull_rates(workspace).requests == 0
    stored = [row for row in workspace.content("rates") if row["project_id"] == project.id]
    assert stored
    assert not [row for row in stored if row["absent_at"]]


def test_an_amount_that_was_reported_before_the_rate_changed_is_listed(workspace: Workspace) -> None:
    workspace.pull()
    pull_rates(workspace)
    assert workspace.rows("SELECT * FROM toggl.time_entry_amount_differences") == []
    workspace.toggl.advance(3600)
    rates_of(workspace).set("billable_rates", project_of(workspace), 99_900, mode="override-all")
    pull_rates(workspace)
    found = workspace.rows("SELECT * FROM toggl.time_entry_amount_differences")
    assert found
    assert all(row["rate_changed_at"] > row["reported_at"] for row in found)
