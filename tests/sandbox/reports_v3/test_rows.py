"""The rows of detailed reports: keys, times, rounding, amounts and names."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from airflow_provider_toggl.sandbox.reports_v3.rows import report_row
from airflow_provider_toggl.sandbox.rest_v9.writes.entries import create_entry
from airflow_provider_toggl.sandbox.rest_v9.writes.request import WriteRequest
from airflow_provider_toggl.sandbox.workspace.records import TimeEntry
from airflow_provider_toggl.sandbox.workspace.seed import build_world
from airflow_provider_toggl.sandbox.workspace.world import World

NOW = datetime(2026, 3, 20, 15, 30, 0, 123450, tzinfo=timezone.utc)
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.fixture
def world() -> World:
    return build_world(entries=60, days=30, now=NOW, clock=lambda: NOW)


def create(world: World, **payload: Any) -> TimeEntry:
    body = {"created_with": "t", "start": "2026-03-19T08:00:00Z", **payload}
    return create_entry(WriteRequest(world, world.owner, body))


def project_with_client(world: World) -> int:
    return next(project.id for project in world.projects.values() if project.active and project.client_id)


def row_of(world: World, entry: TimeEntry, **options: Any) -> dict[str, Any]:
    return report_row(world, entry, BERLIN, row_number=1, **options)


def test_a_row_has_the_recorded_keys(world: World) -> None:
    row = row_of(world, create(world, duration=3600, description="x"))
    assert list(row) == [
        "user_id", "username", "project_id", "task_id", "billable", "description", "tag_ids",
        "billable_amount_in_cents", "hourly_rate_in_cents", "currency", "time_entries", "row_number",
    ]  # fmt: skip
    assert list(row["time_entries"][0]) == ["id", "seconds", "start", "stop", "at"]
    assert row["username"] == world.owner.fullname


def test_times_have_the_offset_of_the_users_zone(world: World) -> None:
    winter = row_of(world, create(world, start="2026-03-28T23:30:00Z", duration=7200))["time_entries"][0]
    assert (winter["start"], winter["stop"]) == ("2026-03-29T00:30:00+01:00", "2026-03-29T03:30:00+02:00")
    assert winter["at"] == "2026-03-20T15:30:00+00:00"


def test_times_can_be_in_utc(world: World) -> None:
    world.settings.report_times = "utc"
    assert row_of(world, create(world))["time_entries"][0]["start"] == "2026-03-19T08:00:00+00:00"


def test_a_running_entry_has_no_stop(world: World) -> None:
    entry = create(world, duration=-1)
    assert row_of(world, entry)["time_entries"][0]["stop"] is None
    assert row_of(world, entry)["time_entries"][0]["seconds"] == -1773907200
    world.settings.report_running_seconds = "elapsed"
    assert row_of(world, entry)["time_entries"][0]["seconds"] == 86400 + 7 * 3600 + 30 * 60


@pytest.mark.parametrize(
    ("rounding", "minutes", "seconds"),
    [(1, 0, 451), (1, 5, 600), (-1, 5, 300), (0, 5, 600), (0, 15, 900), (0, 60, 0), (1, 60, 3600), (-1, 60, 0)],
)
def test_seconds_are_rounded_and_times_are_not(world: World, rounding: int, minutes: int, seconds: int) -> None:
    row = row_of(world, create(world, duration=451), rounding=rounding, rounding_minutes=minutes)
    assert row["time_entries"][0]["seconds"] == seconds
    assert row["time_entries"][0]["stop"] == "2026-03-19T09:07:31+01:00"


def test_rounding_zero_can_mean_none(world: World) -> None:
    world.settings.report_rounding_zero = "none"
    row = row_of(world, create(world, duration=451), rounding=0, rounding_minutes=5)
    assert row["time_entries"][0]["seconds"] == 451


def test_amounts_need_a_paid_plan_and_can_be_hidden(world: World) -> None:
    world.settings.plan = "starter"
    project = next(project for project in world.projects.values() if project.hourly_rate_cents and project.active)
    world.rates.set("billable_rates", project, 9000, mode="override-all")
    entry = create(world, project_id=project.id, duration=1800, billable=True)
    row = row_of(world, entry)
    assert (row["billable_amount_in_cents"], row["hourly_rate_in_cents"], row["currency"]) == (4500, 9000, "USD")
    assert row_of(world, entry, hide_amounts=True)["billable_amount_in_cents"] is None
    world.settings.plan = "free"
    assert row_of(world, entry)["billable_amount_in_cents"] is None


def test_an_enriched_row_has_names(world: World) -> None:
    row = row_of(world, create(world, project_id=project_with_client(world), tags=["bug"]), enrich=True)
    assert row["tag_names"] == ["bug"]
    assert row["project_hex"].startswith("#")
    assert row["client_name"]
    assert row["email"] == world.owner.email


def test_a_missing_description_is_null_or_empty(world: World) -> None:
    entry = create(world)
    assert row_of(world, entry)["description"] is None
    world.settings.report_no_description_is_empty = True
    assert row_of(world, entry)["description"] == ""
