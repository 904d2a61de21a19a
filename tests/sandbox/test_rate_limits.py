from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_toggl.sandbox.rate_limits import RateLimits
from airflow_provider_toggl.sandbox.settings import Settings


class Clock:
    """Seconds that pass only when shown."""

    def __init__(self) -> None:
        self.seconds = 1_000_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def settings() -> Settings:
    return Settings(quota_window_seconds=60, organization_quota=3, user_quota=2)


@pytest.fixture
def limits(settings: Settings, clock: Clock) -> RateLimits:
    return RateLimits(settings, clock)


def spend(limits: RateLimits, times: int, lane: str = "organization") -> list[bool]:
    return [limits.charge(lane, 1)[0] for _ in range(times)]


def test_a_window_admits_as_many_requests_as_its_quota(limits: RateLimits) -> None:
    assert spend(limits, 5) == [True, True, True, False, False]


def test_the_state_has_the_remaining_requests_and_seconds_rounded_up(limits: RateLimits, clock: Clock) -> None:
    limits.charge("organization", 1)
    clock.seconds += 10.2
    _, state = limits.charge("organization", 1)
    assert (state.total, state.remaining, state.resets_in_seconds) == (3, 1, 50)


def test_lanes_and_people_have_windows_of_their_own(limits: RateLimits) -> None:
    assert spend(limits, 3) == [True] * 3
    assert spend(limits, 3, "user") == [True, True, False]
    assert limits.charge("organization", 2)[0]


def test_a_fixed_window_gives_all_back_at_once(limits: RateLimits, clock: Clock) -> None:
    limits.charge("organization", 1)
    clock.seconds += 59
    spend(limits, 2)
    clock.seconds += 1
    assert limits.state("organization", 1).remaining == 3
    assert spend(limits, 4) == [True, True, True, False]


def test_a_sliding_window_gives_each_request_back_by_itself(
    limits: RateLimits, settings: Settings, clock: Clock
) -> None:
    settings.quota_kind = "sliding"
    limits.charge("organization", 1)
    clock.seconds += 59
    spend(limits, 2)
    clock.seconds += 1
    assert spend(limits, 2) == [True, False]
    assert limits.state("organization", 1).resets_in_seconds == 59


@pytest.mark.parametrize("kind", ["fixed", "sliding"])
def test_refused_requests_do_not_make_the_window_longer(
    limits: RateLimits, settings: Settings, clock: Clock, kind: str
) -> None:
    settings.update({"quota_kind": kind})
    spend(limits, 3)
    for _ in range(59):
        clock.seconds += 1
        assert not limits.charge("organization", 1)[0]
    clock.seconds += 1
    assert limits.charge("organization", 1)[0]


def test_waiting_until_the_reset_is_never_too_early(limits: RateLimits, clock: Clock) -> None:
    spend(limits, 3)
    clock.seconds += 7.31
    _, state = limits.charge("organization", 1)
    clock.seconds += state.resets_in_seconds
    assert limits.charge("organization", 1)[0]


def test_without_enforcement_everything_is_counted_and_nothing_refused(limits: RateLimits, settings: Settings) -> None:
    settings.quota_enforced = False
    assert spend(limits, 5) == [True] * 5
    assert limits.state("organization", 1).remaining == -2


@pytest.mark.parametrize(("message", "seconds"), [("zero", 0), ("window", 60)])
def test_the_reset_of_an_unopened_window_is_a_setting(
    limits: RateLimits, settings: Settings, message: str, seconds: int
) -> None:
    settings.update({"unused_quota_resets_in": message})
    state = limits.state("user", 9)
    assert (state.remaining, state.resets_in_seconds) == (2, seconds)


def test_a_quota_that_is_switched_counts_at_once(limits: RateLimits, settings: Settings) -> None:
    spend(limits, 3)
    settings.organization_quota = 4
    assert spend(limits, 2) == [True, False]


def test_forgetting_empties_windows_and_buckets(limits: RateLimits, settings: Settings) -> None:
    settings.bucket_enforced = True
    spend(limits, 3)
    limits.admit("token")
    limits.reset()
    assert limits.state("organization", 1).remaining == 3
    assert limits.admit("token")


def test_a_full_bucket_refuses_until_it_has_leaked(limits: RateLimits, settings: Settings, clock: Clock) -> None:
    settings.update({"bucket_enforced": True, "bucket_capacity": 2, "bucket_rate": 0.5})
    assert [limits.admit("token") for _ in range(3)] == [True, True, False]
    assert limits.seconds_until_admitted("token") == pytest.approx(2)
    clock.seconds += 1.9
    assert not limits.admit("token")
    clock.seconds += 0.1
    assert limits.admit("token")


def test_a_refused_request_adds_nothing_to_the_bucket(limits: RateLimits, settings: Settings, clock: Clock) -> None:
    settings.bucket_enforced = True
    limits.admit("token")
    for _ in range(50):
        assert not limits.admit("token")
    clock.seconds += 1
    assert limits.admit("token")


def test_each_token_and_address_has_its_bucket(limits: RateLimits, settings: Settings) -> None:
    settings.bucket_enforced = True
    assert limits.admit(("token", "127.0.0.1"))
    assert limits.admit(("token", "127.0.0.2"))
    assert limits.admit(("other", "127.0.0.1"))


def test_a_bucket_that_is_off_or_without_a_rate_admits_all(limits: RateLimits, settings: Settings) -> None:
    assert all(limits.admit("token") for _ in range(10))
    settings.update({"bucket_enforced": True, "bucket_rate": 0})
    assert all(limits.admit("token") for _ in range(10))


@given(gaps=st.lists(st.floats(0, 5), max_size=60), rate=st.floats(0.1, 5), capacity=st.floats(1, 5))
def test_a_bucket_never_admits_more_than_its_size_and_what_leaked(
    gaps: list[float], rate: float, capacity: float
) -> None:
    clock = Clock()
    limits = RateLimits(Settings(bucket_enforced=True, bucket_rate=rate, bucket_capacity=capacity), clock)
    started, admitted = clock.seconds, 0
    for gap in gaps:
        clock.seconds += gap
        admitted += limits.admit("token")
    assert admitted <= capacity + (clock.seconds - started) * rate + 1e-3


@given(gaps=st.lists(st.floats(0, 40), max_size=60), quota=st.integers(1, 5))
def test_no_stretch_of_a_sliding_window_holds_more_than_the_quota(gaps: list[float], quota: int) -> None:
    clock = Clock()
    limits = RateLimits(Settings(quota_window_seconds=60, organization_quota=quota, quota_kind="sliding"), clock)
    admitted = []
    for gap in gaps:
        clock.seconds += gap
        passed, state = limits.charge("organization", 1)
        assert 0 <= state.remaining < quota + 1
        assert state.resets_in_seconds <= math.ceil(60)
        if passed:
            admitted.append(clock.seconds)
    assert all(sum(1 for other in admitted if at <= other < at + 60) <= quota for at in admitted)
