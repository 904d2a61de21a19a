from __future__ import annotations

from collections import defaultdict
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from support.sandboxes import ApiCaller

from airflow_provider_toggl.sandbox.workspace.records import TimeEntry

BERLIN = ZoneInfo("Europe/Berlin")
RANGE = {"start_date": "2026-01-09", "end_date": "2026-03-10"}


def stopped(toggl: ApiCaller) -> list[TimeEntry]:
    return [one for one in toggl.live_entries() if one.duration >= 0]


def totals(toggl: ApiCaller, **body: Any) -> dict[str, Any]:
    answer = toggl.report("search/time_entries/totals", {**RANGE, **body})
    assert answer.status_code == 200, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


def summary(toggl: ApiCaller, **body: Any) -> list[dict[str, Any]]:
    answer = toggl.report("summary/time_entries", {**RANGE, **body})
    assert answer.status_code == 200, answer.text
    groups: list[dict[str, Any]] = answer.json()["groups"]
    return groups


def local_day(entry: TimeEntry) -> date:
    return entry.start.astimezone(BERLIN).date()


@pytest.fixture
def still(toggl: ApiCaller) -> ApiCaller:
    """A caller whose reports have no running entries."""
    toggl.sandbox.set(report_includes_running=False)
    return toggl


def test_the_total_is_the_sum_of_the_rows(still: ApiCaller) -> None:
    rows = [one["seconds"] for row in still.search_all() for one in row["time_entries"]]
    shown = totals(still)
    assert shown["seconds"] == sum(rows) == sum(one.duration for one in stopped(still))
    assert shown["tracked_days"] == len({local_day(one) for one in stopped(still)})
    assert shown["graph"] == []


def test_the_graph_has_a_point_for_each_day_empty_ones_too(still: ApiCaller) -> None:
    shown = totals(still, with_graph=True, granularity="day")
    seconds: dict[date, int] = defaultdict(int)
    for entry in stopped(still):
        seconds[local_day(entry)] += entry.duration
    days = [date(2026, 1, 9) + timedelta(days=number) for number in range(61)]
    assert shown["resolution"] == "day"
    assert [point["seconds"] for point in shown["graph"]] == [seconds[day] for day in days]


@pytest.mark.parametrize(("granularity", "points"), [("week", 10), ("month", 3)])
def test_the_graph_can_be_by_week_or_month(still: ApiCaller, granularity: str, points: int) -> None:
    shown = totals(still, with_graph=True, granularity=granularity)
    assert len(shown["graph"]) == points
    assert sum(point["seconds"] for point in shown["graph"]) == shown["seconds"]


def test_granularity_goes_before_resolution(still: ApiCaller) -> None:
    assert totals(still, granularity="month", resolution="day")["resolution"] == "month"
    assert totals(still, resolution="day")["resolution"] == "day"
    assert totals(still)["resolution"] == "week"
    assert totals(still, start_date="2026-03-01")["resolution"] == "day"
    assert still.report("search/time_entries/totals", {**RANGE, "granularity": "hour"}).status_code == 400


def test_totals_take_the_filters_of_the_detailed_report(still: ApiCaller) -> None:
    user = still.world.owner.id
    own = sum(one.duration for one in stopped(still) if one.user_id == user)
    assert totals(still, user_ids=[user])["seconds"] == own


def test_rates_and_amounts_are_there_on_paid_plans(still: ApiCaller) -> None:
    free = totals(still, with_graph=True)
    assert (free["billable_amount_in_cents"], free["rates"]) == (None, [])
    still.sandbox.set(plan="premium")
    paid = totals(still, with_graph=True)
    rows = sum(row["billable_amount_in_cents"] or 0 for row in still.search_all())
    assert paid["billable_amount_in_cents"] == rows > 0
    assert sum(point["billable_amount_in_cents"] for point in paid["graph"]) == rows
    billed = sum(sum(point["by_rate"].values()) for point in paid["graph"])
    assert sum(rate["billable_seconds"] for rate in paid["rates"]) == billed


def test_a_running_entry_adds_nothing_where_its_seconds_are_negative(toggl: ApiCaller) -> None:
    with_running = totals(toggl)["seconds"]
    toggl.sandbox.set(report_includes_running=False)
    assert with_running == totals(toggl)["seconds"]


def test_entry_ids_are_given_when_asked_for_and_when_toggl_gives_them(still: ApiCaller) -> None:
    assert "ids" not in summary(still)[0]["sub_groups"][0]
    still.sandbox.set(summary_gives_ids=False)
    assert "ids" not in summary(still, include_time_entry_ids=True)[0]["sub_groups"][0]


@pytest.mark.parametrize("where", ["sub_groups", "groups", "both"])
def test_entry_ids_stand_where_the_switch_says(still: ApiCaller, where: str) -> None:
    still.sandbox.set(summary_ids_where=where)
    entries = {one.id: one for one in stopped(still)}
    groups = summary(still, include_time_entry_ids=True, grouping="users", sub_grouping="projects")
    parts = [part for group in groups for part in group["sub_groups"]]
    assert {"ids" in group for group in groups} == {where != "sub_groups"}
    assert {"ids" in part for part in parts} == {where != "groups"}
    for rows in ([groups] if where != "sub_groups" else []) + ([parts] if where != "groups" else []):
        assert sorted(id_ for row in rows for id_ in row["ids"]) == sorted(entries)
    for group in groups:
        own = {id_ for row in [group, *group["sub_groups"]] for id_ in row.get("ids", ())}
        assert {entries[id_].user_id for id_ in own} == {group["id"]}
    assert "ids" not in summary(still)[0]


