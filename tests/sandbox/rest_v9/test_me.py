from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from support.sandboxes import NOON, ApiCaller

from airflow_provider_toggl.sandbox.rest_v9.me import MOST_ENTRIES
from airflow_provider_toggl.sandbox.workspace.records import TimeEntry


def own_entries(toggl: ApiCaller) -> list[TimeEntry]:
    owner = toggl.world.owner.id
    return [one for one in toggl.live_entries() if one.user_id == owner]


def unix(moment: datetime) -> int:
    return int(moment.timestamp())


def test_me_has_related_data_only_on_request(toggl: ApiCaller) -> None:
    assert "projects" not in toggl.get("/me").json()
    related = toggl.get("/me", with_related_data="true").json()
    assert {"clients", "projects", "tags", "tasks", "time_entries", "workspaces"} <= set(related)
    assert toggl.get("/me/id").json() == toggl.world.owner.id
    assert toggl.get("/me/logged").content == b""


def test_the_status_is_open_to_everybody(toggl: ApiCaller) -> None:
    toggl.session.auth = None
    assert (toggl.get("/status").status_code, toggl.get("/status").json()) == (200, "OK")


def test_the_quota_has_a_row_for_the_organization_and_one_for_me(toggl: ApiCaller) -> None:
    toggl.sandbox.set(quota_enforced=True)
    toggl.get("/workspaces/{ws}")
    rows = toggl.get("/me/quota").json()
    organization = toggl.world.organization.id
    assert rows == [
        {"organization_id": organization, "remaining": 29, "resets_in_secs": 3600, "total": 30},
        {"organization_id": None, "remaining": 29, "resets_in_secs": 3600, "total": 30},
    ]


def test_asking_for_the_quota_may_cost_nothing(toggl: ApiCaller) -> None:
    toggl.sandbox.set(quota_enforced=True, quota_request_counts=False)
    assert toggl.get("/me/quota").json()[1]["remaining"] == 30


def test_the_quota_goes_below_zero_where_it_is_not_enforced(toggl: ApiCaller) -> None:
    toggl.sandbox.set(user_quota=1)
    toggl.get("/me")
    assert toggl.get("/me/quota").json()[1]["remaining"] == -1


def test_without_parameters_the_last_days_are_given_newest_first(toggl: ApiCaller) -> None:
    toggl.sandbox.set(me_entries_default_days=20)
    rows = toggl.get("/me/time_entries").json()
    wanted = {one.id for one in own_entries(toggl) if one.start >= NOON - timedelta(days=20)}
    assert {row["id"] for row in rows} == wanted
    assert [row["start"] for row in rows] == sorted((row["start"] for row in rows), reverse=True)


def test_since_gives_what_changed_since_and_the_deleted_ones(toggl: ApiCaller) -> None:
    changed, gone = own_entries(toggl)[:2]
    toggl.sandbox.advance(60)
    since = unix(toggl.world.now())
    toggl.write("PUT", f"/workspaces/{{ws}}/time_entries/{changed.id}", {"description": "changed"})
    toggl.write("DELETE", f"/workspaces/{{ws}}/time_entries/{gone.id}")
    rows = {row["id"]: row for row in toggl.get("/me/time_entries", since=since).json()}
    assert set(rows) == {changed.id, gone.id}
    assert rows[changed.id]["server_deleted_at"] is None
    assert rows[gone.id]["server_deleted_at"] == "2026-03-10T12:01:00+00:00"


def test_only_the_users_own_entries_are_returned(toggl: ApiCaller) -> None:
    rows = toggl.get("/me/time_entries", since=unix(NOON - timedelta(days=80))).json()
    assert {row["user_id"] for row in rows} == {toggl.world.owner.id}


def test_a_range_of_days_is_in_the_users_zone_and_excludes_the_last_day(toggl: ApiCaller) -> None:
    start = datetime(2026, 2, 1, tzinfo=timezone.utc) - timedelta(hours=1)  # Berlin's midnight
    rows = toggl.get("/me/time_entries", start_date="2026-02-01", end_date="2026-02-15").json()
    wanted = {one.id for one in own_entries(toggl) if start <= one.start < start + timedelta(days=14)}
    assert {row["id"] for row in rows} == wanted != set()


