"""Rates and amounts."""

from __future__ import annotations

import pytest

from airflow_provider_toggl.sandbox.workspace.billing import amount_cents, rate_of
from airflow_provider_toggl.sandbox.workspace.seed import build_world


@pytest.mark.parametrize(("seconds", "rate", "cents"), [(3600, 9000, 9000), (1, 1800, 1), (1, 1799, 0), (0, 9000, 0)])
def test_half_a_cent_is_rounded_up(seconds: int, rate: int, cents: int) -> None:
    assert amount_cents(seconds, rate) == cents


def test_the_rate_is_that_of_the_project_if_plan_and_entry_are_billable() -> None:
    world = build_world(entries=200, plan="starter")
    billable = next(
        entry
        for entry in world.time_entries.values()
        if entry.billable and entry.project_id and world.projects[entry.project_id].hourly_rate_cents
    )
    assert rate_of(world, billable) == world.projects[billable.project_id or 0].hourly_rate_cents
    billable.billable = False
    assert rate_of(world, billable) is None
    billable.billable = True
    world.settings.plan = "free"
    assert rate_of(world, billable) is None
