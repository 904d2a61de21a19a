"""Random changes: repeatable, of every kind, and complete in what they report."""

from __future__ import annotations

import copy
from collections import Counter
from datetime import datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from airflow_provider_toggl.sandbox.mutate import KINDS, ORDINARY_KINDS, UnknownMutation, mutate
from airflow_provider_toggl.sandbox.reports_v3.summaries import total
from airflow_provider_toggl.sandbox.routing import ApiRequest
from airflow_provider_toggl.sandbox.workspace.records import TimeEntry
from airflow_provider_toggl.sandbox.workspace.seed import build_world
from airflow_provider_toggl.sandbox.workspace.seed_entries import clock_changes
from airflow_provider_toggl.sandbox.workspace.truth import STREAMS, truth
from airflow_provider_toggl.sandbox.workspace.world import World

NOW = datetime(2026, 3, 20, 15, 30, 0, 123456, tzinfo=timezone.utc)

BERLIN = ZoneInfo("Europe/Berlin")

Snapshot = dict[str, dict[int, dict[str, Any]]]


def fresh(entries: int = 400) -> World:
    world = build_world(entries=entries, days=90, now=NOW, clock=lambda: NOW, plan="premium")
    world.advance(60)
    return world


def snapshot(world: World) -> Snapshot:
    """All rows by stream and id, without what follows from others: logs, periods, how long a task was worked on."""
    followed = [stream for stream in STREAMS if stream not in ("audit_log", "timesheet_history", "project_periods")]
    rows = {stream: {row["id"]: dict(row) for row in truth(world, stream)} for stream in followed}
    for row in rows["tasks"].values():
        del row["tracked_seconds"]
    return rows


def differing(before: Snapshot, after: Snapshot) -> dict[str, set[int]]:
    found = {
        stream: {id_ for id_ in after[stream] if before[stream].get(id_) != after[stream][id_]} for stream in after
    }
    return {stream: ids for stream, ids in found.items() if ids}


def test_the_same_seed_makes_the_same_changes() -> None:
    one, other = fresh(), fresh()
    assert mutate(one, seed=3, n=60) == mutate(other, seed=3, n=60)
    assert snapshot(one) == snapshot(other)


def test_another_seed_makes_others() -> None:
    assert mutate(fresh(), seed=3, n=20) != mutate(fresh(), seed=4, n=20)


def test_the_same_seed_can_be_used_again() -> None:
    world = fresh()
    kinds = ["create_project", "create_client", "create_tag", "create_task", "create"]
    first, second = (mutate(world, seed=3, n=30, kinds=kinds) for _ in range(2))
    assert len(first) == len(second) == 30


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_changes_what_it_says_and_nothing_else(kind: str) -> None:
    world = fresh()
    before = snapshot(world)
    done = mutate(world, seed=5, n=1, kinds=[kind])
    (outcome,) = done
    assert (outcome["kind"], outcome["stream"]) == (kind, KINDS[kind][1])
    changed = differing(before, snapshot(world))
    assert changed == {stream: set(ids) for stream, ids in outcome["changed"].items()}
    assert set(outcome["ids"]) <= changed[outcome["stream"]]
    if len(outcome["ids"]) == 1:
        assert outcome["id"] == outcome["ids"][0]


def test_all_kinds_are_drawn_in_the_long_run() -> None:
    kinds = Counter(outcome["kind"] for outcome in mutate(fresh(), seed=2, n=1200))
    assert set(kinds) == set(ORDINARY_KINDS)


def test_rare_kinds_are_drawn_where_they_are_asked_for() -> None:
    kinds = Counter(outcome["kind"] for outcome in mutate(fresh(), seed=2, n=2500, kinds=list(KINDS)))
    assert set(kinds) == set(KINDS)


@pytest.mark.parametrize("seed", range(6))
def test_the_world_stays_whole(seed: int) -> None:
    world = fresh()
    kinds = [kind for kind in KINDS if kind != "create_negative"]
    assert len(mutate(world, seed=seed, n=300, kinds=kinds if seed % 2 else None)) == 300
    now = world.now()
    running: Counter[int] = Counter()
    for entry in world.time_entries.values():
        assert entry.start <= now
        assert entry.at <= now
        assert entry.stop is None or entry.start <= entry.stop <= now
        if entry.stop is not None:
            assert entry.duration == (entry.stop - entry.start).total_seconds()
        if entry.deleted_at is not None:
            continue
        running[entry.user_id] += entry.is_running
        assert all(world.tags[tag_id].deleted_at is None for tag_id in entry.tag_ids)
        assert entry.project_id is None or world.projects[entry.project_id].deleted_at is None
        if entry.task_id is not None:
            assert world.tasks[entry.task_id].deleted_at is None
            assert world.tasks[entry.task_id].project_id == entry.project_id
    assert max(running.values()) <= 1
    for user_id in world.users:
        assert (world.running_entry(user_id) is not None) == bool(running[user_id])


def test_all_changes_but_the_loss_of_a_tag_and_a_new_price_move_at() -> None:
    world = fresh()
    before = snapshot(world)
    mutate(world, seed=1, n=200, kinds=[kind for kind in KINDS if kind not in ("delete_tag", "change_rate")])
    after = snapshot(world)
    for stream, ids in differing(before, after).items():
        for id_ in ids:
            assert after[stream][id_]["at"] == "2026-03-20T15:31:00.123456Z"


