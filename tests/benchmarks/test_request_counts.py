from __future__ import annotations

import pytest
from support.repository import load_benchmark

counts = load_benchmark("request_counts")


@pytest.mark.soak
@pytest.mark.parametrize("with_since", [False, True], ids=["since unset", "since given"])
def test_ten_thousand_entries_and_a_hundred_changes_keep_the_limits(with_since: bool) -> None:
    (run,) = counts.measure(page_sizes=[1000], sinces=[with_since])["runs"]
    assert run["complete"]
    assert run["first_load"]["time_entries"] <= 12
    assert run["first_load"]["all"] <= 24
    assert run["changes"]["time_entries"] <= 3
    assert run["changes"]["all"] <= 10
    assert run["ok"]


def test_a_server_that_gives_small_pages_is_read_through_too() -> None:
    (run,) = counts.measure(entries=1000, page_sizes=[50], sinces=[False])["runs"]
    assert run["complete"]
    assert run["first_load"]["time_entries"] >= 20
    assert run["ok"]


@pytest.mark.soak
def test_a_night_of_all_streams_keeps_its_limit() -> None:
    night = counts.measure_night(entries=1000)
    assert night["complete"]
    assert night["all"] <= night["limit"] == 25
    assert night["by_stream"]["rates"] <= night["rate_changes"]
    assert night["ok"]