def test_a_range_of_times_is_read_with_its_offsets(toggl: ApiCaller) -> None:
    entry = max(own_entries(toggl), key=lambda one: one.start)
    zone = timezone(timedelta(hours=5))
    first, after = entry.start.astimezone(zone), (entry.start + timedelta(seconds=1)).astimezone(zone)
    rows = toggl.get("/me/time_entries", start_date=first.isoformat(), end_date=after.isoformat()).json()
    assert [row["id"] for row in rows] == [entry.id]
    spaced = f"?start_date={first.isoformat()}&end_date={after.isoformat()}"  # a plus sign that was not escaped
    assert [row["id"] for row in toggl.get("/me/time_entries" + spaced).json()] == [entry.id]


def test_before_gives_what_started_before(toggl: ApiCaller) -> None:
    rows = toggl.get("/me/time_entries", before="2026-02-15").json()
    assert rows
    assert all(row["start"] < "2026-02-14T23:00:00+00:00" for row in rows)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"since": "yesterday"}, "Since is expected to be an unix timestamp, integer value"),
        ({"since": 10**17}, "Since is expected to be an unix timestamp, integer value"),
        ({"since": 1773000000, "before": "2026-03-01"}, "'since' and 'before' can not be present simultaneously"),
        ({"since": 1700000000}, "since must not be earlier than 2025-12-10"),
        ({"start_date": "2025-01-01", "end_date": "2026-03-01"}, "start_date must not be earlier than 2025-12-10"),
        ({"start_date": "2026-03-01"}, "'start_date' and 'end_date' must be present simultaneously"),
        ({"start_date": "2026-03-02", "end_date": "2026-03-01"}, "end_date must not be earlier than start_date"),
        ({"start_date": "soon", "end_date": "2026-03-01"}, "Invalid start_date format"),
        ({"before": "2026-03-01T00:00:00"}, "Invalid before format"),
        ({"meta": "maybe"}, "Invalid meta"),
    ],
)
def test_invalid_ranges_of_time_entries_are_refused(toggl: ApiCaller, query: dict[str, Any], message: str) -> None:
    answer = toggl.get("/me/time_entries", **query)
    assert (answer.status_code, answer.json()) == (400, message)


def test_at_most_a_thousand_entries_are_returned_without_a_sign(toggl: ApiCaller) -> None:
    world = toggl.world
    for number in range(MOST_ENTRIES + 5):
        start = NOON.replace(microsecond=0) - timedelta(minutes=number + 10)
        world.load(TimeEntry(world.next_id("time_entry"), world.workspace.id, world.owner.id, start, start, 0, NOON))
    assert len(toggl.get("/me/time_entries").json()) == MOST_ENTRIES


def test_meta_adds_names(toggl: ApiCaller) -> None:
    query = {"start_date": "2026-01-20", "end_date": "2026-03-10"}
    assert "user_name" not in toggl.get("/me/time_entries", **query).json()[0]
    assert toggl.get("/me/time_entries", meta="true", **query).json()[0]["user_name"] == toggl.world.owner.fullname


def test_current_is_the_running_entry_or_null(toggl: ApiCaller) -> None:
    running = toggl.world.running_entry(toggl.world.owner.id)
    assert running is not None
    shown = toggl.get("/me/time_entries/current").json()
    assert (shown["id"], shown["stop"], shown["duration"]) == (running.id, None, -unix(running.start))
    toggl.write("PATCH", f"/workspaces/{{ws}}/time_entries/{running.id}/stop")
    idle = toggl.get("/me/time_entries/current")
    assert (idle.status_code, idle.text) == (200, "null")
    toggl.sandbox.set(current_when_idle="404")
    assert toggl.get("/me/time_entries/current").status_code == 404


