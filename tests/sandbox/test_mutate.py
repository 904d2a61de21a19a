"""Random changes: deterministic, of every kind, and telling all that they did."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_provider_toggl.sandbox.mutate import KINDS, ORDINARY_KINDS, UnknownMutation, mutate
from airflow_provider_toggl.sandbox.workspace.seed import build_world
from airflow_provider_toggl.sandbox.workspace.truth import STREAMS, truth
from airflow_provider_toggl.sandbox.workspace.world import World

NOW = datetime(2026, 3, 20, 15, 30, 0, 123456, tzinfo=timezone.utc)

Snapshot = dict[str, dict[int, dict[str, Any]]]


def fresh(entries: int = 400) -> World:
    world = build_world(entries=entries, days=90, now=NOW, clock=lambda: NOW)
    world.advance(60)
    return world


def snapshot(world: World) -> Snapshot:
    """All rows by stream and id; how long a task was worked on is derived, and left out."""
    rows = {stream: {row["id"]: dict(row) for row in truth(world, stream)} for stream in STREAMS}
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
    kinds = Counter(outcome["kind"] for outcome in mutate(fresh(), seed=2, n=1500, kinds=list(KINDS)))
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


def test_all_changes_but_the_loss_of_a_tag_move_at() -> None:
    world = fresh()
    before = snapshot(world)
    mutate(world, seed=1, n=200, kinds=[kind for kind in KINDS if kind != "delete_tag"])
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


def test_a_restored_entry_is_live_and_points_at_live_things() -> None:
    world = fresh()
    for _ in range(4):
        mutate(world, seed=1, n=20, kinds=["delete_entry", "delete_tag", "delete_project", "delete_task"])
        for outcome in mutate(world, seed=1, n=5, kinds=["restore_entry"]):
            entry = world.time_entries[outcome["id"]]
            assert entry.deleted_at is None
            assert entry.project_id is None or world.projects[entry.project_id].deleted_at is None


def test_a_kind_with_nothing_left_gives_way_to_others_or_ends() -> None:
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
