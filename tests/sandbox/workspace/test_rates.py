from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_provider_toggl.sandbox.workspace.seed import build_world
from airflow_provider_toggl.sandbox.workspace.world import World, live

NOW = datetime(2026, 3, 20, 15, 30, tzinfo=timezone.utc)
DAY = timedelta(days=1)


@pytest.fixture
def world() -> World:
    return build_world(entries=20, now=NOW, clock=lambda: NOW, plan="premium")


def a_task(world: World) -> Any:
    """Return a task without a rate."""
    tasks = live(world.tasks.values())
    return next(task for task in tasks if not world.rates.history("billable_rates", task))


def amounts(world: World, task: Any, *days: int) -> list[int | None]:
    return [world.rates.cents_at("billable_rates", task, NOW + day * DAY) for day in days]


def test_a_rate_from_a_day_on_leaves_the_days_before_and_ends_where_the_next_one_starts(world: World) -> None:
    task = a_task(world)
    world.rates.set("billable_rates", task, 100, mode="override-all")
    world.rates.set("billable_rates", task, 300, start=NOW + 10 * DAY)
    world.rates.set("billable_rates", task, 200, start=NOW - 10 * DAY)
    assert amounts(world, task, -11, -10, 0, 9, 10) == [100, 200, 200, 200, 300]


def test_override_all_holds_always_and_override_current_in_place_of_the_present_one(world: World) -> None:
    task = a_task(world)
    world.rates.set("billable_rates", task, 100, mode="override-all")
    world.rates.set("billable_rates", task, 200, start=NOW - DAY)
    world.rates.set("billable_rates", task, 250, mode="override-current")
    assert amounts(world, task, -2, 0) == [100, 250]
    world.rates.set("billable_rates", task, 400, mode="override-all")
    assert amounts(world, task, -2, 0) == [400, 400]


def test_start_today_begins_at_midnight_of_the_actor_s_zone(world: World) -> None:
    task = a_task(world)
    world.rates.set("billable_rates", task, 100, mode="start-today")
    (rate,) = world.rates.history("billable_rates", task)
    # The owner is in Berlin.
    assert rate.start == datetime(2026, 3, 19, 23, tzinfo=timezone.utc)


def test_a_change_moves_the_record_s_at_and_says_when_the_rate_changed(world: World) -> None:
    task = a_task(world)
    assert world.rates.changed_at("billable_rates", task) is None
    world.rates.set("billable_rates", task, 100)
    assert (task.at, world.rates.changed_at("billable_rates", task)) == (NOW, NOW)


@pytest.mark.parametrize(
    ("plan", "refusals"), [("free", (402, 402)), ("starter", (None, 402)), ("premium", (None, None))]
)
def test_plans_show_rates_from_starter_and_costs_from_premium_on(
    world: World, plan: str, refusals: tuple[int | None, ...]
) -> None:
    world.settings.update({"plan": plan})
    found = [world.rates.refusal(kind) for kind in ("billable_rates", "labor_costs")]
    assert tuple(one and one[0] for one in found) == refusals
