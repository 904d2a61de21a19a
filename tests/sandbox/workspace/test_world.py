"""The world: its clock, ids, changes and its memory of how time entries were."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from airflow_provider_toggl.sandbox.workspace.records import Organization, TimeEntry, User, Workspace
from airflow_provider_toggl.sandbox.workspace.seed import build_world
from airflow_provider_toggl.sandbox.workspace.world import World, WorldChange, amount_cents

START = datetime(2026, 3, 2, 12, 0, tzinfo=timezone.utc)


class StillClock:
    """Real time that moves only when shown."""

    def __init__(self) -> None:
        self.moment = START

    def __call__(self) -> datetime:
        return self.moment


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def world(clock: StillClock) -> World:
    owner = User(1, 2, "Ada", "ada@example.com", "UTC", "a" * 32, True, START, START)
    return World(Organization(8, "o", START), Workspace(7, 8, "w", START), owner, clock=clock)


def entry_of(world: World, *, running: bool = False) -> TimeEntry:
    stop = None if running else START + timedelta(hours=1)
    duration = -int(START.timestamp()) if running else 3600
    return TimeEntry(world.next_id("time_entry"), 7, 1, START, stop, duration, at=world.now())


def test_the_clock_is_real_time_plus_what_it_was_advanced_by(world: World, clock: StillClock) -> None:
    world.advance(90)
    clock.moment += timedelta(seconds=10)
    assert world.now() == START + timedelta(seconds=100)


def test_the_clock_does_not_run_backwards(world: World) -> None:
    with pytest.raises(ValueError, match="cannot go back"):
        world.advance(-1)


def test_ids_rise_and_are_the_same_in_another_world_that_did_the_same(clock: StillClock, world: World) -> None:
    ids = [world.next_id("time_entry") for _ in range(50)]
    other = World(world.organization, world.workspace, world.owner, clock=clock)
    assert ids == sorted(set(ids))
    assert ids[0] > 2**31
    assert ids == [other.next_id("time_entry") for _ in range(50)]


def test_a_token_finds_its_user_until_they_leave(world: World) -> None:
    assert world.user_by_token("a" * 32) is world.owner
    assert world.user_by_token("b" * 32) is None
    world.mark_deleted(world.owner)
    assert world.user_by_token("a" * 32) is None


def test_every_change_increases_the_version_and_calls_listeners(world: World) -> None:
    shown: list[WorldChange] = []
    world.listeners.append(shown.append)
    entry = world.store(entry_of(world), world.owner, {"method": "POST"})
    world.change(entry, {"description": "x"}, world.owner)
    world.mark_deleted(entry)
    assert world.version == 3
    assert [(change.kind, change.action) for change in shown] == [
        ("time_entry", "created"),
        ("time_entry", "updated"),
        ("time_entry", "deleted"),
    ]
    assert shown[0].request == {"method": "POST"}
    assert shown[1].actor is world.owner
    assert shown[2].actor is None


def test_a_change_sets_at_unless_moves_at_is_false(world: World, clock: StillClock) -> None:
    entry = world.store(entry_of(world))
    clock.moment += timedelta(minutes=1)
    world.change(entry, {"tag_ids": []}, moves_at=False)
    assert entry.at == START
    world.change(entry, {"tag_ids": []})
    assert entry.at == START + timedelta(minutes=1)


def test_a_deletion_moves_at_to_the_deletion(world: World, clock: StillClock) -> None:
    entry = world.store(entry_of(world))
    clock.moment += timedelta(minutes=1)
    world.mark_deleted(entry)
    assert entry.deleted_at == entry.at == START + timedelta(minutes=1)


def test_entries_as_of_a_lag_are_as_they_were_then(world: World, clock: StillClock) -> None:
    kept, edited = world.store(entry_of(world)), world.store(entry_of(world))
    clock.moment += timedelta(seconds=100)
    world.change(edited, {"description": "second"})
    clock.moment += timedelta(seconds=10)
    world.change(edited, {"description": "third"})
    made = world.store(entry_of(world))
    world.mark_deleted(kept)

    past = world.entries_as_of(5)
    assert past[edited.id].description == "second"
    assert made.id not in past
    assert past[kept.id].deleted_at is None

    assert world.entries_as_of(50)[edited.id].description is None
    assert world.entries_as_of(0)[edited.id].description == "third"
    assert not world.entries_as_of(1000)


def test_advancing_the_clock_ends_a_lag(world: World) -> None:
    entry = world.store(entry_of(world))
    assert entry.id not in world.entries_as_of(30)
    world.advance(31)
    assert entry.id in world.entries_as_of(30)


def test_the_running_entry_of_a_user_is_known_until_it_is_stopped_or_deleted(world: World) -> None:
    assert world.running_entry(1) is None
    first = world.store(entry_of(world, running=True))
    assert world.running_entry(1) is first
    world.change(first, {"stop": START, "duration": 0})
    assert world.running_entry(1) is None
    second = world.store(entry_of(world, running=True))
    world.mark_deleted(second)
    assert world.running_entry(1) is None


def test_rights_and_zone_of_a_user_change(world: World) -> None:
    version = world.version
    world.change_user(world.owner, is_admin=False, timezone="Asia/Tokyo")
    assert (world.owner.is_admin, world.owner.timezone, world.owner.inactive) == (False, "Asia/Tokyo", False)
    assert world.version > version


def test_a_zone_that_does_not_exist_changes_nothing(world: World) -> None:
    with pytest.raises(ValueError, match="No such time zone: Nowhere"):
        world.change_user(world.owner, is_admin=False, timezone="Nowhere")
    assert world.owner.is_admin


def test_only_the_free_plan_has_a_horizon(world: World) -> None:
    assert world.retention_horizon() is None
    world.settings.retention_days = 3
    assert world.retention_horizon() == START - timedelta(days=3)
    world.settings.plan = "starter"
    assert world.retention_horizon() is None


@pytest.mark.parametrize(("seconds", "rate", "cents"), [(3600, 9000, 9000), (1, 1800, 1), (1, 1799, 0), (0, 9000, 0)])
def test_half_a_cent_is_rounded_up(seconds: int, rate: int, cents: int) -> None:
    assert amount_cents(seconds, rate) == cents


def test_the_rate_is_that_of_the_project_if_plan_and_entry_are_billable() -> None:
    world = build_world(entries=200, plan="starter")
    entries = (entry for entry in world.time_entries.values() if entry.billable)
    billable = next(entry for entry in entries if world.projects[entry.project_id or 0].hourly_rate_cents)
    billable.task_id = None
    world.rates.set("billable_rates", world.projects[billable.project_id or 0], 12_300, mode="override-all")
    assert world.rate_of(billable) == 12_300
    billable.billable = False
    assert world.rate_of(billable) is None
    billable.billable = True
    world.settings.plan = "free"
    assert world.rate_of(billable) is None
