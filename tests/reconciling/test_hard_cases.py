"""Changes that no event and no update time shows: a pull and a reconciliation end with the truth."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from support.pulls import Workspace
from support.sandboxes import NOON
from support.truth import live

from airflow_provider_toggl.core.load.decode.records import Observation, decode_page
from airflow_provider_toggl.core.load.engines.duckdb.engine import build_duckdb_warehouse
from airflow_provider_toggl.core.reconcile import window
from airflow_provider_toggl.core.reconcile.window import NOT_IN_TOTALS
from airflow_provider_toggl.sandbox.rest_v9.writes import entries as entry_writes
from airflow_provider_toggl.sandbox.rest_v9.writes import projects as project_writes
from airflow_provider_toggl.sandbox.rest_v9.writes import tags as tag_writes
from airflow_provider_toggl.sandbox.rest_v9.writes.request import WriteRequest
from airflow_provider_toggl.sandbox.workspace.records import TimeEntry

HOUR, DAY = timedelta(hours=1), timedelta(days=1)

# What Toggl leaves undocumented differs from case to case, so that each value meets many.
SWITCHES: list[dict[str, Any]] = [
    {},
    {"plan": "premium", "report_times": "utc", "summary_ids_where": "groups"},
    {"report_running_seconds": "elapsed", "largest_page_size": 50},
    {"report_time_entry_ids": "ignore", "report_range_counts": "inclusive"},
    {"plan": "premium", "report_running_seconds": "elapsed", "summary_ids_where": "both", "largest_page_size": 20},
]


def create(workspace: Workspace, start: datetime, stop: datetime | None, **fields: Any) -> TimeEntry:
    """Make an entry of the owner's as if it had been there for long."""
    world = workspace.toggl.world
    start = start.astimezone(timezone.utc).replace(microsecond=0)
    seconds = -int(start.timestamp()) if stop is None else int((stop - start).total_seconds())
    stop = None if stop is None else start + timedelta(seconds=seconds)
    fields = {"at": world.now() - 3 * DAY, "duration": seconds, "user_id": world.owner.id, **fields}
    entry = TimeEntry(id=world.next_id("time_entry"), workspace_id=workspace.id, start=start, stop=stop, **fields)
    world.load(entry)
    world.version += 1
    return entry


def move(workspace: Workspace, by: timedelta, place: int = 10) -> None:
    world = workspace.toggl.world
    entry = workspace.entries()[place]
    assert entry.stop is not None
    world.change(entry, {"start": entry.start + by, "stop": entry.stop + by}, world.owner)


def busiest_project(workspace: Workspace) -> int:
    found = [entry.project_id for entry in workspace.entries() if entry.project_id is not None]
    return max(set(found), key=found.count)


# Each makes its change in two parts: what is there before the first load, and what happens after it.
Change = Callable[[Workspace], Any]


def moved_over_midnight(workspace: Workspace) -> None:
    entry = workspace.entries()[10]
    midnight = datetime.combine(entry.start.date(), datetime.min.time(), ZoneInfo("Europe/Berlin")) + DAY
    fields = {"start": midnight.astimezone(timezone.utc) - HOUR, "stop": midnight.astimezone(timezone.utc) + HOUR}
    workspace.toggl.world.change(entry, {**fields, "duration": 7200}, workspace.toggl.world.owner)
    workspace.delete(*workspace.entries()[12:14])


def run_and_delete(workspace: Workspace) -> None:
    workspace.delete(*(e for e in workspace.toggl.world.time_entries.values() if e.description == "runs"))


def stop_what_runs(workspace: Workspace) -> None:
    world = workspace.toggl.world
    for entry in [e for e in world.time_entries.values() if e.description == "runs"]:
        entry_writes.stop_entry(WriteRequest(world, world.owner), entry.id)


def runs(workspace: Workspace, *, since: timedelta = HOUR) -> TimeEntry:
    return create(workspace, workspace.toggl.world.now() - since, None, description="runs")


def zero_length(workspace: Workspace) -> None:
    moment = workspace.toggl.world.now() - 5 * DAY
    for number in range(4):
        create(workspace, moment + number * HOUR, moment + number * HOUR, description="empty")


