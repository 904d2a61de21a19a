from __future__ import annotations

from datetime import datetime, timezone
from itertools import pairwise

import pytest

from airflow_provider_toggl.sandbox.workspace.seed import build_world
from airflow_provider_toggl.sandbox.workspace.world import World, live

NOW = datetime(2026, 3, 20, 15, 30, tzinfo=timezone.utc)


@pytest.fixture(scope="module")
def world() -> World:
    return build_world(entries=50, now=NOW, clock=lambda: NOW, plan="premium")


def test_people_have_rates_costs_and_hours_or_none(world: World) -> None:
    for name in ("rate_cents", "labor_cost_cents", "working_hours_in_minutes"):
        values = {getattr(user, name) for user in world.users.values()}
        assert None in values
        assert len(values) > 2


def test_timesheets_of_a_setup_are_its_weeks_and_have_every_status(world: World) -> None:
    sheets = list(world.timesheets.values())
    assert {sheet.status for sheet in sheets} == {"open", "submitted", "approved", "rejected"}
    for setup in live(world.timesheet_setups.values()):
        days = [sheet.start_date for sheet in sheets if sheet.timesheet_setup_id == setup.id]
        assert days[0] == setup.start_date
        assert {(later - day).days for day, later in pairwise(days)} == {7}
    for sheet in sheets:
        assert (sheet.decided_at is not None) == (sheet.status in ("approved", "rejected"))
        assert sheet.at <= NOW


@pytest.mark.parametrize(
    "table", ["invoices", "expenses", "project_groups", "timesheet_setups", "currencies", "goals", "alerts"]
)
def test_one_of_each_is_deleted_and_others_are_not(world: World, table: str) -> None:
    records = getattr(world, table).values()
    assert len(live(records)) == len(records) - 1 > 1


def test_invoices_and_expenses_have_more_than_one_currency(world: World) -> None:
    assert len({invoice.currency for invoice in world.invoices.values()}) > 1
    assert len({expense.currency for expense in world.expenses.values()}) > 1


def test_a_workspace_without_projects_and_groups_has_no_groups_of_projects() -> None:
    assert build_world(entries=0, projects=0, groups=0, now=NOW, clock=lambda: NOW).project_groups == {}
    assert build_world(entries=0, users=1, now=NOW, clock=lambda: NOW).timesheets == {}
