"""Generates what people cost: rates, labor costs and working hours of users."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

from airflow_provider_toggl.sandbox.workspace.world import World


def add_terms(world: World, rng: random.Random, founded: datetime, now: datetime) -> None:
    """Give rates, labor costs and working hours to most users; every third has no rate, every fourth no hours.

    :param rng: of its own, so that the other records stay those of the same seed.
    """
    whole_days = max(1, (now - founded).days)
    for index, user in enumerate(world.users.values()):
        at = founded + timedelta(days=rng.randrange(whole_days))
        if index % 3 != 2:
            user.rate_cents, user.rate_changed_at = 100 * rng.randrange(60, 180), at
        if index % 5 != 4:
            user.labor_cost_cents, user.labor_cost_changed_at = 50 * rng.randrange(50, 160), at
        if index % 4 != 3:
            user.working_hours_in_minutes = rng.choice((480, 480, 360, 240))