def negative(workspace: Workspace) -> None:
    moment = workspace.toggl.world.now() - 5 * DAY
    for number in range(3):
        create(workspace, moment + number * HOUR, moment + (number - 1) * HOUR, description="backwards")


def delete_some(description: str) -> Change:
    def change(workspace: Workspace) -> None:
        entries = workspace.toggl.world.time_entries.values()
        found = [entry for entry in entries if entry.description == description and entry.deleted_at is None]
        workspace.delete(*found[:2])

    return change


def round_up(workspace: Workspace) -> None:
    workspace.toggl.control("PATCH", "workspace", {"rounding": 1, "rounding_minutes": 15})
    workspace.toggl.mutate(seed=5, n=10, kinds=["retime", "delete_entry"])


def delete_project(mode: str) -> Change:
    def change(workspace: Workspace) -> None:
        world = workspace.toggl.world
        project_writes.delete_project(WriteRequest(world, world.owner), busiest_project(workspace), mode)

    return change


def delete_tag(workspace: Workspace) -> None:
    world = workspace.toggl.world
    tags = [tag for entry in workspace.entries() for tag in entry.tag_ids]
    tag_writes.delete_tag(WriteRequest(world, world.owner), max(set(tags), key=tags.count))


def rename_tag(workspace: Workspace) -> None:
    workspace.toggl.mutate(seed=1, n=3, kinds=["rename_tag"])


def delete_and_restore(workspace: Workspace) -> None:
    chosen = workspace.entries()[5:9]
    workspace.delete(*chosen)
    workspace.reconcile()
    workspace.toggl.advance(10)
    for entry in chosen[:3]:
        workspace.toggl.world.change(entry, {"deleted_at": None}, workspace.toggl.world.owner)


def restore_silently(workspace: Workspace) -> None:
    """Restore an entry without moving its ``at``: only its presence shows it."""
    chosen = workspace.entries()[5]
    at = chosen.at
    workspace.delete(chosen)
    workspace.reconcile()
    workspace.toggl.advance(10)
    workspace.toggl.world.change(chosen, {"deleted_at": None, "at": at}, workspace.toggl.world.owner, moves_at=False)


def change_silently(fields: dict[str, Any]) -> Change:
    def change(workspace: Workspace) -> None:
        world, entry = workspace.toggl.world, workspace.entries()[20]
        if "duration" in fields:
            fields["stop"] = entry.start + timedelta(seconds=fields["duration"])
        world.change(entry, fields, world.owner, moves_at=False)

    return change


def mutate(*kinds: str, n: int = 12) -> Change:
    return lambda workspace: workspace.toggl.mutate(seed=3, n=n, kinds=list(kinds))


def change_zone(workspace: Workspace) -> None:
    workspace.reconcile()
    workspace.toggl.change_user(timezone="Pacific/Kiritimati")
    workspace.toggl.mutate(seed=4, n=12, kinds=["move_day", "delete_entry", "create"])


CASES: dict[str, tuple[Change | None, Change]] = {
    "moved to another day": (None, lambda workspace: move(workspace, -DAY)),
    "moved to another month": (None, lambda workspace: move(workspace, -29 * DAY, place=-5)),
    "moved to another year": (None, lambda workspace: move(workspace, -365 * DAY)),
    "moved into the future": (None, lambda workspace: move(workspace, 90 * DAY)),
    "moved over midnight": (None, moved_over_midnight),
    "running": (runs, lambda workspace: move(workspace, -DAY)),
    "running since days": (lambda w: runs(w, since=4 * DAY), delete_some("no such")),
    "running and deleted": (runs, run_and_delete),
    "a stop that was never seen": (lambda w: runs(w, since=2 * DAY), stop_what_runs),
    "of no length": (zero_length, delete_some("empty")),
    "of no length, made later": (None, zero_length),
    "stops before it starts": (negative, delete_some("backwards")),
    "rounding is on": (None, round_up),
    "project deleted with its entries": (None, delete_project("delete")),
    "project deleted, entries left": (None, delete_project("unassign")),
    "tag deleted": (None, delete_tag),
    "tag renamed": (None, rename_tag),
    "user removed": (None, mutate("remove_user", n=1)),
    "deleted and restored": (None, delete_and_restore),
    "restored, and its at not moved": (None, restore_silently),
    "duration changed, and its at not moved": (None, change_silently({"duration": 601})),
    "project taken off, and its at not moved": (None, change_silently({"project_id": None, "task_id": None})),
    "edited in bulk": (None, mutate("bulk_edit", n=3)),
    "the owner's zone changed between runs": (None, change_zone),
    "much of everything": (None, mutate("move_month", "retime", "delete_entry", "restore_entry", n=40)),
}


