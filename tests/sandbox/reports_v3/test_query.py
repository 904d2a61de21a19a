from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from support.sandboxes import ApiCaller, HostedSandbox, SandboxHost, build_still_world

from airflow_provider_toggl.sandbox.reports_v3.query import _FILTERS, ReportQuery
from airflow_provider_toggl.sandbox.workspace.records import TimeEntry, User

BERLIN = ZoneInfo("Europe/Berlin")
RANGE = {"start_date": "2026-01-09", "end_date": "2026-03-10"}


def test_a_start_alone_means_a_week_as_recorded(toggl: ApiCaller) -> None:
    answer = toggl.report("search/time_entries", {"start_date": "2026-02-01"})
    assert (answer.headers["X-Range-Start"], answer.headers["X-Range-End"]) == ("2026-02-01", "2026-02-07")


def test_an_end_alone_and_neither_mean_a_week_too(toggl: ApiCaller) -> None:
    ended = toggl.report("search/time_entries", {"end_date": "2026-02-07"}).headers
    assert (ended["X-Range-Start"], ended["X-Range-End"]) == ("2026-02-01", "2026-02-07")
    neither = toggl.report("search/time_entries", {"rounding": 0}).headers
    assert (neither["X-Range-Start"], neither["X-Range-End"]) == ("2026-03-04", "2026-03-10")


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-06-01", 24)])
def test_a_day_with_a_change_of_clocks_is_as_long_as_it_is(day: str, hours: int) -> None:
    one = date.fromisoformat(day)
    first, after = ReportQuery({}, BERLIN, one, one, 0, 0).instants()
    assert after - first == timedelta(hours=hours)


@pytest.mark.parametrize(
    ("end", "counts", "status"),
    [
        ("2026-03-01", "difference", 200),
        ("2026-03-02", "difference", 400),
        ("2026-02-28", "inclusive", 200),
        ("2026-03-01", "inclusive", 400),
    ],
)
def test_a_report_spans_365_days_at_most_counted_either_way(
    toggl: ApiCaller, end: str, counts: str, status: int
) -> None:
    toggl.sandbox.set(report_range_counts=counts)
    answer = toggl.report("search/time_entries", {"start_date": "2025-03-01", "end_date": end})
    assert answer.status_code == status
    if status == 400:
        assert answer.json() == "Maximum allowed date range is 365 days"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "At least one parameter must be set"),
        ({"start_date": None}, "At least one parameter must be set"),
        ({"start_date": "01.02.2026"}, "Invalid start_date format"),
        ({"start_date": "2026-02-30"}, "Invalid start_date format"),
        ({"start_date": 20260201}, "Invalid start_date format"),
        ({"start_date": "1999-01-01"}, "start_date should be within 2006-01-01 to 2030-01-01"),
        ({"start_date": "2026-02-02", "end_date": "2026-02-01"}, "End date should be greater than Start date"),
        ({"rounding": 2}, "Invalid 'rounding' value, allowed values are: '-1, 0, 1'"),
        ({"rounding": True}, "Invalid 'rounding' value, allowed values are: '-1, 0, 1'"),
        ({"rounding_minutes": 7}, "Invalid 'rounding_minutes' value, allowed values are: '0, 1, 5, 6, 10, 12, 15, "),
        ({"user_ids": 5}, "Invalid 'user_ids' value"),
        ({"tag_ids": ["x"]}, "Invalid 'tag_ids' value"),
        ({"description": 5}, "Invalid 'description' value"),
        *(({name: {"a": 1}}, f"Invalid '{name}' value") for name in _FILTERS),
    ],
)
def test_conditions_that_are_wrong_are_named(toggl: ApiCaller, body: dict[str, Any], message: str) -> None:
    answer = toggl.report("search/time_entries", body)
    assert answer.status_code == 400
    assert answer.json().startswith(message)


@pytest.mark.parametrize("filters", [{"billable": True}, {"min_duration_seconds": 60}, {"max_duration_seconds": 60}])
def test_filters_of_paid_plans_are_refused_on_the_free_one_unless_switched(
    toggl: ApiCaller, filters: dict[str, Any]
) -> None:
    refused = toggl.search(**filters)
    assert (refused.status_code, refused.json()) == (402, "Workspace needs to have this feature enabled")
    toggl.sandbox.set(report_paid_filters_refused=False)
    assert toggl.search(**filters).status_code == 200


