"""Arguments that cannot be, and rows that are odd but right."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from support.pulls import STREAMS, Workspace
from support.sandboxes import NOON

from airflow_provider_toggl.core.errors import AccessDenied, ConfigurationError
from airflow_provider_toggl.sandbox.workspace.records import TimeEntry

SEARCH = {"path": "search/time_entries$"}

BAD_DAYS: list[tuple[dict[str, Any], str]] = [
    ({"since": (NOON + timedelta(days=3)).date()}, "since is .*, which is in the future"),
    ({"since": NOON + timedelta(days=9)}, "since is .*, which is in the future"),
    ({"since": "2026-01-01T00:00:00"}, "since is 2026-01-01T00:00:00, a moment without a zone"),
    ({"since": "2026-02-30"}, "since is '2026-02-30'; give a day"),
    ({"since": "2001-01-01"}, "Toggl has no entries before 2006-01-01"),
    ({"since": "2026-01-01", "until": "2025-01-01"}, r"until \(2025-01-01\) is before since \(2026-01-01\)"),
    ({"since": "2026-01-01", "until": "2099-01-01"}, "until is 2099-01-01, which is more than a year ahead"),
]


def test_days_that_cannot_be_are_refused_before_anything_is_asked(workspace: Workspace):
    for days, words in BAD_DAYS:
        with pytest.raises(ConfigurationError, match=words):
            workspace.pull(**days, incremental=False)
        with pytest.raises(ConfigurationError, match="set incremental=False" if "until" in days else words):
            workspace.pull(**days)
    assert workspace.calls() == []


def test_a_workspace_that_the_token_does_not_see_is_an_error(workspace: Workspace):
    workspace.id = 12_345
    for stream in STREAMS:
        with pytest.raises(AccessDenied, match="check the workspace ID"):
            workspace.pull(stream)


def test_a_workspace_with_nothing_in_it_is_loaded(build):
    workspace: Workspace = build(entries=0, projects=0, clients=0, tags=0, tasks=0, groups=0, users=1)
    for stream in STREAMS:
        workspace.pull(stream)
    assert workspace.wrong() == []


# -- rows that are odd but right ---------------------------------------------------------------------------------------


def add(workspace: Workspace, **fields: Any) -> TimeEntry:
    """Put an entry into the world as if it had always been there."""
    world = workspace.toggl.world
    start = NOON.replace(microsecond=0) - timedelta(days=3)
    stop = start + timedelta(hours=1)
    values = {"id": world.next_id("time_entry"), "start": start, "stop": stop, "duration": 3600, "at": stop} | fields
    entry = TimeEntry(workspace_id=world.workspace.id, user_id=world.owner.id, **values)
    world.load(entry)
    return entry


def row(workspace: Workspace, entry: TimeEntry) -> dict[str, Any]:
    """Return the row of an entry."""
    (found,) = workspace.rows(f"SELECT * FROM toggl.time_entries WHERE id = {entry.id}")
    return found


def test_an_id_of_more_than_64_bits_is_kept_aside(workspace: Workspace):
    add(workspace, id=2**63)
    assert workspace.pull().rejected == 1
    (kept,) = workspace.rows("SELECT raw, reason FROM toggl.rejected_records")
    assert str(2**63) in kept["raw"]
    assert "id" in kept["reason"]


def test_an_entry_that_stops_before_it_starts_is_loaded_as_it_is_and_counted(workspace: Workspace):
    start = NOON.replace(microsecond=0) - timedelta(days=2)
    stop = start - timedelta(hours=1)
    entries = [add(workspace, start=start, stop=stop, duration=duration) for duration in (-3600, 0, 3600, 17)]
    assert workspace.pull().unexpected_durations == 4
    for entry in entries:
        found = row(workspace, entry)
        assert (found["start"], found["stop"], found["duration"]) == (start, stop, entry.duration)


def test_an_entry_before_1970_or_2006_is_of_no_year_that_is_read(workspace: Workspace):
    start = datetime(2005, 6, 1, tzinfo=timezone.utc)
    add(workspace, start=start, stop=start + timedelta(hours=1))
    workspace.pull(since="2006-01-01")
    assert [word for word in workspace.wrong("time_entries") if "missing" not in word] == []


# -- reports that lag --------------------------------------------------------------------------------------------------


def test_reports_that_lag_behind_writes_skip_nothing(workspace: Workspace):
    workspace.pull()
    workspace.toggl.fault("reports_lag", seconds=290, match=SEARCH, times=None)
    for run in range(4):
        workspace.toggl.mutate(seed=run, n=30)
        workspace.toggl.advance([5, 100, 299, 301][run])
        workspace.pull()
    workspace.toggl.clear_faults()
    workspace.pull()
    assert workspace.wrong("time_entries", with_deletions=False) == []


def test_reports_that_lag_during_the_first_load_skip_nothing(workspace: Workspace):
    workspace.toggl.mutate(seed=1, n=100)
    workspace.toggl.advance(10)
    workspace.toggl.fault("reports_lag", seconds=280, match=SEARCH, times=None)
    workspace.pull(page_size=60)
    workspace.toggl.clear_faults()
    workspace.toggl.advance(3600)
    workspace.pull(page_size=60)
    assert workspace.wrong("time_entries", with_deletions=False) == []


def test_the_lag_that_is_allowed_can_be_larger(workspace: Workspace):
    workspace.pull(lag=timedelta(hours=2))
    workspace.toggl.fault("reports_lag", seconds=7000, match=SEARCH, times=None)
    workspace.toggl.mutate(seed=1, n=50)
    workspace.toggl.advance(6900)
    workspace.pull(lag=timedelta(hours=2))
    workspace.toggl.clear_faults()
    workspace.toggl.advance(60)
    workspace.pull(lag=timedelta(hours=2))
    assert workspace.wrong("time_entries", with_deletions=False) == []


def test_a_workspace_without_entries_is_read_in_two_requests_and_is_up_to_date(build):
    workspace: Workspace = build(entries=0)
    summary = workspace.pull()
    assert (summary.rows, summary.requests) == (0, 2)
    assert summary.watermark is not None
    assert workspace.content() == []
    workspace.toggl.advance(3600)
    workspace.toggl.mutate(seed=1, n=5, kinds=["create"])
    workspace.pull()
    assert workspace.wrong("time_entries") == []
