"""Generates histories of rates: earlier rates, rates of tasks, and costs of project members."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

from airflow_provider_toggl.sandbox.workspace.rates import AMOUNTS, LEVELS, Rated
from airflow_provider_toggl.sandbox.workspace.records import Project
from airflow_provider_toggl.sandbox.workspace.world import World, live


def add_rates(world: World, rng: random.Random, now: datetime) -> None:
    """Give histories to some records. Their present amounts stay as they are.

    :param rng: of its own, so that the other records stay those of the same seed.
    """
    world.rates.begin()
    rates, midnight = world.rates, now.replace(hour=0, minute=0, second=0, microsecond=0)

    def some_day() -> datetime:
        return midnight - timedelta(days=rng.randrange(5, 60))

    for user in live(world.users.values())[::2]:
        for kind in LEVELS:
            _change_before(world, kind, user, getattr(user, AMOUNTS[kind, "workspace_user"]), some_day())
    for project in [one for one in live(world.projects.values()) if one.hourly_rate_cents is not None][::2]:
        _change_before(world, "billable_rates", project, project.hourly_rate_cents, some_day())
    for task in live(world.tasks.values())[::5]:
        rates.set("billable_rates", task, 100 * rng.randrange(70, 200), quietly=True, at=task.at)
    for member in live(world.project_users.values())[::4]:
        rates.set("labor_costs", member, 50 * rng.randrange(50, 160), quietly=True, at=member.at)


def _change_before(world: World, kind: str, record: Rated, present: int | None, start: datetime) -> None:
    """Let the present amount of a record hold only since a day, and a lower one before."""
    if present is None:
        return
    first = record.created_at if isinstance(record, Project) else record.at
    world.rates.set(kind, record, present * 4 // 5, mode="override-all", quietly=True, at=first)
    world.rates.set(kind, record, present, start=start, quietly=True, at=max(start, first))
