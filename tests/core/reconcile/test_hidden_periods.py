from __future__ import annotations

from datetime import date, datetime, timezone

from airflow_provider_toggl.core.extract.windows import CoveredDays, Window
from airflow_provider_toggl.core.reconcile import deletion_policy
from airflow_provider_toggl.core.reconcile.hidden_periods import HiddenPeriod, count_hidden, rewind

EARLY, LATE = (datetime(2026, 11, day, tzinfo=timezone.utc) for day in (1, 20))


def test_entries_that_may_be_hidden_are_counted_by_reason():
    windows = [
        {deletion_policy.NOT_ADMIN: 3, "totals differ": 7},
        {},
        {deletion_policy.NOT_ADMIN: 2, deletion_policy.RETENTION: 1},
    ]
    assert count_hidden(windows) == {deletion_policy.NOT_ADMIN: 5, deletion_policy.RETENTION: 1}


def test_a_hidden_period_ends_when_fewer_entries_are_hidden_for_any_reason():
    hidden = HiddenPeriod(EARLY, {deletion_policy.NOT_ADMIN: 5, deletion_policy.BEFORE_FIRST_SHOWN: 2})
    assert not hidden.ends_with({deletion_policy.NOT_ADMIN: 5, deletion_policy.BEFORE_FIRST_SHOWN: 2})
    assert not hidden.ends_with(
        {deletion_policy.NOT_ADMIN: 6, deletion_policy.BEFORE_FIRST_SHOWN: 2, deletion_policy.RETENTION: 9}
    )
    assert hidden.ends_with({deletion_policy.NOT_ADMIN: 4, deletion_policy.BEFORE_FIRST_SHOWN: 2})
    assert hidden.ends_with({deletion_policy.NOT_ADMIN: 9})
    assert hidden.ends_with({})


def test_only_days_of_the_windows_are_rewound():
    beside = CoveredDays(date(2026, 1, 1), date(2026, 1, 31), LATE, LATE)
    known, older = (
        CoveredDays(date(2026, month, 1), date(2026, month, 28), mark, LATE) for month, mark in ((2, LATE), (3, EARLY))
    )
    window = Window(date(2026, 2, 28), date(2026, 3, 1))
    kept, *taken_back = rewind((beside, known, older), [window], datetime(2026, 11, 5, tzinfo=timezone.utc))
    assert kept == beside
    assert [span.watermark.day for span in taken_back] == [5, 1]
    assert {span.read_at.year for span in taken_back} == {1970}
