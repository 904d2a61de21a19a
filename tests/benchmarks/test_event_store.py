from __future__ import annotations

import pytest
from support.repository import load_benchmark

event_store = load_benchmark("event_store")


@pytest.mark.soak
def test_both_engines_are_measured_and_waiters_ask_as_often_as_one() -> None:
    with event_store.places() as places:
        for place in places:
            append = event_store.measure_append(place, 320, 10)
            assert append["events_per_second"] > 0
            tails = [
                event_store.measure_tail(place, subscribers, 10, 330 + 10 * turn)
                for turn, subscribers in enumerate((1, 100))
            ]
            few, many = (tail["store_calls_per_event"] for tail in tails)
            assert 0 < many < 2 * few
