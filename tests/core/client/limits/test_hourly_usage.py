from __future__ import annotations

from airflow_provider_toggl.core.client.limits.hourly_usage import HOUR, hour_number


def test_a_moment_belongs_to_the_hour_that_has_begun() -> None:
    assert [hour_number(moment) for moment in (0.0, HOUR - 0.1, float(HOUR), 2.5 * HOUR)] == [0, 0, 1, 2]
