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


def test_an_entry_is_sent_with_what_was_asked_for_and_nothing_else():
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


def test_an_entry_as_it_was_asked_for_is_that_one_however_it_is_written():
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
def test_an_entry_that_differs_in_one_thing_is_another(fields: dict[str, Any]):
    assert not is_match(WANTED, ExistingTimeEntry.from_http(row(**fields)))


@pytest.mark.parametrize("billable", [False, None])
def test_billable_does_not_tell_entries_apart_for_a_plan_or_a_project_may_rule_it(billable: bool | None):
    assert is_match(WANTED, ExistingTimeEntry.from_http(row(billable=billable)))


def test_one_that_was_started_is_that_one_also_when_it_was_stopped_since():
    assert is_match(BARE, ExistingTimeEntry.from_http(bare_row(stop="2026-11-20T08:00:09Z", duration=9)))


def test_a_task_brings_its_project():
    wanted = replace(WANTED, project_id=None)
    assert is_match(wanted, ExistingTimeEntry.from_http(row()))
    assert not is_match(replace(wanted, task_id=None), ExistingTimeEntry.from_http(row(task_id=None)))


@pytest.mark.parametrize(("minutes", "fits"), [(-33, False), (-31, True), (-10, True), (1, True), (3, False)])
def test_a_start_that_nobody_remembers_is_any_since_the_earliest_of_clocks_that_differ(minutes: int, fits: bool):
    wanted = replace(BARE, earliest=START - timedelta(minutes=30))
    start = (START + timedelta(minutes=minutes)).isoformat()
    assert timedelta(minutes=2) == CLOCK_SKEW
    assert is_match(wanted, ExistingTimeEntry.from_http(bare_row(start=start))) is fits


def test_of_several_the_one_that_runs_is_taken_then_the_oldest():
    stopped = {"stop": "2026-11-20T08:00:09Z", "duration": 9}
    rows = [bare_row(id=3, **stopped), bare_row(id=2, **stopped), bare_row(id=9), bare_row(id=1, description="other")]
    assert [one.entry_id for one in find_matches(BARE, rows)] == [9, 2, 3]


def test_a_deleted_one_is_not_there():
    assert find_matches(BARE, [bare_row(server_deleted_at="2026-11-20T08:10:00Z")]) == []


def test_a_list_that_may_lack_it_is_not_believed():
    others = [bare_row(description=str(number)) for number in range(MAX_LISTED)]
    with pytest.raises(MalformedAnswer, match="its maximum"):
        find_matches(BARE, others)
    assert len(find_matches(BARE, [*others[1:], bare_row()])) == 1


@pytest.mark.parametrize("bad", [None, [], {}, {"id": True}, row(id="11"), row(start="yesterday"), row(start=None)])
def test_what_is_no_entry_is_said_to_be_none(bad: Any):
    with pytest.raises(MalformedAnswer):
        ExistingTimeEntry.from_http(bad)


def test_a_result_is_small_and_plain_and_always_has_the_same_keys():
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
