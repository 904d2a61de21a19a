from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from support.sandboxes import ApiCaller, SandboxHost, build_still_world

from airflow_provider_toggl.sandbox.workspace.records import TimeEntry


def entry_ids(rows: list[dict[str, Any]]) -> list[int]:
    return [one["id"] for row in rows for one in row["time_entries"]]


def test_all_pages_together_are_all_entries_of_all_users_once_by_date(toggl: ApiCaller) -> None:
    rows = toggl.search_all()
    assert sorted(entry_ids(rows)) == sorted(toggl.live_ids("time_entries"))
    assert [row["row_number"] for row in rows] == list(range(1, 301))
    assert len({row["user_id"] for row in rows}) > 3
    assert toggl.search().json() == toggl.search(order_by="date", order_dir="ASC").json()


def test_a_page_has_fifty_rows_by_default_and_the_start_of_the_next_one(toggl: ApiCaller) -> None:
    first = toggl.search()
    assert (len(first.json()), first.headers["X-Page-Size"]) == (50, "50")
    following = toggl.search(first_row_number=51).json()[0]
    assert first.headers["X-Next-Row-Number"] == "51"
    assert first.headers["X-Next-ID"] == str(following["time_entries"][0]["id"])
    entry = toggl.world.time_entries[following["time_entries"][0]["id"]]
    assert first.headers["X-Next-Timestamp"] == str(int(entry.start.timestamp()))


@pytest.mark.parametrize(("size", "first"), [(50, 251), (300, 1), (1000, 1), (100, 201)])
def test_a_full_last_page_has_no_next_one(toggl: ApiCaller, size: int, first: int) -> None:
    headers = toggl.search(page_size=size, first_row_number=first).headers
    assert [name for name in headers if name.lower().startswith("x-next")] == []


def test_a_page_beyond_the_end_is_empty(toggl: ApiCaller) -> None:
    assert toggl.search(first_row_number=301).json() == []


def test_a_page_over_the_largest_is_cut_to_it_or_refused(toggl: ApiCaller) -> None:
    toggl.sandbox.set(largest_page_size=20)
    answer = toggl.search(page_size=1000)
    assert (len(answer.json()), answer.headers["X-Page-Size"]) == (20, "20")
    toggl.sandbox.set(page_size_over_largest="refuse")
    refused = toggl.search(page_size=1000)
    assert (refused.status_code, refused.json()) == (400, "Invalid 'page_size' value, allowed values are: '1 to 20'")


def test_first_id_without_first_timestamp_returns_nothing_by_default(toggl: ApiCaller) -> None:
    first = toggl.search()
    cursor = {"first_id": int(first.headers["X-Next-ID"]), "first_row_number": 51}
    assert toggl.search(**cursor).json() == []
    whole = {**cursor, "first_timestamp": int(first.headers["X-Next-Timestamp"])}
    assert len(toggl.search(**whole).json()) == 50
    toggl.sandbox.set(first_id_needs_timestamp=False)
    assert len(toggl.search(**cursor).json()) == 50


def test_names_are_given_and_amounts_left_out_on_request(toggl: ApiCaller) -> None:
    toggl.sandbox.set(plan="premium")
    plain, rich = toggl.search().json()[0], toggl.search(enrich_response=True).json()[0]
    assert set(rich) - set(plain) >= {"email", "project_name", "client_name", "tag_names", "task_name"}
    assert any(row["billable_amount_in_cents"] for row in toggl.search_all(billable=True))
    assert {row["hourly_rate_in_cents"] for row in toggl.search_all(hide_amounts=True)} == {None}


@pytest.mark.parametrize("direction", ["ASC", "DESC"])
@pytest.mark.parametrize("order", ["date", "user", "duration", "description", "last_update"])
def test_rows_come_in_the_order_asked_for_on_all_pages(toggl: ApiCaller, order: str, direction: str) -> None:
    keys: dict[str, Callable[[TimeEntry], Any]] = {
        "date": lambda entry: entry.start,
        "user": lambda entry: toggl.world.users[entry.user_id].fullname,
        "duration": lambda entry: entry.duration,
        "description": lambda entry: entry.description or "",
        "last_update": lambda entry: entry.at,
    }
    ids = entry_ids(toggl.search_all(order_by=order, order_dir=direction))
    values = [keys[order](toggl.world.time_entries[id_]) for id_ in ids]
    assert values == sorted(values, reverse=direction == "DESC")
    assert len(set(ids)) == 300