# The oldest entries are deleted: on the free plan that looks like entries that the plan no longer shows.
OLDEST_GO = {"project deleted with its entries", "much of everything"}
# Tags or tasks are deleted, which only their lists show.
NEEDS_LISTS = {"project deleted with its entries", "project deleted, entries left", "tag deleted", "tag renamed"}


@pytest.mark.parametrize("gives_ids", [True, False], ids=["ids", "sums"])
@pytest.mark.parametrize("case", CASES)
def test_a_pull_and_a_reconciliation_end_with_the_truth(build_pulled, case: str, gives_ids: bool):
    number = list(CASES).index(case) + 2 * gives_ids
    settings = SWITCHES[number % len(SWITCHES)] | ({"plan": "premium"} if case in OLDEST_GO else {})
    workspace: Workspace = build_pulled(entries=90, days=45, summary_gives_ids=gives_ids, **settings)
    before, after = CASES[case]
    if before is not None:
        before(workspace)
        workspace.pull()
    if case in NEEDS_LISTS:
        pull_lists(workspace)
    # Toggl's times are whole seconds, so changes within one second have no order.
    workspace.toggl.advance(10)
    after(workspace)
    if case in NEEDS_LISTS:
        pull_lists(workspace)
    workspace.pull()
    rules = {"absent_rows": 40}
    summary = workspace.reconcile(rules=rules)
    assert workspace.wrong("time_entries") == []
    assert tags_are_right(workspace)
    assert set(summary.unverified) <= (set() if gives_ids else {NOT_IN_TOTALS}), str(summary)
    again = workspace.reconcile(rules=rules)
    assert (again.added, again.edited, again.deleted) == (0, 0, 0), str(again)


def pull_lists(workspace: Workspace) -> None:
    for stream in ("tags", "tasks"):
        workspace.pull(stream, absent_share=1.0)


def tags_are_right(workspace: Workspace) -> bool:
    """Whether no live row has a tag that its entry lost with the tag."""
    entries = workspace.toggl.world.time_entries
    found = live(workspace.path, "time_entries").items()
    return [set(row["tag_ids"] or ()) for _, row in found] == [set(entries[id_].tag_ids) for id_, _ in found]


@pytest.mark.parametrize("gives_ids", [True, False], ids=["ids", "sums"])
@pytest.mark.parametrize("zone", ["America/New_York", "Europe/Berlin"])
def test_entries_over_both_changes_of_clocks_of_the_owner_are_compared_on_their_days(build, zone: str, gives_ids: bool):
    workspace: Workspace = build(
        entries=60,
        days=270,
        timezone=zone,
        summary_gives_ids=gives_ids,
        now=datetime(2026, 11, 20, tzinfo=timezone.utc),
    )
    local = ZoneInfo(zone)
    days = {"America/New_York": ((3, 8), (11, 1)), "Europe/Berlin": ((3, 29), (10, 25))}[zone]
    made = [
        create(workspace, midnight + hour * HOUR, midnight + (hour + 3) * HOUR, description="clocks change")
        for month, day in days
        for midnight in [datetime(2026, month, day, tzinfo=local).astimezone(timezone.utc)]
        for hour in (-2, 0, 1, 2, 22, 23, 24)
    ]
    workspace.pull()
    assert set(workspace.reconcile().unverified) <= {NOT_IN_TOTALS}
    workspace.toggl.advance(10)
    workspace.delete(made[1], made[4], made[8], made[12])
    workspace.toggl.world.change(made[6], {"start": made[6].start - HOUR}, workspace.toggl.world.owner)
    workspace.pull()
    summary = workspace.reconcile()
    assert workspace.wrong("time_entries") == []
    assert summary.deleted == 4


