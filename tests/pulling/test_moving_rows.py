"""People work while pages are read: rows are added, edited, moved and deleted between two of them."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from support.pulls import Workspace
from support.truth import truth

from airflow_provider_toggl.core.client.transport import OutgoingRequest

SEARCH = "/search/time_entries"


def between_pages(
    workspace: Workspace, change: Callable[[int], Any], *, path: str = SEARCH
) -> Callable[[OutgoingRequest], None]:
    """Return what calls ``change`` with the number of the page about to be asked for, from the second on."""
    asked = 0

    def before_call(call: OutgoingRequest) -> None:
        nonlocal asked
        if call.path.endswith(path):
            asked += 1
            if asked > 1:
                change(asked)

    return before_call


def delete(workspace: Workspace, ids: list[int]) -> None:
    world = workspace.toggl.world
    for entry_id in ids:
        world.mark_deleted(world.time_entries[entry_id])


def live_ids(workspace: Workspace, *, by: str) -> list[int]:
    """Return the ids of the live entries, in a report's order: by ``start`` upwards, or by ``at`` downwards."""
    live = [row for row in truth(workspace.toggl.url, "time_entries").values() if not row["deleted_at"]]
    return [row["id"] for row in sorted(live, key=lambda row: (row[by], row["id"]), reverse=by == "at")]


@pytest.mark.parametrize("seed", [1, 2])
def test_what_changes_during_a_first_load_is_in_after_the_next_run(workspace: Workspace, seed: int):
    change = between_pages(workspace, lambda number: workspace.toggl.mutate(seed=seed * 100 + number, n=12))
    workspace.pull(page_size=30, before_call=change)
    workspace.toggl.advance(2)
    workspace.pull()
    assert workspace.wrong("time_entries", with_deletions=False) == []


@pytest.mark.parametrize("seed", [1, 2])
def test_what_changes_during_a_later_run_is_in_after_the_next_one(workspace: Workspace, seed: int):
    workspace.pull()
    workspace.toggl.advance(3600)
    workspace.toggl.mutate(seed=seed, n=150)
    change = between_pages(workspace, lambda number: workspace.toggl.mutate(seed=seed * 100 + number, n=12))
    workspace.pull(page_size=20, before_call=change)
    workspace.toggl.advance(2)
    workspace.pull()
    assert workspace.wrong("time_entries", with_deletions=False) == []


@pytest.mark.parametrize("count", [1, 65, 110])
def test_deleting_entries_that_were_read_skips_none_that_was_not(workspace: Workspace, count: int):
    # After the third page of 30: so many of the first 90 are gone, and as many move up unread.
    ids = live_ids(workspace, by="start")
    change = between_pages(workspace, lambda number: delete(workspace, ids[:count]) if number == 4 else None)
    workspace.pull(page_size=30, before_call=change)
    assert workspace.wrong("time_entries", with_deletions=False) == []


def test_deleting_so_many_that_the_next_page_is_empty_skips_none(workspace: Workspace):
    ids = live_ids(workspace, by="start")
    change = between_pages(workspace, lambda number: delete(workspace, ids[:100]) if number == 2 else None)
    workspace.pull(page_size=150, before_call=change)
    assert workspace.wrong("time_entries", with_deletions=False) == []


@pytest.mark.parametrize("count", [1, 45])
def test_deleting_changes_that_were_read_skips_none_that_was_not(workspace: Workspace, count: int):
    workspace.pull()
    workspace.toggl.advance(3600)
    workspace.toggl.mutate(seed=4, n=120, kinds=["late_edit"])
    ids = live_ids(workspace, by="at")
    change = between_pages(workspace, lambda number: delete(workspace, ids[:count]) if number == 4 else None)
    workspace.pull(page_size=20, before_call=change)
    assert workspace.wrong("time_entries", with_deletions=False) == []


def test_deleting_among_entries_of_the_same_second_skips_none(workspace: Workspace):
    world = workspace.toggl.world
    entries = sorted((entry for entry in world.time_entries.values() if entry.stop), key=lambda entry: entry.start)
    for entry in entries[40:160]:
        entry.start, entry.stop, entry.duration = entries[40].start, entries[40].start, 0
    ids = live_ids(workspace, by="start")
    change = between_pages(workspace, lambda number: delete(workspace, [ids[10 + number]]))
    workspace.pull(page_size=30, before_call=change)
    assert workspace.wrong("time_entries", with_deletions=False) == []


def test_what_was_deleted_while_a_run_was_interrupted_skips_none(workspace: Workspace):
    ids = live_ids(workspace, by="start")
    session = workspace.session()
    with pytest.raises(StopReading):
        workspace.pull(page_size=30, session=stop_before(session, 4))
    delete(workspace, ids[5:70])
    workspace.pull(page_size=30)
    assert workspace.wrong("time_entries", with_deletions=False) == []


class StopReading(Exception):
    """The test ends a run here."""


def stop_before(session: Any, number: int) -> Any:
    """Let a session end the run instead of sending its n-th request."""
    send, sent = session._transport.send, 0

    def stopping(*arguments: Any) -> Any:
        nonlocal sent
        sent += 1
        if sent == number:
            raise StopReading
        return send(*arguments)

    session._transport.send = stopping
    return session


def test_a_day_of_restless_work_ends_with_the_truth_once_it_is_quiet(workspace: Workspace):
    rng = random.Random(1)
    for run in range(4):
        change = between_pages(workspace, lambda number, run=run: workspace.toggl.mutate(seed=run * 50 + number, n=8))
        workspace.pull(page_size=rng.choice([15, 40, 100]), before_call=change)
        workspace.toggl.advance(rng.choice([5, 290, 310, 4000]))
    workspace.pull()
    assert workspace.wrong("time_entries", with_deletions=False) == []


@pytest.mark.parametrize(
    ("stream", "kind"),
    [
        ("projects", "rename_project"),
        ("projects", "delete_project"),
        ("projects", "create_project"),
        ("tasks", "rename_task"),
        ("tasks", "delete_task"),
        ("tags", "delete_tag"),
    ],
)
def test_a_list_that_changes_between_its_pages_is_right_after_the_next_run(build, stream: str, kind: str):
    workspace = build(entries=0, **{"projects": 1, stream: 430})

    def change(number: int) -> None:
        if number in (2, 3):
            workspace.toggl.mutate(seed=number, n=15, kinds=[kind])

    workspace.pull(stream, before_call=between_pages(workspace, change, path=f"/{stream}"))
    workspace.toggl.advance(120)
    workspace.pull(stream)
    assert workspace.wrong(stream) == []


def test_a_list_that_never_keeps_still_is_read_a_few_times_only_and_nothing_is_taken_for_gone(build):
    workspace = build(entries=20, projects=430)
    workspace.pull("projects")
    kinds = ["rename_project", "delete_project", "create_project"]
    change = between_pages(
        workspace, lambda number: workspace.toggl.mutate(seed=number, n=3, kinds=kinds), path="/projects"
    )
    workspace.toggl.advance(120)
    summary = workspace.pull("projects", before_call=change, incremental=False)
    assert (summary.requests <= 20, summary.absent) == (True, 0)
    workspace.toggl.advance(120)
    workspace.pull("projects")
    assert workspace.wrong("projects") == []
