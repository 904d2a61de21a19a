from __future__ import annotations

from datetime import datetime, timezone

from airflow_provider_toggl.sandbox.workspace.seed import build_world
from airflow_provider_toggl.sandbox.workspace.truth import truth

NOW = datetime(2026, 3, 20, 15, 30, tzinfo=timezone.utc)


def test_a_world_has_earlier_and_present_rates_and_costs() -> None:
    world = build_world(entries=20, now=NOW, clock=lambda: NOW, plan="premium")
    rates = truth(world, "rates")
    assert {(row["type"], row["level"]) for row in rates} == {
        ("billable_rates", "task"),
        ("billable_rates", "project"),
        ("billable_rates", "project_user"),
        ("billable_rates", "workspace_user"),
        ("labor_costs", "project_user"),
        ("labor_costs", "workspace_user"),
    }
    assert any(row["end"] for row in rates)
    assert all(row["created_at"] <= "2026-03-20T15:30:00Z" for row in rates)


def test_the_same_seed_gives_the_same_rates() -> None:
    one, other = (build_world(entries=20, now=NOW, clock=lambda: NOW, plan="premium") for _ in range(2))
    assert truth(one, "rates") == truth(other, "rates")