@pytest.mark.parametrize("limit", [window.MAX_PAGES_AT_ONCE, 0], ids=["few requests", "many requests"])
def test_deleted_entries_that_no_total_has_are_found_where_reports_neither_give_nor_take_ids(
    build_pulled, limit: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(window, "MAX_PAGES_AT_ONCE", limit)
    workspace: Workspace = build_pulled(
        entries=90, days=45, summary_gives_ids=False, report_time_entry_ids="ignore", largest_page_size=50
    )
    now = workspace.toggl.world.now()
    made = [create(workspace, now - day * DAY, now - day * DAY) for day in range(2, 42, 2)]
    workspace.toggl.advance(10)
    workspace.pull(incremental=False, since="2026-01-01")
    workspace.delete(made[0])
    summary = workspace.reconcile()
    if limit:
        assert (workspace.wrong("time_entries"), summary.unverified) == ([], {})
    else:
        # Too many requests for entries that may be unchanged.
        assert list(summary.unverified) == [NOT_IN_TOTALS]


def test_another_workspace_in_the_same_schema_is_left_alone(build):
    workspace: Workspace = build(entries=60, days=30)
    workspace.pull()
    start = (workspace.toggl.world.now() - DAY).isoformat()
    entry = {"id": 77, "workspace_id": 8, "user_id": 5, "start": start, "duration": 60, "at": start}
    body = json.dumps([entry]).encode()
    with build_duckdb_warehouse(workspace.path) as target:
        target.load([decode_page("time_entries", body, Observation(8, workspace.toggl.world.now()))])
    workspace.toggl.advance(10)
    workspace.delete(*workspace.entries()[10:13])
    summary = workspace.reconcile()
    assert (summary.deleted, summary.unverified) == (3, {})
    assert 77 in live(workspace.path, "time_entries")


def test_a_tag_that_was_deleted_before_tags_were_ever_loaded_is_taken_off(build):
    workspace: Workspace = build(entries=60, days=30)
    workspace.pull()
    delete_tag(workspace)
    # Of two answers of the same second, neither is the newer one.
    workspace.toggl.advance(2)
    # Small pages, so that looking for changes does not come by all entries anyway.
    small: dict[str, Any] = {"page_size": 5, "overlap": timedelta(0)}
    workspace.reconcile(**small)
    assert not tags_are_right(workspace)
    pull_lists(workspace)
    workspace.reconcile(**small)
    assert tags_are_right(workspace)


@pytest.mark.parametrize("hours", [-1, 1])
def test_clocks_that_are_an_hour_apart_change_nothing(build, hours: int):
    """Toggl's clock is an hour off from that of this machine, which is the receiver's and the warehouse's."""
    workspace: Workspace = build(entries=60, days=30, now=NOON + hours * HOUR)
    workspace.clock.ahead -= hours * 3600
    workspace.pull()
    workspace.toggl.advance(10)
    workspace.toggl.mutate(seed=2, n=15, kinds=["move_day", "late_edit", "delete_entry", "create"])
    workspace.pull()
    workspace.reconcile()
    assert workspace.wrong("time_entries") == []
    started = workspace.now()
    assert workspace.reconcile(run_started=started).requests == 3
    # The same run again: all its windows are done.
    assert workspace.reconcile(run_started=started).requests == 1


@pytest.mark.parametrize("gives_ids", [True, False], ids=["ids", "sums"])
def test_changes_that_arrive_while_their_window_is_compared_are_there_after_the_next_run(build, gives_ids: bool):
    workspace: Workspace = build(entries=90, days=30, summary_gives_ids=gives_ids)
    workspace.pull()
    workspace.toggl.advance(10)
    workspace.delete(*workspace.entries()[10:13])

    def before_call(call: Any) -> None:
        workspace.toggl.mutate(seed=len(call.path), n=2, kinds=["move_day", "retime", "delete_entry", "create"])

    workspace.reconcile(before_call=before_call)
    gone = {entry.id for entry in workspace.toggl.world.time_entries.values() if entry.deleted_at is not None}
    kept = {entry.id for entry in workspace.toggl.world.time_entries.values()} - gone
    known = {row["id"] for row in workspace.rows("SELECT id FROM toggl.time_entries")}
    assert kept & known <= set(live(workspace.path, "time_entries"))
    workspace.toggl.advance(90_000)
    workspace.reconcile()
    assert workspace.wrong("time_entries") == []