def test_one_entry_is_read_by_its_id_if_it_is_one_s_own_and_live(toggl: ApiCaller) -> None:
    mine, gone = own_entries(toggl)[:2]
    other = next(one for one in toggl.world.time_entries.values() if one.user_id != toggl.world.owner.id)
    toggl.write("DELETE", f"/workspaces/{{ws}}/time_entries/{gone.id}")
    assert toggl.get(f"/me/time_entries/{mine.id}").json()["id"] == mine.id
    for id_ in (gone.id, other.id, 5):
        answer = toggl.get(f"/me/time_entries/{id_}")
        assert (answer.status_code, answer.json()) == (404, "Resource can not be found")


@pytest.mark.parametrize("name", ["clients", "tags"])
def test_a_list_has_live_records_and_with_since_changed_ones(toggl: ApiCaller, name: str) -> None:
    assert {row["id"] for row in toggl.get(f"/me/{name}").json()} == toggl.live_ids(name)
    toggl.sandbox.advance(60)
    since = unix(toggl.world.now())
    gone = min(toggl.live_ids(name))
    toggl.write("DELETE", f"/workspaces/{{ws}}/{name}/{gone}")
    assert [row["id"] for row in toggl.get(f"/me/{name}", since=since).json()] == [gone]


def test_archived_projects_and_done_tasks_are_given_when_asked_for(toggl: ApiCaller) -> None:
    world = toggl.world
    active = {one.id for one in world.projects.values() if one.active and one.deleted_at is None}
    assert {row["id"] for row in toggl.get("/me/projects").json()} == active
    every = {row["id"] for row in toggl.get("/me/projects", include_archived="true").json()}
    assert every == toggl.live_ids("projects") > active
    done = {row["id"] for row in toggl.get("/me/tasks", include_not_active="true").json()}
    assert done == toggl.live_ids("tasks") >= {row["id"] for row in toggl.get("/me/tasks").json()}
    refused = toggl.get("/me/projects", include_archived="perhaps")
    assert (refused.status_code, refused.json()) == (400, "Invalid include_archived")


def test_tasks_have_an_offset_and_a_page(toggl: ApiCaller) -> None:
    every = toggl.get("/me/tasks").json()
    assert toggl.get("/me/tasks", offset=2, per_page=3).json() == every[2:5]


def test_projects_are_paged_by_the_id_to_start_at(toggl: ApiCaller) -> None:
    seen: list[int] = []
    start = 0
    while page := toggl.get("/me/projects/paginated", start_project_id=start, per_page=7).json():
        seen += [row["id"] for row in page]
        start = seen[-1] + 1
    assert seen == sorted(toggl.live_ids("projects"))
    assert toggl.get("/me/projects/paginated", per_page=-1).status_code == 400


@pytest.mark.parametrize("path", ["/me/workspaces", "/workspaces"])
def test_the_workspace_is_listed_if_it_changed_since(toggl: ApiCaller, path: str) -> None:
    assert [row["id"] for row in toggl.get(path).json()] == [toggl.sandbox.workspace_id]
    assert toggl.get(path, since=unix(NOON + timedelta(days=1))).json() == []


def test_the_organization_is_listed(toggl: ApiCaller) -> None:
    assert [row["id"] for row in toggl.get("/me/organizations").json()] == [toggl.world.organization.id]


def test_entries_beyond_the_retention_are_not_returned(toggl: ApiCaller) -> None:
    toggl.sandbox.set(retention_days=20)
    since = toggl.world.now() - timedelta(days=20)
    old = next(one for one in own_entries(toggl) if one.start < since - timedelta(minutes=1))
    changed = toggl.get("/me/time_entries", since=unix(toggl.world.now() - timedelta(days=60))).json()
    for rows in (changed, toggl.get("/me/time_entries").json(), related(toggl)):
        assert rows
        assert all(datetime.fromisoformat(row["start"].replace("Z", "+00:00")) >= since for row in rows)
    assert toggl.get(f"/me/time_entries/{old.id}").status_code == 404
    toggl.sandbox.set(plan="starter")
    assert toggl.get(f"/me/time_entries/{old.id}").status_code == 200


def related(toggl: ApiCaller) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = toggl.get("/me", with_related_data="true").json()["time_entries"]
    return rows
