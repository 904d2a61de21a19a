from __future__ import annotations

import itertools
from datetime import date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_toggl.core.errors import ConfigurationError
from airflow_provider_toggl.core.extract.windows import (
    DAY,
    CoveredDays,
    Window,
    ahead,
    check_range,
    choose,
    cover,
    gaps,
    history,
    parse_day,
    read_at_of,
    split,
    tail_apart,
    watermark_of,
)

TODAY = date(2026, 11, 23)
NOW = datetime(2026, 11, 23, 12, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)


def day(number: int) -> date:
    return TODAY + timedelta(days=number)


def moment(hours: int) -> datetime:
    return NOW + timedelta(hours=hours)


readings = st.lists(
    st.tuples(st.integers(-900, 5), st.integers(0, 500), st.integers(-50, 0), st.integers(-50, 0)), max_size=8
)


@given(readings)
def test_a_day_is_known_as_well_as_its_best_reading(readings):
    coverage, model = (), {}
    for first, length, watermark, read_at in readings:
        window = Window(day(first), day(first + length))
        coverage = cover(coverage, window, moment(watermark), moment(read_at))
        for number in range(first, first + length + 1):
            known = model.get(number, (moment(-1000), None))[0]
            model[number] = (max(known, moment(watermark)), moment(read_at))
    for number in range(-901, 507, 13):
        one = Window(day(number), day(number))
        expected = model.get(number, (None, None))
        assert (watermark_of(coverage, one), read_at_of(coverage, one)) == expected


@given(readings, st.integers(-900, 0), st.integers(0, 600))
def test_gaps_are_exactly_the_days_never_read(readings, first, length):
    coverage, known = (), set()
    for start, days, watermark, read_at in readings:
        coverage = cover(coverage, Window(day(start), day(start + days)), moment(watermark), moment(read_at))
        known |= {day(number) for number in range(start, start + days + 1)}
    window = Window(day(first), day(first + length))
    found = {gap.first + timedelta(days=i) for gap in gaps(coverage, window) for i in range(gap.days)}
    assert found == {window.first + timedelta(days=i) for i in range(window.days)} - known


@given(readings)
def test_coverage_is_ordered_and_has_no_day_twice(readings):
    coverage = ()
    for first, length, watermark, read_at in readings:
        coverage = cover(coverage, Window(day(first), day(first + length)), moment(watermark), moment(read_at))
        assert all(a.last < b.first for a, b in itertools.pairwise(coverage))
        assert all(span.first <= span.last for span in coverage)


@given(st.integers(-4000, 1), st.integers(1, 400))
def test_windows_cover_the_history_without_gap_or_overlap(beginning, span):
    windows = history(day(beginning), TODAY, span)
    assert windows[0].last == TODAY + DAY
    assert windows[-1].first == day(beginning)
    assert all(older.last + DAY == newer.first for newer, older in itertools.pairwise(windows))
    assert all(window.days <= span for window in windows)


def test_three_years_are_three_windows():
    assert len(history(date(2023, 11, 23), TODAY)) == 3


def test_the_window_ahead_follows_the_newest_one_and_fits_a_report():
    for number in range(800):
        window = ahead(day(number))
        assert window.first == day(number + 2)
        assert 300 <= window.days <= 366


def test_the_window_ahead_ends_on_the_same_day_all_month():
    assert len({ahead(date(2026, 11, number)).last for number in range(1, 30)}) <= 2


def test_a_range_is_split_into_what_a_report_may_span():
    parts = split(Window(day(-799), TODAY))
    assert [part.days for part in parts] == [366, 366, 68]
    assert (parts[0].last, parts[-1].first) == (TODAY, day(-799))


def chosen(coverage, beginning, *, budget=3, started=NOW, now=NOW):
    return choose(coverage, history(beginning, TODAY), ahead(TODAY), budget=budget, run_started=started, now=now)


def test_at_first_everything_is_read_newest_first():
    windows = chosen((), day(-700))
    assert [window.first for window in windows] == [day(-364), day(-700), day(2)]


def known_history(years: int, read_at: datetime = NOW - HOUR):
    coverage = ()
    for window in [*history(day(-366 * years + 2), TODAY), ahead(TODAY)]:
        coverage = cover(coverage, window, read_at, read_at)
    return coverage


def test_three_years_are_read_for_changes_in_three_requests():
    assert chosen(known_history(3), day(-366 * 3 + 2)) == history(day(-366 * 3 + 2), TODAY)


def test_the_days_ahead_are_read_once_a_day_whatever_it_costs():
    windows = chosen(known_history(3, NOW - timedelta(hours=25)), day(-366 * 3 + 2))
    assert ahead(TODAY) in windows