def test_each_filter_selects_what_it_names(toggl: ApiCaller) -> None:
    toggl.sandbox.set(plan="premium")
    world = toggl.world
    client_of = {project.id: project.client_id for project in world.projects.values()}
    some = next(one for one in toggl.live_entries() if one.project_id and one.tag_ids and client_of[one.project_id])
    group = next(iter(world.groups.values()))

    def wanted(test: Any) -> set[int]:
        return {one.id for one in toggl.live_entries() if test(one)}

    client = client_of[some.project_id or 0]
    assert toggl.found(user_ids=[some.user_id]) == wanted(lambda one: one.user_id == some.user_id)
    assert toggl.found(group_ids=[group.id]) == wanted(lambda one: one.user_id in group.user_ids)
    assert toggl.found(project_ids=[some.project_id]) == wanted(lambda one: one.project_id == some.project_id)
    assert toggl.found(client_ids=[client]) == wanted(lambda one: client_of.get(one.project_id) == client)
    assert toggl.found(tag_ids=[some.tag_ids[0]]) == wanted(lambda one: some.tag_ids[0] in one.tag_ids)
    assert toggl.found(time_entry_ids=[some.id, 5]) == {some.id}
    assert toggl.found(billable=True) == wanted(lambda one: one.billable)
    assert toggl.found(min_duration_seconds=3600) == wanted(lambda one: one.duration >= 3600)
    assert toggl.found(max_duration_seconds=3600) == wanted(lambda one: one.duration <= 3600)
    word = next(one.description for one in toggl.live_entries() if one.description)[:4]
    texts = wanted(lambda one: word.casefold() in (one.description or "").casefold())
    assert toggl.found(description=word.upper()) == texts
    with_task = next(one for one in toggl.live_entries() if one.task_id)
    assert toggl.found(task_ids=[with_task.task_id]) == wanted(lambda one: one.task_id == with_task.task_id)


@pytest.mark.parametrize(
    ("name", "field"), [("project_ids", "project_id"), ("task_ids", "task_id"), ("tag_ids", "tag_ids")]
)
def test_null_in_a_filter_means_those_without(toggl: ApiCaller, name: str, field: str) -> None:
    without = {one.id for one in toggl.live_entries() if not getattr(one, field)}
    assert toggl.found(**{name: [None]}) == without != set()


def test_an_empty_list_is_no_filter(toggl: ApiCaller) -> None:
    assert len(toggl.found(user_ids=[], project_ids=[], tag_ids=[])) == 300


