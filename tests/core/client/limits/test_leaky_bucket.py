from __future__ import annotations

import pytest

from airflow_provider_toggl.core.client.limits.leaky_bucket import (
    CARE,
    LONGEST_DEPARTURE,
    LOOK_EVERY,
    MARGIN,
    MOST_CARE,
    BucketState,
    Pace,
    depart,
    hold_back,
    settle,
    take_turn,
    wait_for_turn,
)
from airflow_provider_toggl.core.errors import ConfigurationError

ONE = Pace(1.0)
T = 1_780_000_000.0


def sent(*, taken: float = 0.0, left: float = 0.0, answered: float | None = None, pace: Pace = ONE) -> BucketState:
    """A request's mark; times count from T."""
    mark = depart(take_turn(BucketState(), pace, T + taken), T + left)
    return mark if answered is None else settle(mark, T + answered)


def test_the_first_request_leaves_at_once():
    assert wait_for_turn(BucketState(), ONE, T) == 0.0


def test_the_next_request_waits_a_little_more_than_the_rate_says():
    assert wait_for_turn(sent(answered=0.01), ONE, T) == pytest.approx(1 + MARGIN, abs=1e-3)


def test_a_faster_bucket_waits_less():
    pace = Pace(50.0)
    assert wait_for_turn(sent(answered=0.0001, pace=pace), pace, T) < 0.03


def test_the_interval_counts_from_when_the_request_left_and_not_from_its_turn():
    assert wait_for_turn(sent(left=0.3, answered=0.31), ONE, T + 1.1) == pytest.approx(0.2 + MARGIN, abs=1e-3)


def test_nobody_goes_while_a_request_is_still_opening_its_connection():
    mark = take_turn(BucketState(), ONE, T)
    assert wait_for_turn(mark, ONE, T + 5.0) == LOOK_EVERY


def test_a_request_that_never_leaves_does_not_block_for_ever():
    mark = take_turn(BucketState(), ONE, T)
    assert wait_for_turn(mark, ONE, T + LONGEST_DEPARTURE + 2.0) == 0.0


def test_a_late_answer_moves_the_next_request_to_an_interval_after_it():
    assert wait_for_turn(sent(answered=0.3), ONE, T + 1.1) == pytest.approx(0.2, abs=1e-3)


def test_an_answer_that_is_missing_is_waited_for_by_short_looks():
    assert wait_for_turn(sent(), ONE, T + 1.1) == pytest.approx(LOOK_EVERY)


def test_late_answers_cost_only_so_much_at_once():
    assert wait_for_turn(sent(), ONE, T + 1 + MARGIN + MOST_CARE + 0.001) == 0.0
    assert wait_for_turn(sent(answered=0.9), ONE, T + 1 + MARGIN + MOST_CARE + 0.001) == 0.0


@pytest.mark.parametrize("late", [0.0, 0.05, 0.3, 0.9, 5.0])
def test_whenever_answers_come_94_percent_of_the_rate_are_left(late: float):
    mark, now, turns, left_at = BucketState(), T, 0, T
    while now < T + 600:
        if mark.left_at is not None and mark.answered_at is None and now >= left_at + late:
            mark = settle(mark, left_at + late)
        wait = wait_for_turn(mark, ONE, now)
        if wait == 0:
            mark, left_at, turns = depart(take_turn(mark, ONE, now), now), now, turns + 1
        now += wait
    assert turns / 600 >= 1 / (1 + MARGIN + CARE) - 0.002


def test_care_that_was_spent_comes_back_with_time():
    spent = take_turn(sent(answered=0.9), ONE, T + 1.6)
    assert spent.care < 0.1
    later = take_turn(settle(depart(spent, T + 1.6), T + 1.61), ONE, T + 100)
    assert later.care == MOST_CARE


def test_readings_of_the_clock_that_are_out_of_order_give_no_turn():
    assert wait_for_turn(sent(answered=0.01), ONE, T - 0.5) > 1.0


def test_a_clock_that_was_turned_back_does_not_block():
    mark = sent(answered=0.01)
    assert wait_for_turn(mark, ONE, T - 500) == 0.0
    assert wait_for_turn(take_turn(mark, ONE, T - 500), ONE, T - 500) > 0.9


def test_a_refusal_holds_every_process_back():
    mark = hold_back(sent(answered=0.01), 30.0, T)
    assert wait_for_turn(mark, ONE, T + 10) == pytest.approx(20.0)


def test_a_refusal_is_forgotten_when_the_clock_was_turned_back():
    mark = hold_back(sent(answered=0.01), 30.0, T - 5000)
    assert wait_for_turn(mark, ONE, T - 4990) == pytest.approx(20.0)


def test_a_shorter_refusal_does_not_shorten_a_longer_one():
    mark = hold_back(hold_back(sent(answered=0.01), 30.0, T), 5.0, T + 1)
    assert wait_for_turn(mark, ONE, T + 1) == pytest.approx(29.0)


@pytest.mark.parametrize("rate", [0, -1, 1001])
def test_a_rate_that_cannot_be_is_refused(rate):
    with pytest.raises(ConfigurationError, match="requests_per_second"):
        Pace(rate)
