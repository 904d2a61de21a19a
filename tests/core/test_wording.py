from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from airflow_provider_toggl.core.wording import ago, duration, plural

NOW = datetime(2026, 3, 10, 12, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("number", "noun", "text"),
    [
        (0, "page", "0 pages"),
        (1, "request", "1 request"),
        (12_345, "row", "12,345 rows"),
        (1, "entry", "1 entry"),
        (3, "entry", "3 entries"),
        (366, "day", "366 days"),
    ],
)
def test_a_number_has_its_noun_in_the_right_form(number: int, noun: str, text: str) -> None:
    assert plural(number, noun) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0 s"),
        (0, "0 s"),
        (119, "119 s"),
        (120, "2 min"),
        (7199, "120 min"),
        (7200, "2 h"),
        (12_600, "3.5 h"),
        (36_000, "10 h"),
        (172_799, "48 h"),
        (172_800, "2 d"),
        (216_000, "2.5 d"),
        (1_000_000, "12 d"),
    ],
)
def test_a_duration_is_in_its_largest_suitable_unit(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_an_age_is_in_the_past_or_in_the_future() -> None:
    assert ago(NOW - timedelta(hours=3), NOW) == "3 h ago"
    assert ago(NOW, NOW) == "0 s ago"
    assert ago(NOW + timedelta(minutes=5), NOW) == "in 5 min"
