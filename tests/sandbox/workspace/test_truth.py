"""The truth that a warehouse is compared with."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

import pytest

from airflow_provider_toggl.sandbox.workspace.seed import build_world
from airflow_provider_toggl.sandbox.workspace.truth import SOURCES, STREAMS, UnknownStream, truth
from airflow_provider_toggl.sandbox.workspace.world import World, live

NOW = datetime(2026, 3, 20, 15, 30, 0, 123456, tzinfo=timezone.utc)


@pytest.fixture(scope="module")
def world() -> World:
    return build_world(entries=500, now=NOW, plan="premium", clock=lambda: NOW)


@pytest.mark.parametrize("stream", STREAMS)
def test_each_stream_is_json_sorted_by_id_with_deleted_ones_marked(world: World, stream: str) -> None:
    rows = truth(world, stream)
    assert json.loads(json.dumps(rows)) == rows
    records = getattr(world, SOURCES.get(stream, stream)).values()
    assert [row["id"] for row in rows] == sorted({row["id"] for row in rows})
    assert len(rows) == len(records)
    assert sum(row["deleted_at"] is None for row in rows) == len(live(records))
    assert all(row["at"].endswith("Z") for row in rows)


def row_of(world: World, entry_id: int) -> dict[str, Any]:
    return next(row for row in truth(world, "time_entries") if row["id"] == entry_id)


def test_the_truth_of_a_time_entry_is_flat(world: World) -> None:
    entry = next(entry for entry in world.time_entries.values() if len(entry.tag_ids) > 1 and entry.stop)
    row = row_of(world, entry.id)
    assert set(row) == {
        "id", "workspace_id", "user_id", "project_id", "task_id", "description", "billable", "tag_ids", "start",
        "stop", "duration", "running", "hourly_rate_cents", "billable_amount_cents", "currency", "at", "deleted_at",
    }  # fmt: skip
    assert row["tag_ids"] == sorted(entry.tag_ids)
    assert row["start"] == entry.start.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert row["running"] is False


def test_a_running_entry_has_no_stop_and_no_amount(world: World) -> None:
    running = world.running_entry(world.owner.id)
    assert running is not None
    row = row_of(world, running.id)
    assert (row["running"], row["stop"], row["billable_amount_cents"]) == (True, None, None)
    assert row["duration"] < 0


def test_money_is_the_rate_that_held_for_billable_time(world: World) -> None:
    entry = next(entry for entry in world.time_entries.values() if entry.billable and entry.duration > 60)
    rate = world.rates.cents_of("billable_rates", entry)
    assert rate is not None
    row = row_of(world, entry.id)
    assert row["hourly_rate_cents"] == rate
    assert row["billable_amount_cents"] == pytest.approx(entry.duration / 3600 * rate, abs=0.5)


def test_a_free_plan_has_no_money() -> None:
    world = build_world(entries=200, now=NOW, clock=lambda: NOW)
    assert any(row["billable"] for row in truth(world, "time_entries"))
    assert all(row["billable_amount_cents"] is row["hourly_rate_cents"] is None for row in truth(world, "time_entries"))
    assert all(row["hourly_rate_cents"] is None for row in truth(world, "projects"))


def test_a_description_that_is_missing_stays_none_and_an_empty_one_empty(world: World) -> None:
    assert {None, ""} <= {row["description"] for row in truth(world, "time_entries")}


def test_an_unknown_stream_is_named(world: World) -> None:
    with pytest.raises(UnknownStream, match="estimates"):
        truth(world, "estimates")
