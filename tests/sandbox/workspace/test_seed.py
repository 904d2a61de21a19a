"""A seeded world: the same each time, as large as asked for, and with every odd case in it."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from airflow_provider_toggl.sandbox.settings import Settings
from airflow_provider_toggl.sandbox.webhooks.registry import WebhookRegistry
from airflow_provider_toggl.sandbox.workspace.seed import DEFAULT_TOKEN, build_world
from airflow_provider_toggl.sandbox.workspace.truth import SOURCES, STREAMS, truth
from airflow_provider_toggl.sandbox.workspace.world import World

NOW = datetime(2026, 3, 20, 15, 30, tzinfo=timezone.utc)


def still() -> datetime:
    return NOW


@pytest.fixture(scope="module")
def world() -> World:
    return build_world(seed=7, entries=3_000, now=NOW, clock=still)


def test_the_same_seed_and_moment_give_the_same_world(world: World) -> None:
    again = build_world(seed=7, entries=3_000, now=NOW, clock=still)
    for stream in STREAMS:
        assert truth(again, stream) == truth(world, stream)
    assert [user.token for user in again.users.values()] == [user.token for user in world.users.values()]


def test_another_seed_gives_another_world(world: World) -> None:
    other = build_world(seed=8, entries=3_000, now=NOW, clock=still)
    assert truth(other, "time_entries") != truth(world, "time_entries")


@pytest.mark.parametrize("entries", [0, 1, 2, 9, 10, 60, 500])
def test_exactly_as_many_entries_are_live_as_asked_for(entries: int) -> None:
    world = build_world(entries=entries, now=NOW, clock=still)
    assert sum(entry.deleted_at is None for entry in world.time_entries.values()) == entries


def test_there_are_as_many_of_the_others_as_asked_for(world: World) -> None:
    live = {stream: sum(not row["deleted_at"] for row in truth(world, stream)) for stream in STREAMS}
    assert live["users"] == 8
    assert (live["projects"], live["clients"], live["tags"], live["tasks"], live["groups"]) == (25, 10, 15, 30, 3)
    assert live["project_users"] > 0


def test_each_stream_but_groups_has_something_deleted(world: World) -> None:
    for stream in ("time_entries", "projects", "clients", "tags", "tasks", "users", "project_users"):
        assert any(row["deleted_at"] for row in truth(world, stream)), stream


def test_nothing_is_in_the_future_and_nothing_starts_before_the_days(world: World) -> None:
    for entry in world.time_entries.values():
        assert NOW - timedelta(days=365) <= entry.start <= NOW
        assert entry.at <= NOW
        assert entry.stop is None or entry.start <= entry.stop <= NOW
        assert entry.deleted_at is None or entry.deleted_at <= NOW


def test_durations_are_stop_less_start(world: World) -> None:
    for entry in world.time_entries.values():
        if entry.stop is not None:
            assert entry.duration == (entry.stop - entry.start).total_seconds()
        else:
            assert entry.duration in (0, -int(entry.start.timestamp()))


def test_start_and_stop_are_whole_seconds_and_at_is_not(world: World) -> None:
    assert all(entry.start.microsecond == 0 for entry in world.time_entries.values())
    assert all(entry.stop.microsecond == 0 for entry in world.time_entries.values() if entry.stop)
    assert any(entry.at.microsecond for entry in world.time_entries.values())


def test_entries_refer_to_live_records(world: World) -> None:
    for entry in world.time_entries.values():
        assert entry.user_id in world.users
        assert all(world.tags[tag_id].deleted_at is None for tag_id in entry.tag_ids)
        assert len(set(entry.tag_ids)) == len(entry.tag_ids)
        if entry.project_id is not None:
            assert world.projects[entry.project_id].deleted_at is None
        if entry.task_id is not None:
            assert world.tasks[entry.task_id].project_id == entry.project_id


def test_a_few_run_and_at_most_one_per_user(world: World) -> None:
    running = [entry for entry in world.time_entries.values() if entry.is_running and entry.deleted_at is None]
    assert 1 <= len(running) <= 3
    assert max(Counter(entry.user_id for entry in running).values()) == 1
    assert world.running_entry(world.owner.id) in running


def test_a_few_have_no_stop_and_do_not_run(world: World) -> None:
    assert any(entry.stop is None and entry.duration == 0 for entry in world.time_entries.values())


def test_some_are_of_no_length_and_some_cross_midnight(world: World) -> None:
    zone = ZoneInfo(world.owner.timezone)
    own = [entry for entry in world.time_entries.values() if entry.stop and entry.user_id == world.owner.id]
    assert any(entry.start == entry.stop for entry in own)
    days = [(entry.start.astimezone(zone).date(), entry.stop.astimezone(zone).date()) for entry in own if entry.stop]
    assert any(first < last for first, last in days)


@pytest.mark.parametrize("change", ["2025-10-26T01:00:00+00:00", "2025-03-30T01:00:00+00:00"])
def test_entries_cross_both_clock_changes_of_the_owner(world: World, change: str) -> None:
    moment = datetime.fromisoformat(change)
    assert any(entry.stop and entry.start < moment < entry.stop for entry in world.time_entries.values())


def test_some_lack_a_project_a_description_or_tags_and_some_are_billable(world: World) -> None:
    entries = list(world.time_entries.values())
    assert any(entry.project_id is None for entry in entries)
    assert any(entry.description is None for entry in entries)
    assert any(entry.description == "" for entry in entries)
    assert any(not entry.tag_ids for entry in entries)
    assert any(len(entry.tag_ids) > 1 for entry in entries)
    assert any(entry.billable for entry in entries)
    assert any(entry.task_id for entry in entries)


def test_descriptions_hold_what_breaks_encodings(world: World) -> None:
    text = "".join(entry.description or "" for entry in world.time_entries.values())
    assert all(odd in text for odd in ("\n", "\r", "\t", '"', "'", "\\", "☕", "פ", "\u202e", "\u2028"))


def test_ids_rise_with_creation_and_pass_32_bits(world: World) -> None:
    assert min(world.time_entries) < 2**32 < max(world.time_entries)
    assert world.next_id("time_entry") > max(world.time_entries)


def test_some_entries_were_edited_long_after_they_stopped(world: World) -> None:
    late = [entry for entry in world.time_entries.values() if entry.stop and entry.at - entry.stop > timedelta(days=7)]
    assert 0 < len(late) < len(world.time_entries) / 4


def test_most_work_is_done_on_weekdays(world: World) -> None:
    weekend = [entry for entry in world.time_entries.values() if entry.start.weekday() >= 5]
    assert len(weekend) < len(world.time_entries) / 5


def test_the_owner_has_the_token_and_zone_that_were_asked_for() -> None:
    world = build_world(entries=0, now=NOW, clock=still, token="f" * 32, timezone="Asia/Tokyo")
    assert world.user_by_token("f" * 32) is world.owner
    assert world.owner.is_admin
    assert world.owner.timezone == "Asia/Tokyo"


def test_each_user_has_a_token_of_their_own(world: World) -> None:
    tokens = {user.token for user in world.users.values()}
    assert len(tokens) == len(world.users)
    assert DEFAULT_TOKEN in tokens
    assert all(len(token) == 32 for token in tokens)


def test_the_clock_shows_now_at_first() -> None:
    world = build_world(entries=0, now=NOW, clock=lambda: NOW + timedelta(days=10))
    assert world.now() == NOW


def test_building_is_not_history(world: World) -> None:
    assert world.version == 0
    assert not world.history


def test_settings_are_kept_and_decide_the_plan() -> None:
    settings = Settings(plan="premium")
    assert build_world(entries=0, now=NOW, settings=settings, clock=still).settings is settings
    assert build_world(entries=0, now=NOW, plan="starter", clock=still).settings.plan == "starter"


@pytest.mark.parametrize("users", [1, 2, 3])
def test_a_small_team_has_nobody_who_left(users: int) -> None:
    world = build_world(entries=30, users=users, now=NOW, clock=still)
    assert len(world.users) == users
    assert not any(user.inactive or user.deleted_at for user in world.users.values())


def test_a_bare_workspace_can_be_built() -> None:
    world = build_world(entries=30, users=1, projects=0, clients=0, tags=0, tasks=0, groups=0, now=NOW, clock=still)
    assert all(entry.project_id is None and not entry.tag_ids for entry in world.time_entries.values())


@pytest.mark.parametrize(
    "wrong",
    [{"entries": -1}, {"users": 0}, {"days": 0}, {"timezone": "Mars/Olympus"}, {"tags": -1}],
    ids=str,
)
def test_invalid_parameters_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"negative|needs|zone"):
        build_world(**wrong)  # type: ignore[arg-type]


def test_a_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="zone"):
        build_world(now=datetime(2026, 1, 1))  # noqa: DTZ001 - that is what is tested


def test_one_day_back_is_enough() -> None:
    world = build_world(entries=200, days=1, now=NOW, clock=still)
    assert all(entry.start >= NOW - timedelta(days=1) for entry in world.time_entries.values())


@pytest.mark.parametrize("other", [7_000_002, 6_999_999, 1, 4_502_339_761, 2**53 - 1])
def test_two_workspaces_share_no_id(other: int) -> None:
    one, two = build_world(entries=50, plan="premium"), build_world(entries=50, plan="premium", workspace_id=other)
    assert two.workspace.id == other
    assert one.organization.id != two.organization.id
    for stream in {SOURCES.get(name, name) for name in STREAMS} - {"rates", "project_periods"}:
        first, second = set(getattr(one, stream)), set(getattr(two, stream))
        assert len(first) == len(second)
        assert not first & second, stream
        assert max(second) < 2**53
        assert {thing.workspace_id for thing in getattr(two, stream).values() if hasattr(thing, "workspace_id")} <= {
            other
        }
    assert not {rate.id for rate in one.rates.values()} & {rate.id for rate in two.rates.values()}
    assert WebhookRegistry(one).next_subscription_id() != WebhookRegistry(two).next_subscription_id()
    assert one.next_id("time_entry") not in {two.next_id("time_entry"), *two.time_entries}


@pytest.mark.parametrize("workspace_id", [0, -1, 2**53])
def test_a_workspace_id_that_toggl_could_not_have_is_refused(workspace_id: int) -> None:
    with pytest.raises(ValueError, match="workspace ID"):
        build_world(entries=0, workspace_id=workspace_id)