def test_longer_histories_take_turns_and_none_is_left_out():
    coverage, seen = known_history(10), []
    for run in range(6):
        started = NOW + run * HOUR
        windows = chosen(coverage, day(-366 * 10 + 2), started=started, now=started)
        assert len(windows) == 3
        assert windows[0] == history(day(-366 * 10 + 2), TODAY)[0]
        for window in windows:
            coverage = cover(coverage, window, started, started + timedelta(minutes=1))
        seen += windows
    assert set(seen) >= set(history(day(-366 * 10 + 2), TODAY))


@pytest.mark.parametrize("budget", [1, 2, 3])
def test_a_day_s_runs_look_at_another_window_however_small_the_budget_is(budget: int):
    coverage, seen, beginning = known_history(3), [], day(-366 * 3 + 2)
    for run in range(75):
        started = NOW + run * HOUR
        windows = chosen(coverage, beginning, budget=budget, started=started, now=started)
        for window in windows:
            coverage = cover(coverage, window, started, started + timedelta(minutes=1))
        seen += windows
    assert set(seen) >= {*history(beginning, TODAY), ahead(TODAY)}
    assert len(seen) <= 75 * budget + 9


def test_a_day_that_comes_into_sight_is_read_without_its_whole_window():
    coverage = known_history(1)
    tomorrow = TODAY + DAY
    windows = choose(
        coverage, history(day(-300), tomorrow), ahead(tomorrow), budget=3, run_started=NOW, now=NOW + 24 * HOUR
    )
    assert all(watermark_of(coverage, window) is not None for window in windows)


def test_what_was_read_since_the_run_started_is_done():
    coverage = known_history(1, NOW + HOUR)
    assert chosen(coverage, day(-300), started=NOW, now=NOW + 2 * HOUR) == []


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("2026-01-31", date(2026, 1, 31)),
        (date(2026, 1, 31), date(2026, 1, 31)),
        ("2026-01-31T00:00:00+01:00", date(2026, 1, 29)),
        ("2026-01-31T12:00:00Z", date(2026, 1, 30)),
        (datetime(2026, 1, 31, 23, tzinfo=timezone(timedelta(hours=-11))), date(2026, 1, 31)),
    ],
)
def test_a_day_is_the_owners_and_a_moment_starts_a_day_early(given, expected):
    assert parse_day(given, "since", TODAY) == expected


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("2026-01-31T00:00:00", "without a zone"),
        (datetime(2026, 1, 31), "without a zone"),  # noqa: DTZ001 - this is the point
        ("last week", "give a day"),
        ("2026-11-30", "in the future"),
        ("1999-01-01", "no entries before"),
    ],
)
def test_a_day_that_cannot_be_is_refused_with_its_name(value, words):
    with pytest.raises(ConfigurationError, match=words) as caught:
        parse_day(value, "since", TODAY)
    assert "since" in str(caught.value)


# -- marks of one window -----------------------------------------------------------------------------------------------


def test_last_days_with_a_much_older_mark_are_apart():
    old, new, week = moment(0), moment(19 * 24), timedelta(days=7)
    coverage = (
        CoveredDays(day(1), day(10), new, new),
        CoveredDays(day(11), day(12), old, new),
        CoveredDays(day(13), day(30), old, old),
    )
    assert tail_apart(coverage, Window(day(1), day(20)), week) == [
        Window(day(1), day(10)),
        Window(day(11), day(20)),
    ]
    assert tail_apart(coverage, Window(day(1), day(10)), week) == [Window(day(1), day(10))]
    assert tail_apart(coverage, Window(day(12), day(20)), week) == [Window(day(12), day(20))]
    assert tail_apart(coverage, Window(day(1), day(20)), timedelta(days=19)) == [Window(day(1), day(20))]


def test_days_that_were_never_read_are_not_apart():
    coverage = (CoveredDays(day(1), day(10), NOW, NOW),)
    assert tail_apart(coverage, Window(day(1), day(20)), timedelta(days=7)) == [Window(day(1), day(20))]
    assert tail_apart((), Window(day(1), day(20)), timedelta(days=7)) == [Window(day(1), day(20))]


@pytest.mark.parametrize(
    ("since", "until", "words"),
    [
        ("2026-03-02", "2026-03-01", r"until \(2026-03-01\) is before since"),
        ("2005-12-31", None, "since is 2005-12-31; Toggl has no entries before"),
        (None, "2005-12-31", "until is 2005-12-31; Toggl has no entries before"),
    ],
)
def test_a_range_that_cannot_be_is_refused(since: str | None, until: str | None, words: str):
    with pytest.raises(ConfigurationError, match=words):
        check_range(since, until)
