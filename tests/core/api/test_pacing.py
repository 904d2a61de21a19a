from __future__ import annotations

import pytest

from airflow_provider_toggl.core.api.pacing import Mark, Pace, hold_back, take_turn, wait_for_turn
from airflow_provider_toggl.core.errors import ConfigurationError


def test_the_first_request_leaves_at_once():
    assert wait_for_turn(Mark(), 1000.0) == 0.0


def test_the_next_request_waits_a_little_more_than_the_rate_says():
    mark = take_turn(Pace(1.0), 1000.0)
    assert 1.0 < wait_for_turn(mark, 1000.0) < 1.1


def test_a_faster_bucket_waits_less():
    assert wait_for_turn(take_turn(Pace(50.0), 0.0), 0.0) < 0.03


def test_a_clock_that_was_turned_back_does_not_block():
    assert wait_for_turn(take_turn(Pace(1.0), 1000.0), 500.0) == 0.0


def test_a_refusal_holds_every_process_back():
    mark = hold_back(Mark(), 30.0, 1000.0)
    assert wait_for_turn(mark, 1010.0) == pytest.approx(20.0)


def test_a_shorter_refusal_does_not_shorten_a_longer_one():
    mark = hold_back(hold_back(Mark(), 30.0, 1000.0), 5.0, 1001.0)
    assert wait_for_turn(mark, 1001.0) == pytest.approx(29.0)


@pytest.mark.parametrize("rate", [0, -1, 1001])
def test_a_rate_that_cannot_be_is_refused(rate):
    with pytest.raises(ConfigurationError, match="requests_per_second"):
        Pace(rate)