def test_the_loss_of_a_tag_does_not_move_at() -> None:
    world = fresh()
    before = snapshot(world)["time_entries"]
    (outcome,) = mutate(world, seed=1, n=1, kinds=["delete_tag"])
    after = snapshot(world)["time_entries"]
    assert outcome["changed"]["time_entries"]
    for id_ in outcome["changed"]["time_entries"]:
        assert {**after[id_], "tag_ids": before[id_]["tag_ids"]} == before[id_]


def test_moving_changes_the_day_and_not_the_duration() -> None:
    world = fresh()
    before = snapshot(world)["time_entries"]
    for outcome in mutate(world, seed=1, n=1, kinds=["move_day"]):
        old, entry = before[outcome["id"]], world.time_entries[outcome["id"]]
        moved = entry.start - datetime.fromisoformat(old["start"].replace("Z", "+00:00"))
        assert moved == timedelta(days=outcome["days"])
        assert entry.duration == old["duration"]


def test_a_restored_entry_refers_to_live_records() -> None:
    world = fresh()
    for _ in range(4):
        mutate(world, seed=1, n=20, kinds=["delete_entry", "delete_tag", "delete_project", "delete_task"])
        for outcome in mutate(world, seed=1, n=5, kinds=["restore_entry"]):
            entry = world.time_entries[outcome["id"]]
            assert entry.deleted_at is None
            assert entry.project_id is None or world.projects[entry.project_id].deleted_at is None


def test_a_kind_without_anything_to_change_is_replaced_by_another() -> None:
    world = fresh(entries=0)
    assert mutate(world, seed=1, n=5, kinds=["delete_entry"]) == []
    assert [outcome["kind"] for outcome in mutate(world, seed=1, n=1, kinds=["stop", "create_tag"])] == ["create_tag"]


def test_no_listener_stays_behind() -> None:
    world = fresh()
    mutate(world, seed=1, n=5)
    assert world.listeners == []


def test_an_unknown_kind_is_refused_before_anything_changes() -> None:
    world = fresh(entries=0)
    with pytest.raises(UnknownMutation, match="explode"):
        mutate(world, seed=1, n=5, kinds=["create", "explode"])
    assert world.version == 0


def local(zone: str = "Europe/Berlin", entries: int = 200) -> World:
    return build_world(entries=entries, days=90, now=NOW, clock=lambda: NOW, timezone=zone)


def made(world: World, kind: str, n: int = 1) -> list[TimeEntry]:
    return [world.time_entries[id_] for done in mutate(world, seed=2, n=n, kinds=[kind]) for id_ in done["ids"]]


@pytest.mark.parametrize(("kind", "farthest"), [("move_month", 11), ("move_year", 36)])
def test_a_far_move_changes_month_or_year_and_not_the_duration(kind: str, farthest: int) -> None:
    world = local()
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
    entries = made(local(), "create_empty", 20)
    assert {one.duration for one in entries} == {0}
    assert {one.stop is None for one in entries} == {True, False}
    assert all(one.stop in (None, one.start) and not one.is_running for one in entries)


def test_an_entry_that_stops_before_it_starts_does_not_run_and_adds_nothing_to_sums() -> None:
    world = local(entries=0)
    entries = made(world, "create_negative", 5)
    for one in entries:
        assert one.stop is not None
        assert one.stop < one.start
        assert one.duration == (one.stop - one.start).total_seconds()
        assert not one.is_running
    body = b'{"start_date": "2026-03-01", "end_date": "2026-03-20"}'
    assert total(ApiRequest(world, world.owner, {}, {}, body)).body["seconds"] == 0


def test_an_entry_over_midnight_has_two_days_in_the_owner_s_zone() -> None:
    for zone in ("Europe/Berlin", "Pacific/Auckland", "Asia/Kolkata"):
        for one in made(local(zone), "create_over_midnight", 10):
            assert one.stop is not None
            first, last = (moment.astimezone(ZoneInfo(zone)).date() for moment in (one.start, one.stop))
            assert last - first == timedelta(days=1)
            assert one.stop <= NOW


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Pacific/Auckland"])
def test_entries_are_made_over_both_changes_of_the_clock(zone: str) -> None:
    entries = made(local(zone), "create_over_clock_change")
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
    assert made(local("Asia/Tokyo"), "create_over_clock_change") == []
    assert clock_changes("Asia/Tokyo", 1_700_000_000, 1_760_000_000) == []


def test_entries_of_a_removed_user_are_still_reported() -> None:
    world = local()
    body = b'{"start_date": "2025-12-01", "end_date": "2026-03-20"}'
    before = total(ApiRequest(world, world.owner, {}, {}, body)).body
    for done in mutate(world, seed=1, n=20, kinds=["remove_user"]):
        user = world.users[done["id"]]
        assert user.deleted_at is not None
        assert user.inactive
        assert world.user_by_token(user.token) is None
    assert [user for user in world.users.values() if user.deleted_at is None] == [world.owner]
    assert total(ApiRequest(world, world.owner, {}, {}, body)).body == before


@pytest.mark.parametrize("kind", ["move_month", "move_year", "create_empty", "create_negative", "remove_user"])
def test_nothing_is_done_where_there_is_nothing_to_do(kind: str) -> None:
    world = build_world(entries=0, users=1, now=NOW, clock=lambda: NOW)
    done = mutate(world, seed=1, n=1, kinds=[kind])
    assert bool(done) is kind.startswith("create")
    assert kind in KINDS
