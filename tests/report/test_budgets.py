from __future__ import annotations

from datetime import date

from airflow_provider_toggl.report.budgets import Budget, sum_up

WEEKS = [date(2025, 12, 29), date(2026, 1, 5)]
HOUR = 3600


def test_hours_add_up_from_before_the_weeks() -> None:
    sums = [
        (1, date(2025, 6, 1), 10 * HOUR),
        (1, "2025-12-28", HOUR),
        (1, date(2026, 1, 4), 2 * HOUR),
        (1, date(2026, 1, 5), 3 * HOUR),
    ]
    assert sum_up([(1, "Site", 20 * HOUR)], sums, WEEKS) == [Budget("Site", 20.0, (13.0, 16.0), 11.0)]


def test_the_largest_share_is_first_and_projects_that_stand_still_are_left_out() -> None:
    projects = [(1, "small share", 100 * HOUR), (2, "over", HOUR), (3, "before", HOUR), (4, "never", HOUR)]
    sums = [(1, WEEKS[1], 10 * HOUR), (2, WEEKS[0], 2 * HOUR), (3, date(2025, 1, 1), 9 * HOUR)]
    found = sum_up(projects, sums, WEEKS)
    assert [(one.name, one.label) for one in found] == [("over", "200% of 1 h"), ("small share", "10% of 100 h")]
