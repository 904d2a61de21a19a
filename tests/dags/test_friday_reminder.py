"""Whom the example of Friday's reminder finds."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from typing import Any

import pytest
from support.repository import load_example

pytestmark = [pytest.mark.airflow, pytest.mark.newest]

MONDAY = date(2026, 11, 23)
PARAMS = {"share": 0.8, "weekly_hours": None, "working_days": 5}


@pytest.fixture(scope="module")
def example() -> Any:
    return load_example("toggl_friday_reminder")


def person(id_: int, **fields: Any) -> dict[str, Any]:
    known = {"id": id_, "workspace_id": 1, "user_id": 10 * id_, "name": f"P{id_}", "email": f"p{id_}@example.com"}
    return {**known, "timezone": "UTC", "working_hours_in_minutes": 480, **fields}


def entry(id_: int, start: str, hours: float) -> dict[str, Any]:
    began = datetime.fromisoformat(start).replace(tzinfo=timezone.utc)
    return {"workspace_id": 1, "user_id": 10 * id_, "start": began, "stop": began + timedelta(hours=hours)}


def test_those_below_80_percent_of_their_working_hours_are_found(example: Any) -> None:
    entries = [entry(1, "2026-11-24T08:00", 31.5), entry(2, "2026-11-24T08:00", 32), entry(3, "2026-11-24T08:00", 7)]
    people = [person(1), person(2), person(3, working_hours_in_minutes=60)]
    short, unknown = example.find_short(people, entries, MONDAY, PARAMS)
    expected = {"id": 1, "name": "P1", "email": "p1@example.com", "week": "2026-11-23", "hours": 31.5, "expected": 40}
    assert short == [expected]
    assert unknown == []


def test_a_person_without_working_hours_is_unknown_unless_the_dag_has_them(example: Any) -> None:
    people = [person(1, working_hours_in_minutes=None)]
    assert example.find_short(people, [], MONDAY, PARAMS) == ([], ["P1"])
    (short,), unknown = example.find_short(people, [], MONDAY, {**PARAMS, "weekly_hours": 20})
    assert (short["expected"], unknown) == (20, [])


def test_working_hours_may_be_for_the_week(example: Any) -> None:
    people = [person(1, working_hours_in_minutes=2400)]
    (short,), _ = example.find_short(people, [], MONDAY, {**PARAMS, "working_days": 1})
    assert short["expected"] == 40


@pytest.mark.parametrize(
    ("zone", "hours"),
    [("UTC", 2), ("Europe/Berlin", 3), ("America/New_York", 0)],  # 00:00 in Berlin is 23:00 UTC, in New York 05:00
)
def test_only_what_is_in_the_week_of_the_person_s_zone_counts(example: Any, zone: str, hours: float) -> None:
    entries = [entry(1, "2026-11-22T22:00", 4), entry(1, "2026-11-15T08:00", 8), entry(2, "2026-11-24T08:00", 8)]
    (short,), _ = example.find_short([person(1, timezone=zone)], entries, MONDAY, PARAMS)
    assert short["hours"] == hours


def test_a_week_in_which_clocks_change_has_an_hour_more(example: Any) -> None:
    begin, end = example.bounds(date(2026, 10, 19), "Europe/Berlin")
    assert end - begin == timedelta(hours=169)


def test_the_statements_run_in_both_databases(warehouse: Any, example: Any) -> None:
    begin, end = example.bounds(MONDAY, "UTC")
    with warehouse.transaction() as transaction:
        transaction.run(example.CREATE)
        transaction.run(example.REMEMBER, [MONDAY, 1])
    assert warehouse.query(example.PEOPLE).to_pylist() == []
    assert warehouse.query(example.ENTRIES, [end, begin]).to_pylist() == []
    assert warehouse.query(example.SENT, [MONDAY]).column(0).to_pylist() == [1]
    assert warehouse.query(example.SENT, [begin.date() - timedelta(days=7)]).num_rows == 0
