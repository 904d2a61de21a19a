from __future__ import annotations

from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from support.sandboxes import ApiCaller, SandboxHost, build_still_world

from airflow_provider_toggl.sandbox.reports_v3.query import ReportQuery
from airflow_provider_toggl.sandbox.workspace.records import TimeEntry

BERLIN = ZoneInfo("Europe/Berlin")


def found(toggl: ApiCaller, **body: Any) -> set[int]:
    return {one["id"] for row in toggl.search_all(page_size=1000, **body) for one in row["time_entries"]}


def live(toggl: ApiCaller) -> list[TimeEntry]:
    return [one for one in toggl.world.time_entries.values() if one.deleted_at is None]


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
    some = next(one for one in live(toggl) if one.project_id and one.tag_ids and client_of[one.project_id])
    group = next(iter(world.groups.values()))

    def wanted(test: Any) -> set[int]:
        return {one.id for one in live(toggl) if test(one)}

    client = client_of[some.project_id or 0]
    assert found(toggl, user_ids=[some.user_id]) == wanted(lambda one: one.user_id == some.user_id)
    assert found(toggl, group_ids=[group.id]) == wanted(lambda one: one.user_id in group.user_ids)
    assert found(toggl, project_ids=[some.project_id]) == wanted(lambda one: one.project_id == some.project_id)
    assert found(toggl, client_ids=[client]) == wanted(lambda one: client_of.get(one.project_id) == client)
    assert found(toggl, tag_ids=[some.tag_ids[0]]) == wanted(lambda one: some.tag_ids[0] in one.tag_ids)
    assert found(toggl, time_entry_ids=[some.id, 5]) == {some.id}
    assert found(toggl, billable=True) == wanted(lambda one: one.billable)
    assert found(toggl, min_duration_seconds=3600) == wanted(lambda one: one.duration >= 3600)
    assert found(toggl, max_duration_seconds=3600) == wanted(lambda one: one.duration <= 3600)
    word = next(one.description for one in live(toggl) if one.description)[:4]
    texts = wanted(lambda one: word.casefold() in (one.description or "").casefold())
    assert found(toggl, description=word.upper()) == texts
    with_task = next(one for one in live(toggl) if one.task_id)
    assert found(toggl, task_ids=[with_task.task_id]) == wanted(lambda one: one.task_id == with_task.task_id)


@pytest.mark.parametrize(
    ("name", "field"), [("project_ids", "project_id"), ("task_ids", "task_id"), ("tag_ids", "tag_ids")]
)
def test_null_in_a_filter_means_those_without(toggl: ApiCaller, name: str, field: str) -> None:
    without = {one.id for one in live(toggl) if not getattr(one, field)}
    assert found(toggl, **{name: [None]}) == without != set()


def test_an_empty_list_is_no_filter(toggl: ApiCaller) -> None:
    assert len(found(toggl, user_ids=[], project_ids=[], tag_ids=[])) == 300


def test_durations_are_rounded_by_preference_or_by_request(sandbox_host: SandboxHost) -> None:
    world = build_still_world(report_includes_running=False)
    world.workspace.rounding, world.workspace.rounding_minutes = 1, 15
    toggl = ApiCaller(sandbox_host.serve(world))
    entry = next(one for one in live(toggl) if one.duration > 0 and one.duration % 900)

    def seconds(**body: Any) -> int:
        shown: int = toggl.search(time_entry_ids=[entry.id], **body).json()[0]["time_entries"][0]["seconds"]
        return shown

    assert seconds() == -(-entry.duration // 900) * 900
    assert seconds(rounding=-1) == entry.duration // 900 * 900
    assert seconds(rounding=-1, rounding_minutes=1) == entry.duration // 60 * 60
    assert seconds(rounding_minutes=0) == entry.duration
    toggl.close()


def test_a_lagging_report_is_not_kept_for_later(toggl: ApiCaller) -> None:
    toggl.sandbox.advance(1000)
    entry = next(one for one in live(toggl) if one.stop)
    toggl.write("DELETE", f"/workspaces/{{ws}}/time_entries/{entry.id}")
    toggl.sandbox.fault("reports_lag", seconds=500, times=1)
    assert toggl.search(time_entry_ids=[entry.id]).json() != []
    assert toggl.search(time_entry_ids=[entry.id]).json() == []


@pytest.mark.parametrize(("switch", "kept"), [("filter", 1), ("ignore", 300)])
def test_entry_ids_are_a_filter_or_are_ignored(toggl: ApiCaller, switch: str, kept: int) -> None:
    entry = live(toggl)[0]
    toggl.sandbox.set(report_time_entry_ids=switch)
    assert len(toggl.search_all(time_entry_ids=[entry.id])) == kept


def test_days_follow_a_change_of_the_users_zone(toggl: ApiCaller) -> None:
    def of_day() -> set[int]:
        rows = toggl.search_all(start_date="2026-03-04", end_date="2026-03-04")
        return {one["id"] for row in rows for one in row["time_entries"]}

    def started(zone: str) -> set[int]:
        day = date(2026, 3, 4)
        return {one.id for one in live(toggl) if one.start.astimezone(ZoneInfo(zone)).date() == day}

    assert of_day() == started("Europe/Berlin")
    for zone in ("Pacific/Auckland", "America/Los_Angeles", "Europe/Berlin"):
        toggl.sandbox.change_user(timezone=zone)
        assert of_day() == started(zone)
    assert len({frozenset(started(zone)) for zone in ("Europe/Berlin", "Pacific/Auckland")}) == 2
