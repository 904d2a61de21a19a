"""Rare changes: what they make is what those who count by days stumble over."""

from __future__ import annotations

import copy
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from airflow_provider_toggl.sandbox.reports_v3.summaries import total
from airflow_provider_toggl.sandbox.routing import ApiRequest
from airflow_provider_toggl.sandbox.mutate import KINDS, mutate
from airflow_provider_toggl.sandbox.workspace.records import TimeEntry
from airflow_provider_toggl.sandbox.workspace.seed import build_world
from airflow_provider_toggl.sandbox.workspace.seed_entries import clock_changes
from airflow_provider_toggl.sandbox.workspace.world import World

NOW = datetime(2026, 3, 20, 15, 30, 0, 123456, tzinfo=timezone.utc)
BERLIN = ZoneInfo("Europe/Berlin")


def fresh(zone: str = "Europe/Berlin", entries: int = 200) -> World:
    return build_world(entries=entries, days=90, now=NOW, clock=lambda: NOW, timezone=zone)


def made(world: World, kind: str, n: int = 1) -> list[TimeEntry]:
    return [world.time_entries[id_] for done in mutate(world, seed=2, n=n, kinds=[kind]) for id_ in done["ids"]]


@pytest.mark.parametrize(("kind", "farthest"), [("move_month", 11), ("move_year", 36)])
def test_a_far_move_changes_month_or_year_and_not_the_duration(kind: str, farthest: int) -> None:
    world = fresh()
    directions = set()
    for seed in range(60):
        before = copy.deepcopy(world.time_entries)
        (done,) = mutate(world, seed=seed, n=1, kinds=[kind])
        old, new = before[done["id"]], world.time_entries[done["id"]]
        assert old.stop is not None
        assert new.stop is not None
        assert (new.duration, new.stop - new.start) == (old.duration, old.stop - old.start)
        assert new.stop <= NOW
        was, now = old.start.astimezone(BERLIN), new.start.astimezone(BERLIN)
        months = 12 * (now.year - was.year) + now.month - was.month
        assert months == done["months"]
        assert 1 <= abs(months) <= farthest
        assert kind == "move_month" or (months % 12 == 0 and now.year != was.year)
        directions.add(months > 0)
    assert directions == {False, True}


def test_an_entry_of_no_length_has_a_stop_or_none_and_does_not_run() -> None:
    entries = made(fresh(), "create_empty", 20)
    assert {one.duration for one in entries} == {0}
    assert {one.stop is None for one in entries} == {True, False}
    assert all(one.stop in (None, one.start) and not one.is_running for one in entries)


def test_an_entry_that_stops_before_it_starts_does_not_run_and_adds_nothing_to_sums() -> None:
    world = fresh(entries=0)
    entries = made(world, "create_negative", 5)
    for one in entries:
        assert one.stop is not None
        assert one.stop < one.start
        assert one.duration == (one.stop - one.start).total_seconds()
        assert not one.is_running
    body = b'{"start_date": "2026-03-01", "end_date": "2026-03-20"}'
    assert total(ApiRequest(world, world.settings, world.owner, {}, {}, body)).body["seconds"] == 0


def test_an_entry_over_midnight_has_two_days_in_the_owner_s_zone() -> None:
    for zone in ("Europe/Berlin", "Pacific/Auckland", "Asia/Kolkata"):
        for one in made(fresh(zone), "create_over_midnight", 10):
            assert one.stop is not None
            first, last = (moment.astimezone(ZoneInfo(zone)).date() for moment in (one.start, one.stop))
            assert last - first == timedelta(days=1)
            assert one.stop <= NOW


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Pacific/Auckland"])
def test_entries_are_made_over_both_changes_of_the_clock(zone: str) -> None:
    entries = made(fresh(zone), "create_over_clock_change")
    shifts = []
    for one in entries:
        assert one.stop is not None
        before, after = (moment.astimezone(ZoneInfo(zone)).utcoffset() for moment in (one.start, one.stop))
        assert before is not None
        assert after is not None
        assert one.duration == (one.stop - one.start).total_seconds()
        shifts.append((after - before).total_seconds())
    assert sorted(shifts) == [-3600, 3600]


def test_a_zone_without_summer_time_has_no_such_entries() -> None:
    assert made(fresh("Asia/Tokyo"), "create_over_clock_change") == []
    assert clock_changes("Asia/Tokyo", 1_700_000_000, 1_760_000_000) == []


def test_who_leaves_is_gone_and_what_they_tracked_is_still_reported() -> None:
    world = fresh()
    body = b'{"start_date": "2025-12-01", "end_date": "2026-03-20"}'
    before = total(ApiRequest(world, world.settings, world.owner, {}, {}, body)).body
    for done in mutate(world, seed=1, n=20, kinds=["remove_user"]):
        user = world.users[done["id"]]
        assert user.deleted_at is not None
        assert user.inactive
        assert world.user_by_token(user.token) is None
    assert [user for user in world.users.values() if user.deleted_at is None] == [world.owner]
    assert total(ApiRequest(world, world.settings, world.owner, {}, {}, body)).body == before


@pytest.mark.parametrize("kind", ["move_month", "move_year", "create_empty", "create_negative", "remove_user"])
def test_nothing_is_done_where_there_is_nothing_to_do(kind: str) -> None:
    world = build_world(entries=0, users=1, now=NOW, clock=lambda: NOW)
    done = mutate(world, seed=1, n=1, kinds=[kind])
    assert bool(done) is kind.startswith("create")
    assert kind in KINDS
