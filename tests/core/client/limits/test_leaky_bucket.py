from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_toggl.core.client.limits.leaky_bucket import (
    CLOCK_TOLERANCE,
    MIN_WAIT,
    RESPONSE_TIMEOUT,
    BucketState,
    Pace,
    grant,
    pause_bucket,
    record_answer,
    seconds_to_wait,
)
from airflow_provider_toggl.core.errors import ConfigurationError

ONE = Pace(1.0)
T = 1_780_000_000.0


def answered(seconds: float) -> BucketState:
    """Return the state after a request that was sent at T and answered so many seconds later."""
    return record_answer(grant(BucketState(), 1, T), 1, T + seconds)


IN_FLIGHT = grant(BucketState(), 1, T)
LIMITED = pause_bucket(answered(0.01), 30.0, T)


@pytest.mark.parametrize(
    ("state", "pace", "seconds_later", "wait"),
    [
        pytest.param(BucketState(), ONE, 0.0, 0.0, id="the first request"),
        pytest.param(answered(0.0), ONE, 0.4, 0.6, id="one interval after the response"),
        pytest.param(answered(5.0), ONE, 5.4, 0.6, id="one interval after a slow response"),
        pytest.param(answered(5.0), ONE, 6.0, 0.0, id="after the interval"),
        pytest.param(answered(0.0), Pace(50.0), 0.0, 0.02, id="a faster bucket"),
        pytest.param(answered(0.0), Pace(1000.0), 0.0, MIN_WAIT, id="never shorter than the minimum"),
        pytest.param(IN_FLIGHT, ONE, 5.0, 1.0, id="one interval while a request is in flight"),
        pytest.param(IN_FLIGHT, ONE, RESPONSE_TIMEOUT, 1.0, id="a request without a response"),
        pytest.param(IN_FLIGHT, ONE, RESPONSE_TIMEOUT + 1.0, 0.0, id="after the timeout"),
        pytest.param(answered(0.01), ONE, -0.5, 1.51, id="clock readings out of order"),
        pytest.param(answered(0.01), ONE, -CLOCK_TOLERANCE, CLOCK_TOLERANCE + 1.01, id="a clock that is a little back"),
        pytest.param(LIMITED, ONE, 10.0, 20.0, id="a rate limit"),
        pytest.param(pause_bucket(IN_FLIGHT, 30.0, T), ONE, 10.0, 20.0, id="a rate limit while a request is in flight"),
        pytest.param(pause_bucket(LIMITED, 5.0, T + 1), ONE, 1.0, 29.0, id="a shorter rate limit after a longer one"),
        pytest.param(
            pause_bucket(pause_bucket(answered(0.01), 9000.0, T), 30.0, T - 5000),
            ONE,
            -4990.0,
            20.0,
            id="a rate limit after the clock was set back",
        ),
    ],
)
def test_a_caller_waits_until_the_next_request_may_be_sent(
    state: BucketState, pace: Pace, seconds_later: float, wait: float
) -> None:
    assert seconds_to_wait(state, pace, T + seconds_later) == pytest.approx(wait)


def test_a_response_after_the_timeout_does_not_count_for_the_next_request():
    second = grant(grant(BucketState(), 1, T), 2, T + 40)
    assert record_answer(second, 1, T + 41) == second


@given(st.lists(st.tuples(st.floats(0.0, 20.0), st.floats(0.0, 1.0), st.floats(0.0, 3.0)), min_size=2, max_size=20))
def test_toggl_sees_requests_at_least_one_interval_apart_whatever_the_delays(
    requests: list[tuple[float, float, float]],
) -> None:
    state, now, arrivals = BucketState(), 1000.0, []
    for response_time, arrives_after, idle in requests:
        now += idle
        while wait := seconds_to_wait(state, ONE, now):
            now += wait
        state = grant(state, state.permit + 1, now)
        arrivals.append(now + response_time * arrives_after)
        now += response_time
        state = record_answer(state, state.permit, now)
    assert all(later - earlier > 1 - 1e-9 for earlier, later in pairwise(arrivals))


def test_three_quarters_of_the_rate_are_used_with_responses_after_200_ms():
    """Several callers ask again only after the returned wait, and lose no time."""
    state, sent = BucketState(), 0
    asks = [T + number * 0.13 for number in range(8)]
    answer_at = 0.0
    while min(asks) < T + 600:
        now = min(asks)
        if state.answered_at is None and state.permit and answer_at <= now:
            state = record_answer(state, state.permit, answer_at)
        wait = seconds_to_wait(state, ONE, now)
        if not wait:
            state, sent, answer_at, wait = grant(state, sent + 1, now), sent + 1, now + 0.2, 0.2
        asks[asks.index(now)] = now + wait
    assert 0.83 < sent / 600 < 0.84


def test_a_clock_that_was_set_back_does_not_block():
    state = pause_bucket(answered(0.01), 300.0, T)
    assert seconds_to_wait(state, ONE, T - 500) == 0.0
    state = grant(state, 2, T - 500)
    assert (state.permit, state.closed_until) == (2, 0.0)
    assert seconds_to_wait(record_answer(state, 2, T - 500), ONE, T - 500) == 1.0


@pytest.mark.parametrize("rate", [0, -1, 1001])
def test_an_invalid_rate_is_refused(rate: float):
    with pytest.raises(ConfigurationError, match="requests_per_second"):
        Pace(rate)


@pytest.mark.parametrize("rate", [0.001, 1000])
def test_the_limits_of_the_rate_are_allowed(rate: float):
    assert Pace(rate).interval == pytest.approx(1 / rate)