def test_durations_are_rounded_by_preference_or_by_request(sandbox_host: SandboxHost) -> None:
    world = build_still_world(report_includes_running=False)
    world.workspace.rounding, world.workspace.rounding_minutes = 1, 15
    toggl = ApiCaller(sandbox_host.serve(world))
    entry = next(one for one in toggl.live_entries() if one.duration > 0 and one.duration % 900)

    def seconds(**body: Any) -> int:
        shown: int = toggl.search(time_entry_ids=[entry.id], **body).json()[0]["time_entries"][0]["seconds"]
        return shown

    assert seconds() == -(-entry.duration // 900) * 900
    assert seconds(rounding=-1) == entry.duration // 900 * 900
    assert seconds(rounding=-1, rounding_minutes=1) == entry.duration // 60 * 60
    assert seconds(rounding_minutes=0) == entry.duration
    toggl.close()


@pytest.mark.parametrize(("switch", "kept"), [("filter", 1), ("ignore", 300)])
def test_entry_ids_are_a_filter_or_are_ignored(toggl: ApiCaller, switch: str, kept: int) -> None:
    entry = toggl.live_entries()[0]
    toggl.sandbox.set(report_time_entry_ids=switch)
    assert len(toggl.search_all(time_entry_ids=[entry.id])) == kept


def test_days_follow_a_change_of_the_users_zone(toggl: ApiCaller) -> None:
    def of_day() -> set[int]:
        return toggl.found(start_date="2026-03-04", end_date="2026-03-04")

    def started(zone: str) -> set[int]:
        day = date(2026, 3, 4)
        return {one.id for one in toggl.live_entries() if one.start.astimezone(ZoneInfo(zone)).date() == day}

    assert of_day() == started("Europe/Berlin")
    for zone in ("Pacific/Auckland", "America/Los_Angeles", "Europe/Berlin"):
        toggl.sandbox.change_user(timezone=zone)
        assert of_day() == started(zone)
    assert len({frozenset(started(zone)) for zone in ("Europe/Berlin", "Pacific/Auckland")}) == 2


# What reports show to whom: by rights, by plan, and by injected faults; in rows and sums alike.


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
    assert toggl.found() == ids
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
    assert_all_show(toggl, toggl.live_entries())
    assert_all_show(theirs, [one for one in toggl.live_entries() if one.user_id == member.id])
    assert theirs.found(user_ids=[toggl.world.owner.id]) == set()


def test_members_may_see_all(toggl: ApiCaller, theirs: ApiCaller) -> None:
    toggl.sandbox.set(report_shows_members="all")
    assert_all_show(theirs, toggl.live_entries())


def test_status_lists_have_visible_entries_only(toggl: ApiCaller, theirs: ApiCaller, member: User) -> None:
    tracked = sum(row["tracked_seconds"] for row in theirs.report("filters/projects/status", {}).json())
    own = [one for one in toggl.live_entries() if one.user_id == member.id and one.project_id is not None]
    assert tracked == sum(max(0, one.duration) for one in own)


def test_a_token_without_rights_sees_its_own_entries_only(toggl: ApiCaller) -> None:
    everything, owner = toggl.live_entries(), toggl.world.owner
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
    shown = [one for one in toggl.live_entries() if one.start >= since]
    assert 0 < len(shown) < len(toggl.live_entries())
    assert_all_show(toggl, shown)
    toggl.sandbox.set(plan="starter")
    assert_all_show(toggl, toggl.live_entries())


def test_the_horizon_moves_with_the_clock(toggl: ApiCaller) -> None:
    toggl.sandbox.set(retention_days=20)
    before = toggl.found()
    toggl.sandbox.advance(10 * 86_400)
    assert toggl.found() < before


def test_a_lag_is_that_of_sums_too(toggl: ApiCaller) -> None:
    seconds, rows, (ids, _) = total(toggl), of_projects(toggl), summed(toggl)
    longest = max(toggl.live_entries(), key=lambda one: (one.project_id is not None, one.duration))
    toggl.write("DELETE", f"/workspaces/{{ws}}/time_entries/{longest.id}")
    toggl.sandbox.advance(10)
    toggl.sandbox.fault("reports_lag", seconds=60, times=3)
    assert (total(toggl), of_projects(toggl), summed(toggl)) == (seconds, rows, (ids, seconds))
    assert total(toggl) == seconds - longest.duration
    assert summed(toggl) == (ids - {longest.id}, seconds - longest.duration)


def test_hidden_entries_are_missing_in_all_reports(toggl: ApiCaller) -> None:
    hidden = {one.id for one in toggl.live_entries()[::7]}
    toggl.sandbox.fault("hide_entries", ids=sorted(hidden), times=None)
    left = [one for one in toggl.live_entries() if one.id not in hidden]
    assert_all_show(toggl, left)
    rows = toggl.search_all(page_size=10)
    assert [row["row_number"] for row in rows] == list(range(1, len(left) + 1))
    toggl.sandbox.clear_faults()
    assert_all_show(toggl, toggl.live_entries())


def test_a_share_is_hidden_the_same_one_by_the_same_seed(toggl: ApiCaller) -> None:
    everything = toggl.found()
    toggl.sandbox.fault("hide_entries", share=0.3, seed=4, times=None)
    left = toggl.found()
    assert 0.5 < len(left) / len(everything) < 0.9
    assert_all_show(toggl, [one for one in toggl.live_entries() if one.id in left])
    toggl.sandbox.clear_faults()
    toggl.sandbox.fault("hide_entries", share=0.3, seed=5, times=None)
    assert toggl.found() != left


def test_entries_are_hidden_in_matching_reports_and_as_often_as_set(toggl: ApiCaller) -> None:
    everything = toggl.found()
    toggl.sandbox.fault("hide_entries", match={"path": "summary/time_entries$"}, times=1)
    assert toggl.found() == everything
    assert summed(toggl) == (set(), 0)
    assert summed(toggl)[0] == everything
