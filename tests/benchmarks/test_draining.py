from __future__ import annotations

from support.repository import load_benchmark


def test_every_stored_event_is_drained_and_the_result_says_on_how_many_cores() -> None:
    result = load_benchmark("draining").measure(600)
    assert result["events"] == 600
    assert result["cores"] >= 1
    assert all(rate > 0 for rate in result["events_per_second"].values())