def test_an_edit_of_long_ago_is_first_by_last_update(toggl: ApiCaller) -> None:
    oldest = min(toggl.live_entries(), key=lambda one: one.start)
    toggl.sandbox.advance(5)
    toggl.write("PUT", f"/workspaces/{{ws}}/time_entries/{oldest.id}", {"description": "late"})
    rows = toggl.search(order_by="last_update", order_dir="DESC", page_size=1).json()
    assert entry_ids(rows) == [oldest.id]


def test_grouped_rows_hold_the_entries_that_say_the_same(toggl: ApiCaller) -> None:
    rows = toggl.search_all(grouped=True, page_size=40)
    assert sorted(entry_ids(rows)) == sorted(toggl.live_ids("time_entries"))
    assert len(rows) < 300
    for row in rows:
        entries = [toggl.world.time_entries[id_] for id_ in entry_ids([row])]
        assert len({(one.user_id, one.project_id, one.description or "", one.billable) for one in entries}) == 1


def test_grouped_amounts_are_the_sum_of_their_entries(toggl: ApiCaller) -> None:
    toggl.sandbox.set(plan="premium", report_includes_running=False)
    single = sum(row["billable_amount_in_cents"] or 0 for row in toggl.search_all())
    grouped = sum(row["billable_amount_in_cents"] or 0 for row in toggl.search_all(grouped=True))
    assert single == grouped > 0


@pytest.mark.parametrize("size", [1, 13])
def test_pages_of_any_size_neither_lose_nor_repeat(toggl: ApiCaller, size: int) -> None:
    ids = entry_ids(toggl.search_all(page_size=size, start_date="2026-02-20"))
    starts = [toggl.world.time_entries[id_].start for id_ in ids]
    assert len(ids) == len(set(ids)) > 20
    assert all(one <= other for one, other in pairwise(starts))


def test_a_write_between_two_pages_is_seen_by_the_second(toggl: ApiCaller) -> None:
    toggl.search()
    second = entry_ids(toggl.search(first_row_number=51).json())
    toggl.write("DELETE", f"/workspaces/{{ws}}/time_entries/{second[0]}")
    assert entry_ids(toggl.search(first_row_number=51).json())[0] == second[1]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"order_by": "size"}, "Invalid 'order_by' value, allowed values are: "),
        ({"order_dir": "UP"}, "Invalid 'order_dir' value, allowed values are: 'ASC, DESC'"),
        ({"page_size": 0.5}, "Invalid 'page_size' value"),
        ({"page_size": -1}, "Invalid 'page_size' value"),
        ({"first_row_number": "2"}, "Invalid 'first_row_number' value"),
        ({"grouped": 1}, "Invalid 'grouped' value, allowed values are: 'true, false'"),
    ],
)
def test_invalid_values_of_a_report_are_named(toggl: ApiCaller, body: dict[str, Any], message: str) -> None:
    answer = toggl.search(**body)
    assert answer.status_code == 400
    assert answer.json().startswith(message)


def test_a_page_of_a_thousand_rows_of_a_hundred_thousand_is_no_work_that_grows_with_them(
    sandbox_host: SandboxHost,
) -> None:
    toggl = ApiCaller(sandbox_host.serve(build_still_world(entries=100_000)))
    took = []
    for page in range(12):
        started = time.process_time()
        answer = toggl.search(page_size=1000, first_row_number=1 + 1000 * page)
        took.append(time.process_time() - started)
        assert len(answer.json()) == 1000
    toggl.close()
    # Time of this process, of the fastest page, and far from what sorting all of them for each page takes.
    assert min(took) < 0.25
