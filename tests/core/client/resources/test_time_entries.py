from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_provider_toggl.core.client.resources.time_entries import (
    CLOCK_SKEW,
    ENTRY_KEYS,
    MAX_LISTED,
    ExistingTimeEntry,
    TimeEntrySpec,
    find_matches,
    is_match,
)
from airflow_provider_toggl.core.errors import MalformedAnswer

START = datetime(2026, 11, 20, 8, tzinfo=timezone.utc)
WANTED = TimeEntrySpec(7, START, START + timedelta(hours=1), "design", 5, 6, ("b", "A"), True)
ROW = {
    "id": 11,
    "workspace_id": 7,
    "start": "2026-11-20T08:00:00+00:00",
    "stop": "2026-11-20T09:00:00Z",
    "duration": 3600,
    "description": "design",
    "project_id": 5,
    "task_id": 6,
    "tags": ["A", "b"],
    "billable": True,
}
BARE = TimeEntrySpec(7, START)


def row(**fields: Any) -> dict[str, Any]:
    return {**ROW, **fields}


def bare_row(**fields: Any) -> dict[str, Any]:
    kept = {"id": 11, "workspace_id": 7, "start": "2026-11-20T08:00:00Z", "stop": None, "duration": -1}
    return {**kept, **fields}


def test_a_payload_has_only_the_given_fields():
    body = WANTED.payload()
    assert body.pop("created_with").startswith("airflow-provider-toggl/")
    assert body == {
        "workspace_id": 7,
        "start": "2026-11-20T08:00:00Z",
        "stop": "2026-11-20T09:00:00Z",
        "duration": 3600,
        "description": "design",
        "project_id": 5,
        "task_id": 6,
        "tags": ["b", "A"],
        "billable": True,
    }
    assert set(BARE.payload()) == {"created_with", "workspace_id", "start", "duration"}
    assert BARE.payload()["duration"] == -1


def test_equivalent_entries_match():
    assert is_match(WANTED, ExistingTimeEntry.from_http(row()))
    assert is_match(WANTED, ExistingTimeEntry.from_http(row(start="2026-11-20T09:00:00.250+01:00", tags=["a", "B"])))
    assert is_match(BARE, ExistingTimeEntry.from_http(bare_row(description=None, tags=None)))


@pytest.mark.parametrize(
    "fields",
    [
        {"workspace_id": 8},
        {"start": "2026-11-20T08:00:01Z"},
        {"stop": "2026-11-20T09:00:01Z"},
        {"stop": None},
        {"description": "designs"},
        {"project_id": None},
        {"task_id": None},
        {"tags": ["A"]},
        {"tags": ["A", "b", "c"]},
    ],
    ids=str,
)
def test_an_entry_with_one_different_field_does_not_match(fields: dict[str, Any]):
    assert not is_match(WANTED, ExistingTimeEntry.from_http(row(**fields)))


@pytest.mark.parametrize("billable", [False, None])
def test_billable_is_not_compared(billable: bool | None):
    assert is_match(WANTED, ExistingTimeEntry.from_http(row(billable=billable)))


def test_a_started_entry_matches_after_it_was_stopped():
    assert is_match(BARE, ExistingTimeEntry.from_http(bare_row(stop="2026-11-20T08:00:09Z", duration=9)))


def test_an_entry_with_a_task_may_have_the_task_s_project():
    wanted = replace(WANTED, project_id=None)
    assert is_match(wanted, ExistingTimeEntry.from_http(row()))
    assert not is_match(replace(wanted, task_id=None), ExistingTimeEntry.from_http(row(task_id=None)))


@pytest.mark.parametrize(("minutes", "fits"), [(-33, False), (-31, True), (-10, True), (1, True), (3, False)])
def test_an_unknown_start_matches_a_range_of_starts(minutes: int, fits: bool):
    wanted = replace(BARE, earliest=START - timedelta(minutes=30))
    start = (START + timedelta(minutes=minutes)).isoformat()
    assert timedelta(minutes=2) == CLOCK_SKEW
    assert is_match(wanted, ExistingTimeEntry.from_http(bare_row(start=start))) is fits


def test_of_several_matches_running_and_old_ones_come_first():
    stopped = {"stop": "2026-11-20T08:00:09Z", "duration": 9}
    rows = [bare_row(id=3, **stopped), bare_row(id=2, **stopped), bare_row(id=9), bare_row(id=1, description="other")]
    assert [one.entry_id for one in find_matches(BARE, rows)] == [9, 2, 3]


def test_a_deleted_entry_does_not_match():
    assert find_matches(BARE, [bare_row(server_deleted_at="2026-11-20T08:10:00Z")]) == []


def test_a_full_list_without_a_match_is_malformed():
    others = [bare_row(description=str(number)) for number in range(MAX_LISTED)]
    with pytest.raises(MalformedAnswer, match="its maximum"):
        find_matches(BARE, others)
    assert len(find_matches(BARE, [*others[1:], bare_row()])) == 1


@pytest.mark.parametrize("bad", [None, [], {}, {"id": True}, row(id="11"), row(start="yesterday"), row(start=None)])
def test_an_invalid_entry_is_malformed(bad: Any):
    with pytest.raises(MalformedAnswer):
        ExistingTimeEntry.from_http(bad)


def test_a_result_has_always_the_same_keys():
    assert ExistingTimeEntry.from_http(row()).as_dict() == {
        "id": 11,
        "workspace_id": 7,
        "project_id": 5,
        "task_id": 6,
        "start": "2026-11-20T08:00:00Z",
        "stop": "2026-11-20T09:00:00Z",
        "tags": ["A", "b"],
        "billable": True,
        "running": False,
    }
    assert tuple(ExistingTimeEntry.from_http(bare_row()).as_dict()) == ENTRY_KEYS
    assert ExistingTimeEntry.from_http(bare_row()).is_running
