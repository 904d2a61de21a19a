from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.entry_rows import NOON, entry_rows

from airflow_provider_toggl.core.extract.summaries import NO_PROJECT, WindowTotals
from airflow_provider_toggl.core.extract.windows import DAY, Window
from airflow_provider_toggl.core.reconcile import compare
from airflow_provider_toggl.core.reconcile.compare import ReportTime, as_ids

CLOCK = ReportTime(NOON, timedelta(minutes=5))


def totals_of(truth: dict[int, tuple[int, int, int]]) -> WindowTotals:
    """Return the totals of entries, given as user, project and seconds by id."""
    seconds: dict[tuple[int, int], int] = {}
    for user, project, own in truth.values():
        seconds[user, project] = seconds.get((user, project), 0) + own
    ids = sorted(truth)
    users, projects = ([truth[id_][place] for id_ in ids] for place in (0, 1))
    return WindowTotals(seconds, as_ids(ids), as_ids(users), as_ids(projects))


def total(seconds: int) -> WindowTotals:
    """Return the totals of one user and project, without ids."""
    return WindowTotals({(7, 1): seconds}, None, as_ids(()), as_ids(()))


ENTRIES = st.dictionaries(
    st.integers(1, 30), st.tuples(st.integers(7, 9), st.integers(NO_PROJECT, 2), st.integers(1, 5)), max_size=20
)


@given(here=ENTRIES, there=ENTRIES)
def test_exactly_the_differences_are_found(here: dict[int, Any], there: dict[int, Any]):
    known = entry_rows(*({"id": id_, "users": u, "projects": p, "seconds": s} for id_, (u, p, s) in here.items()))
    totals = totals_of(there)
    found = compare.compare_ids(known, totals)
    assert found.missing.tolist() == sorted(there.keys() - here.keys())
    assert known.ids[found.absent].tolist() == sorted(here.keys() - there.keys())
    assert found.moved.tolist() == sorted(i for i in here.keys() & there.keys() if here[i][:2] != there[i][:2])
    own = totals_of(here).seconds
    keys = own.keys() | totals.seconds.keys()
    differing = sorted(key for key in keys if own.get(key, 0) != totals.seconds.get(key, 0))
    assert compare.differing_groups(known, totals, CLOCK) == differing


def test_a_running_entry_explains_a_total_without_it_with_its_seconds_until_now_and_with_minus_its_start():
    start = NOON - timedelta(hours=3)
    running = entry_rows({"id": 1, "seconds": 0, "running": True, "starts": start})
    until_now, minus_start = 3 * 3600, -int(start.timestamp())
    for reported in (0, until_now, until_now - 305, until_now + 305, minus_start - 1, minus_start, minus_start + 1):
        assert compare.differing_groups(running, total(reported), CLOCK) == []
    for reported in (-1, 60, until_now - 306, until_now + 306, minus_start - 2, minus_start + 2):
        assert compare.differing_groups(running, total(reported), CLOCK) == [(7, 1)]


def test_an_entry_that_stops_before_it_starts_may_count_as_nothing():
    backwards = entry_rows({"id": 1, "seconds": -60}, {"id": 2})
    for reported in (0, 60):
        assert compare.differing_groups(backwards, total(reported), CLOCK) == []


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", date(2026, 3, 29), 23),
        ("Europe/Berlin", date(2026, 10, 25), 25),
        ("America/New_York", date(2026, 3, 8), 23),
        ("America/New_York", date(2026, 11, 1), 25),
        ("Asia/Kolkata", date(2026, 3, 29), 24),
    ],
)
def test_days_with_a_change_of_clocks_are_as_long_as_they_are(zone: str, day: date, hours: int):
    begin, end = compare.day_bounds(Window(day, day), ZoneInfo(zone))
    assert end - begin == hours * 3600 * 1_000_000
    assert compare.day_of(int(begin), ZoneInfo(zone)) == day
    assert compare.day_of(int(end) - 1, ZoneInfo(zone)) == day


def test_days_that_differ_are_found():
    zone = ZoneInfo("Europe/Berlin")
    window = Window(date(2026, 3, 8), date(2026, 3, 10))
    known = entry_rows({"id": 1, "starts": NOON - DAY}, {"id": 2, "starts": NOON - 2 * DAY})
    bounds = compare.day_bounds(window, zone)
    assert compare.differing_days(known, bounds, as_ids([60, 60, 0]), CLOCK) == []
    assert compare.differing_days(known, bounds, as_ids([60, 0, 5]), CLOCK) == [1, 2]


@given(
    st.lists(st.integers(0, 60), unique=True, max_size=20).map(sorted),
    st.dictionaries(st.integers(0, 60), st.integers(0, 12), max_size=61),
)
def test_joined_days_cover_every_day_once_with_at_most_a_page_each(numbers: list[int], counts: dict[int, int]):
    first = date(2026, 1, 1)
    days = [first + number * DAY for number in numbers]
    count = {first + number * DAY: rows_ for number, rows_ in counts.items()}
    found = list(compare.join_days(days, count, 20))
    assert [day for day in days if not any(window.first <= day <= window.last for window in found)] == []
    assert all(a.last < b.first for a, b in pairwise(found))
    for window in found:
        held = sum(count.get(window.first + n * DAY, 0) for n in range(window.days))
        assert held <= 20 or window.days == 1


def test_the_filter_for_entries_without_a_project_is_null():
    assert compare.groups_filter([(7, NO_PROJECT), (8, 3)]) == {"user_ids": [7, 8], "project_ids": [None, 3]}
