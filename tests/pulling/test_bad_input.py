"""Arguments that cannot be, and rows that are odd but right."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from support.pulls import STREAMS, Workspace
from support.sandboxes import NOON

from airflow_provider_toggl.core.errors import AccessDenied, ConfigurationError, MalformedAnswer
from airflow_provider_toggl.sandbox.workspace.records import TimeEntry

SEARCH = {"path": "search/time_entries$"}

BAD_DAYS: list[tuple[dict[str, Any], str]] = [
    ({"since": (NOON + timedelta(days=3)).date()}, "since is .*, which is in the future"),
    ({"since": "2099-01-01"}, "since is 2099-01-01, which is in the future"),
    ({"since": NOON + timedelta(days=9)}, "since is .*, which is in the future"),
    ({"since": "2026-01-01T00:00:00"}, "since is 2026-01-01T00:00:00, a moment without a zone"),
    ({"since": datetime(2026, 1, 1)}, "without a zone: add one, or give a day"),  # noqa: DTZ001 - the point of it
    ({"since": "yesterday"}, "since is 'yesterday'; give a day"),
    ({"since": "2026-02-30"}, "since is '2026-02-30'; give a day"),
    ({"since": "01/02/2026"}, "since is '01/02/2026'; give a day"),
    ({"since": "2001-01-01"}, "Toggl has no entries before 2006-01-01"),
    ({"since": "0001-01-01T00:00:00Z"}, "since is 0001-01-01"),
    ({"since": "2026-01-01", "until": "2025-01-01"}, r"until \(2025-01-01\) is before since \(2026-01-01\)"),
    ({"since": "2026-01-01", "until": "2099-01-01"}, "until is 2099-01-01, which is more than a year ahead"),
    ({"since": "2026-01-01", "until": "2026-01-02T00:00"}, "until is 2026-01-02T00:00:00, a moment without a zone"),
    ({"since": "2026-01-01", "until": "9999-12-31T23:59:59Z"}, "until is 9999-12-31"),
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


def test_an_id_of_up_to_64_bits_is_loaded_as_it_is(workspace: Workspace):
    entries = [add(workspace, id=number) for number in (2**31, 2**32 + 1, 2**53 + 1, 2**63 - 1)]
    summary = workspace.pull(page_size=50)
    assert json.loads(json.dumps(summary.as_dict()))["rejected"] == 0
    assert [row(workspace, entry)["id"] for entry in entries] == [2**31, 2**32 + 1, 2**53 + 1, 2**63 - 1]
    assert workspace.wrong("time_entries") == []


def test_an_id_of_more_than_64_bits_is_kept_aside(workspace: Workspace):
    add(workspace, id=2**63)
    assert workspace.pull().rejected == 1
    (kept,) = workspace.rows("SELECT raw, reason FROM toggl.rejected_records")
    assert str(2**63) in kept["raw"]
    assert "id" in kept["reason"]


def every_kind_of_text() -> list[str]:
    """Return texts of every kind of character that Unicode has, and those that break programs."""
    planes = ["".join(map(chr, range(first, first + 250))) for first in range(0x20, 0xD700, 2500)]
    planes += ["".join(map(chr, range(first, first + 250))) for first in range(0xE000, 0x10FF00, 50_000)]
    return [
        *planes,
        "".join(map(chr, range(32))),
        "nul \0 in the middle",
        "\0",
        "\ufeff starts with a byte order mark",
        "\ufffe\uffff not characters",
        "e\u0301 and é are not the same",
        "family 👨‍👩‍👧‍👦, flag 🏴󠁧󠁢󠁳󠁣󠁴󠁿",
        "\u202eright to left\u202c",
        "\r\n\t\v\f\x1c\u0085\u2028\u2029",
        "'; DROP TABLE time_entries; --",
        '{"json": "in it"}',
        " spaces around ",
        "",
    ]


def test_a_description_of_any_characters_is_loaded_as_it_is(workspace: Workspace):
    entries = {add(workspace, description=text).id: text for text in every_kind_of_text()}
    assert workspace.pull(page_size=50).rejected == 0
    found = {row["id"]: row["description"] for row in workspace.content()}
    assert {key: found[key] for key in entries} == entries


def test_a_description_of_100_kilobytes_is_loaded_as_it_is(workspace: Workspace):
    entry = add(workspace, description="long 🦆 " * 11_000)
    assert len(entry.description.encode()) > 100_000
    workspace.pull()
    assert row(workspace, entry)["description"] == entry.description


def test_half_a_character_is_loaded_as_the_replacement_character(build):
    workspace: Workspace = build(entries=0)
    entry = add(workspace, description="half")
    caught = workspace.session().request(
        "POST",
        f"/reports/api/v3/workspace/{workspace.id}/search/time_entries",
        payload={"start_date": str((NOON - timedelta(days=9)).date()), "end_date": str(NOON.date())},
    )
    body = caught.body.decode().replace('"half"', r'"half \ud83e of a duck"')
    workspace.toggl.fault("status", status=200, body=body, match=SEARCH)
    assert workspace.pull().rejected == 0
    assert row(workspace, entry)["description"] == "half \ufffd of a duck"


def test_an_entry_that_stops_before_it_starts_is_loaded_as_it_is_and_counted(workspace: Workspace):
    start = NOON.replace(microsecond=0) - timedelta(days=2)
    stop = start - timedelta(hours=1)
    entries = [add(workspace, start=start, stop=stop, duration=duration) for duration in (-3600, 0, 3600, 17)]
    assert workspace.pull().unexpected_durations == 4
    for entry in entries:
        found = row(workspace, entry)
        assert (found["start"], found["stop"], found["duration"]) == (start, stop, entry.duration)


def test_an_entry_without_a_stop_that_does_not_run_differs_from_one_that_runs(workspace: Workspace):
    start = NOON.replace(microsecond=0) - timedelta(hours=2)
    entry = add(workspace, start=start, stop=None, duration=0)
    running = add(workspace, start=start, stop=None, duration=-int(start.timestamp()))
    workspace.pull()
    assert (row(workspace, entry)["stop"], row(workspace, entry)["duration"]) == (None, 0)
    assert (row(workspace, running)["stop"], row(workspace, running)["duration"]) == (None, None)


def test_an_entry_of_many_days_and_one_of_no_time_are_loaded(workspace: Workspace):
    start = NOON.replace(microsecond=0) - timedelta(days=50)
    long = add(workspace, start=start, stop=start + timedelta(days=40), duration=40 * 86_400)
    none = add(workspace, start=start, stop=start, duration=0)
    assert workspace.pull().unexpected_durations == 0
    assert row(workspace, long)["duration"] == 40 * 86_400
    assert row(workspace, none)["duration"] == 0


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


def test_an_answer_that_begins_and_never_ends_is_an_error(workspace: Workspace):
    workspace.toggl.fault("not_json", body='[{"row_number": 1', match=SEARCH, times=None)
    with pytest.raises(MalformedAnswer, match="It was not loaded"):
        workspace.pull()