@pytest.mark.parametrize(
    ("grouping", "sub_grouping"),
    [
        ("projects", "time_entries"), ("users", "projects"), ("projects", "users"), ("clients", "users"),
        ("users", "tasks"), ("users", "clients"),
    ],
)  # fmt: skip
def test_each_entry_is_once_in_a_summary_with_its_seconds(still: ApiCaller, grouping: str, sub_grouping: str) -> None:
    world, entries = still.world, {one.id: one for one in stopped(still)}

    def member(name: str, entry: TimeEntry) -> int | str | None:
        if name == "time_entries":
            return entry.description or ""
        if name == "clients":
            return world.projects[entry.project_id].client_id if entry.project_id is not None else None
        own: int | None = getattr(entry, f"{name[:-1]}_id")
        return own

    body = {**RANGE, "grouping": grouping, "sub_grouping": sub_grouping, "include_time_entry_ids": True}
    answer = still.report("summary/time_entries", body)
    assert (answer.headers["X-Grouping"], answer.headers["X-Sub-Grouping"]) == (grouping, sub_grouping)
    groups, seen = answer.json()["groups"], []
    for group in groups:
        for part in group["sub_groups"]:
            inside = [entries[id_] for id_ in part["ids"]]
            seen.extend(part["ids"])
            assert part["seconds"] == sum(one.duration for one in inside)
            assert {member(grouping, one) for one in inside} == {group["id"]}
            own = part["title"] if sub_grouping == "time_entries" else part["id"]
            assert {member(sub_grouping, one) for one in inside} == {own}
            assert (part["Grouping"], part["SubGrouping"]) == (grouping, sub_grouping)
    assert sorted(seen) == sorted(entries)
    assert len({group["id"] for group in groups}) == len(groups)


@pytest.mark.parametrize("shown", ["negative", "elapsed"])
def test_a_running_entry_has_its_id_in_a_summary_with_no_seconds_or_those_until_now(
    toggl: ApiCaller, shown: str
) -> None:
    toggl.sandbox.set(report_running_seconds=shown)
    world = toggl.world
    (user_id, running) = next(
        (user_id, entry) for user_id in world.users if (entry := world.running_entry(user_id)) is not None
    )
    groups = summary(toggl, include_time_entry_ids=True, grouping="users", sub_grouping="projects")
    (group,) = (group for group in groups if group["id"] == user_id)
    (part,) = (part for part in group["sub_groups"] if running.id in part["ids"])
    seconds = {
        id_: int((world.now() - entry.start).total_seconds()) * (shown == "elapsed")
        if entry.is_running
        else entry.duration
        for id_, entry in world.time_entries.items()
    }
    assert part["seconds"] == sum(seconds[id_] for id_ in part["ids"])


def test_the_local_start_is_the_wall_clock_with_a_z(still: ApiCaller) -> None:
    part = summary(still, include_time_entry_ids=True)[0]["sub_groups"][0]
    first = min(still.world.time_entries[id_].start for id_ in part["ids"]).astimezone(BERLIN)
    assert datetime.fromisoformat(part["local_start"].removesuffix("Z")) == first.replace(tzinfo=None)


def test_a_summary_by_something_else_is_refused(still: ApiCaller) -> None:
    answer = still.report("summary/time_entries", {**RANGE, "grouping": "moods"})
    message = "Invalid 'grouping' value, allowed values are: 'projects, users, clients'"
    assert (answer.status_code, answer.json()) == (400, message)


def test_different_rates_can_be_distinguished(still: ApiCaller) -> None:
    still.sandbox.set(plan="premium")
    parts = [part for group in summary(still, distinguish_rates=True) for part in group["sub_groups"]]
    assert {part["DistinguishRates"] for part in parts} == {True}
    assert len(parts) >= sum(len(group["sub_groups"]) for group in summary(still))


def test_the_seconds_of_each_user_in_each_project(still: ApiCaller) -> None:
    rows = still.report("projects/summary", RANGE).json()
    sums: dict[tuple[int, int], int] = defaultdict(int)
    for entry in stopped(still):
        if entry.project_id is not None:
            sums[entry.user_id, entry.project_id] += entry.duration
    assert {(row["user_id"], row["project_id"]): row["tracked_seconds"] for row in rows} == sums
    assert {row["billable_seconds"] for row in rows} == {0}


def test_the_sums_of_one_project_need_a_paid_plan_and_a_start(still: ApiCaller) -> None:
    project = next(one.project_id for one in stopped(still) if one.project_id is not None)
    path = f"projects/{project}/summary"
    assert still.report(path, RANGE).status_code == 402
    still.sandbox.set(plan="starter")
    own = sum(one.duration for one in stopped(still) if one.project_id == project)
    assert still.report(path, RANGE).json()["seconds"] == own
    missing = still.report(path, {"end_date": "2026-03-10"})
    assert (missing.status_code, missing.json()) == (400, "The start_date parameter is required")
    unknown = still.report("projects/5/summary", RANGE)
    assert (unknown.status_code, unknown.json()) == (403, "project not found or not accessible")
