"""What reports show to whom: rights, the plan's horizon, lag and entries hidden on order, in rows and sums alike."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from support.sandboxes import ApiCaller, HostedSandbox

from airflow_provider_toggl.sandbox.workspace.records import TimeEntry, User

RANGE = {"start_date": "2026-01-09", "end_date": "2026-03-10"}


def live(toggl: ApiCaller) -> list[TimeEntry]:
    return [one for one in toggl.world.time_entries.values() if one.deleted_at is None]


def found(toggl: ApiCaller, **body: Any) -> set[int]:
    return {one["id"] for row in toggl.search_all(**body) for one in row["time_entries"]}


def summed(toggl: ApiCaller) -> tuple[set[int], int]:
    """The ids and the seconds of the summary."""
    answer = toggl.report("summary/time_entries", {**RANGE, "include_time_entry_ids": True})
    parts = [part for group in answer.json()["groups"] for part in group["sub_groups"]]
    return {id_ for part in parts for id_ in part["ids"]}, sum(part["seconds"] for part in parts)


def total(toggl: ApiCaller) -> int:
    seconds: int = toggl.report("search/time_entries/totals", RANGE).json()["seconds"]
    return seconds


def of_projects(toggl: ApiCaller) -> int:
    return sum(row["tracked_seconds"] for row in toggl.report("projects/summary", RANGE).json())


def assert_all_show(toggl: ApiCaller, entries: list[TimeEntry]) -> None:
    """All reports show these entries and no others."""
    ids = {one.id for one in entries}
    seconds = sum(max(0, one.duration) for one in entries)
    assert found(toggl) == ids
    assert summed(toggl) == (ids, seconds)
    assert total(toggl) == seconds
    assert of_projects(toggl) == sum(max(0, one.duration) for one in entries if one.project_id is not None)


@pytest.fixture
def member(sandbox: HostedSandbox) -> User:
    """Somebody who works and is no administrator."""
    return next(one for one in sandbox.world.users.values() if not one.is_admin and not one.inactive)


@pytest.fixture
def theirs(sandbox: HostedSandbox, member: User) -> Iterator[ApiCaller]:
    """That person, who calls the sandbox."""
    caller = ApiCaller(sandbox, member.token)
    yield caller
    caller.close()


def test_an_administrator_sees_all_and_a_member_their_own(toggl: ApiCaller, theirs: ApiCaller, member: User) -> None:
    assert_all_show(toggl, live(toggl))
    assert_all_show(theirs, [one for one in live(toggl) if one.user_id == member.id])
    assert found(theirs, user_ids=[toggl.world.owner.id]) == set()


def test_members_may_see_all(toggl: ApiCaller, theirs: ApiCaller) -> None:
    toggl.sandbox.set(report_shows_members="all")
    assert_all_show(theirs, live(toggl))


def test_status_lists_have_visible_entries_only(toggl: ApiCaller, theirs: ApiCaller, member: User) -> None:
    tracked = sum(row["tracked_seconds"] for row in theirs.report("filters/projects/status", {}).json())
    own = [one for one in live(toggl) if one.user_id == member.id and one.project_id is not None]
    assert tracked == sum(max(0, one.duration) for one in own)


def test_a_token_without_rights_sees_its_own_entries_only(toggl: ApiCaller) -> None:
    everything, owner = live(toggl), toggl.world.owner
    assert_all_show(toggl, everything)
    toggl.sandbox.change_user(is_admin=False)
    assert_all_show(toggl, [one for one in everything if one.user_id == owner.id])
    shown = toggl.get("/workspaces/{ws}").json()
    assert (shown["admin"], shown["role"]) == (False, "user")
    assert toggl.get("/organizations/{org}/users").status_code == 403
    toggl.world.change_user(owner, is_admin=True)
    assert_all_show(toggl, everything)
    assert toggl.get("/workspaces/{ws}").json()["role"] == "admin"


def test_beyond_the_horizon_of_the_free_plan_nothing_is_shown(toggl: ApiCaller) -> None:
    toggl.sandbox.set(retention_days=20)
    since = (toggl.world.now() - timedelta(days=20)).replace(second=0, microsecond=0)
    shown = [one for one in live(toggl) if one.start >= since]
    assert 0 < len(shown) < len(live(toggl))
    assert_all_show(toggl, shown)
    toggl.sandbox.set(plan="starter")
    assert_all_show(toggl, live(toggl))


def test_the_horizon_moves_with_the_clock(toggl: ApiCaller) -> None:
    toggl.sandbox.set(retention_days=20)
    before = found(toggl)
    toggl.sandbox.advance(10 * 86_400)
    assert found(toggl) < before


def test_a_lag_is_that_of_sums_too(toggl: ApiCaller) -> None:
    seconds, rows, (ids, _) = total(toggl), of_projects(toggl), summed(toggl)
    longest = max(live(toggl), key=lambda one: (one.project_id is not None, one.duration))
    toggl.write("DELETE", f"/workspaces/{{ws}}/time_entries/{longest.id}")
    toggl.sandbox.advance(10)
    toggl.sandbox.fault("reports_lag", seconds=60, times=3)
    assert (total(toggl), of_projects(toggl), summed(toggl)) == (seconds, rows, (ids, seconds))
    assert total(toggl) == seconds - longest.duration
    assert summed(toggl) == (ids - {longest.id}, seconds - longest.duration)


def test_hidden_entries_are_missing_in_all_reports(toggl: ApiCaller) -> None:
    hidden = {one.id for one in live(toggl)[::7]}
    toggl.sandbox.fault("hide_entries", ids=sorted(hidden), times=None)
    left = [one for one in live(toggl) if one.id not in hidden]
    assert_all_show(toggl, left)
    rows = toggl.search_all(page_size=10)
    assert [row["row_number"] for row in rows] == list(range(1, len(left) + 1))
    toggl.sandbox.clear_faults()
    assert_all_show(toggl, live(toggl))


def test_a_share_is_hidden_the_same_one_by_the_same_seed(toggl: ApiCaller) -> None:
    everything = found(toggl)
    toggl.sandbox.fault("hide_entries", share=0.3, seed=4, times=None)
    left = found(toggl)
    assert 0.5 < len(left) / len(everything) < 0.9
    assert_all_show(toggl, [one for one in live(toggl) if one.id in left])
    toggl.sandbox.clear_faults()
    toggl.sandbox.fault("hide_entries", share=0.3, seed=5, times=None)
    assert found(toggl) != left


def test_entries_are_hidden_in_matching_reports_and_as_often_as_set(toggl: ApiCaller) -> None:
    everything = found(toggl)
    toggl.sandbox.fault("hide_entries", match={"path": "summary/time_entries$"}, times=1)
    assert found(toggl) == everything
    assert summed(toggl) == (set(), 0)
    assert summed(toggl)[0] == everything
