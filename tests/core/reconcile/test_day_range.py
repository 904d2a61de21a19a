from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from airflow_provider_toggl.core.errors import ConfigurationError
from airflow_provider_toggl.core.extract.windows import CoveredDays, Window
from airflow_provider_toggl.core.reconcile.day_range import DAYS_AHEAD, DayRange, build_day_range
from airflow_provider_toggl.core.reconcile.request import ReconcileRequest

NOW = datetime(2026, 3, 10, 23, 30, tzinfo=timezone.utc)
DAY = timedelta(days=1)
KNOWN = (datetime(2026, 1, 5, 12, tzinfo=timezone.utc), datetime(2026, 3, 9, 12, tzinfo=timezone.utc))


def build(known: Any = KNOWN, beginning: date | None = None, zone: str = "UTC", **days: Any) -> DayRange:
    request = ReconcileRequest(7, NOW, **days)
    return build_day_range(request, known=known, beginning=beginning, zone=ZoneInfo(zone), now=NOW, span_days=366)


def test_days_go_from_the_one_before_the_first_entry_to_tomorrow_in_the_owner_s_zone():
    assert build().windows == [Window(date(2026, 1, 4), date(2026, 3, 11))]
    assert build(zone="Asia/Tokyo").windows == [Window(date(2026, 1, 4), date(2026, 3, 12))]


def test_planned_entries_have_a_window_of_their_own_unless_a_last_day_is_given():
    known = (KNOWN[0], NOW + 100 * DAY)
    _, planned = build(known=known).windows
    assert planned.first == date(2026, 3, 12)
    assert planned.last >= known[1].date()
    assert build(known=known, until="2026-03-01").windows == [Window(date(2026, 1, 4), date(2026, 3, 1))]


def test_an_empty_warehouse_begins_with_the_history_or_says_what_to_do():
    assert build(known=None, beginning=date(2025, 5, 1)).main.first == date(2025, 5, 1)
    with pytest.raises(ConfigurationError, match="Load them"):
        build(known=None)


def test_days_in_the_wrong_order_are_refused():
    with pytest.raises(ConfigurationError, match="before since"):
        build(since="2026-03-01", until="2026-02-01")


def covered(first: date, last: date) -> CoveredDays:
    return CoveredDays(first, last, NOW, NOW)


def test_changes_are_read_some_days_ahead_and_back_where_that_takes_no_further_request():
    days = build()
    (window,) = days.windows_of_changes((), 366)
    assert window.first == days.main.first
    assert days.main.last < window.last <= days.main.last + DAYS_AHEAD * DAY
    assert window.last.toordinal() % DAYS_AHEAD == 0
    (window,) = days.windows_of_changes((covered(date(2025, 6, 1), date(2026, 4, 30)),), 366)
    assert window.first == date(2025, 6, 1)
    (window,) = days.windows_of_changes((covered(date(2020, 6, 1), date(2026, 4, 30)),), 366)
    assert window.days == 366


def test_changes_are_read_to_the_last_day_alone_where_a_day_ahead_would_take_a_further_request():
    days = build()
    asked = days.main.days + 1
    assert DAYS_AHEAD - days.main.last.toordinal() % DAYS_AHEAD > 1
    assert days.windows_of_changes((), asked) == [days.main]


def test_other_days_are_the_known_ones_before_and_those_of_a_year_after():
    days = build(until="2026-03-01")
    before, after = days.other_windows((covered(date(2020, 6, 1), date(2026, 4, 30)),), 366)
    assert before.first == date(2020, 6, 1)
    assert before.last == days.windows_of_changes((covered(date(2020, 6, 1), date(2026, 4, 30)),), 366)[0].first - DAY
    assert after.first == date(2026, 3, 2)
    assert after.days > 300
    assert days.other_windows((covered(days.main.first, date(2026, 4, 30)),), 366) == [after]
    assert build(known=(KNOWN[0], NOW + 100 * DAY)).other_windows((), 366) == [], "planned days are in the range"
