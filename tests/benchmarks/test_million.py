from __future__ import annotations

import pytest
from support.repository import load_benchmark

million = load_benchmark("million")


@pytest.mark.soak
def test_a_load_that_is_killed_three_times_brings_every_entry_once_through_many_quota_windows() -> None:
    result = million.measure(entries=13_000, kills=3, page_size=200, days=300)
    assert result["differences"] == []
    assert result["kills"] == 3
    # More than two windows have, and none was refused.
    assert result["requests"] > 2 * 30
    assert result["pages_asked_twice"] <= 3
    assert result["refused_by_toggl"] == 0
    assert result["ok"]


@pytest.mark.soak
@pytest.mark.timeout(1200)
def test_a_million_entries_come_through_twenty_kills_in_bounded_memory() -> None:
    result = million.measure()
    assert result["differences"] == []
    assert result["kills"] == 20
    assert result["pages_asked_twice"] <= 20
    assert result["peak_megabytes"] <= million.MOST_MEGABYTES
    assert result["ok"]
