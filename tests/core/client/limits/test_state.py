from __future__ import annotations

import json
import math
import random
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_toggl.core.client.limits.leaky_bucket import RESPONSE_TIMEOUT, Pace
from airflow_provider_toggl.core.client.limits.quota import Lane, QuotaReading
from airflow_provider_toggl.core.client.limits.state import RateLimitState, hash_token
from airflow_provider_toggl.core.client.limits.store import HOUR, KEPT_HOURS, HourlyUsage
from airflow_provider_toggl.core.client.limits.token_state import LEASE_SECONDS, Permit, QuotaSpent, ShareSpent, Wait
from airflow_provider_toggl.sandbox.rate_limits import RateLimits
from airflow_provider_toggl.sandbox.settings import Settings

T = 1_780_000_000.0
LANE = "organization:3"
FAST = Pace(1000.0)
SLOW = Pace(1.0)


def acquire(
    state: RateLimitState, now: float, *, lane: str = LANE, reserve: int = 0, pace: Pace = FAST
) -> Permit | Wait | QuotaSpent | ShareSpent:
    return state.acquire(lane, pace=pace, reserve=reserve, now=now)


def grant(state: RateLimitState, now: float, *, lane: str = LANE) -> Permit:
    permit = acquire(state, now, lane=lane)
    assert isinstance(permit, Permit)
    return permit


def send(state: RateLimitState, now: float, reading: QuotaReading | None, *, lane: str = LANE) -> None:
    """Send one request that is answered at once."""
    state.release(grant(state, now, lane=lane), reading, now)


@pytest.fixture
def state() -> RateLimitState:
    return RateLimitState(None, "t")


@pytest.fixture(params=["one object", "two objects of one file"])
def states(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[RateLimitState, RateLimitState]:
    """Two views of one state."""
    one = RateLimitState(tmp_path / "quota.sqlite", "t")
    return one, one if request.param == "one object" else RateLimitState(tmp_path / "quota.sqlite", "t")


# -- pace --------------------------------------------------------------------------------------------------------------


def test_no_permit_is_granted_while_a_request_is_in_flight_and_one_interval_after_its_response(
    states: tuple[RateLimitState, RateLimitState],
) -> None:
    one, other = states
    permit = grant(one, T)
    assert acquire(other, T + 2, pace=SLOW) == Wait(1.0)
    one.release(permit, None, T + 2.2)
    waiting = acquire(other, T + 3, pace=SLOW)
    assert isinstance(waiting, Wait)
    assert isinstance(acquire(other, T + 3 + waiting.seconds, pace=SLOW), Permit)


def test_a_rate_limit_holds_back_all_processes(states: tuple[RateLimitState, RateLimitState]) -> None:
    one, other = states
    send(one, T, None)
    one.hold_back(60.0, T)
    waiting = acquire(other, T + 10)
    assert isinstance(waiting, Wait)
    assert waiting.seconds == pytest.approx(50.0)


def test_a_clock_that_was_set_back_closes_nothing(state: RateLimitState) -> None:
    send(state, T, QuotaReading(0, 3600.0))
    grant(state, T + 4000)
    state.hold_back(60.0, T + 4000)
    assert isinstance(acquire(state, T - 86_400), Permit)
    assert state.lane(LANE, T - 86_400) == Lane()


# -- quota -------------------------------------------------------------------------------------------------------------


def test_what_one_process_learned_the_other_knows(states: tuple[RateLimitState, RateLimitState]) -> None:
    one, other = states
    send(one, T, QuotaReading(7, 100.0))
    assert other.lane(LANE, T).remaining == 7


def test_requests_in_flight_are_charged(states: tuple[RateLimitState, RateLimitState]) -> None:
    one, other = states
    send(one, T, QuotaReading(2, 100.0))
    grant(one, T + 1)
    grant(one, T + 40)
    assert isinstance(acquire(other, T + 80), QuotaSpent)


def test_requests_in_flight_of_a_process_that_died_are_forgotten(state: RateLimitState) -> None:
    send(state, T, QuotaReading(1, 3600.0))
    grant(state, T + 1)
    assert isinstance(acquire(state, T + LEASE_SECONDS), QuotaSpent)
    assert isinstance(acquire(state, T + 2 + LEASE_SECONDS), Permit)


def test_a_spent_quota_says_when_it_resets(state: RateLimitState) -> None:
    send(state, T, QuotaReading(0, math.ceil(99.2)))
    refusal = acquire(state, T + 100.2)
    assert refusal == QuotaSpent(T + 100.5)
    assert isinstance(acquire(state, T + 100.6), Permit)


def test_two_tokens_share_neither_pace_nor_quota(tmp_path: Path) -> None:
    one, other = (RateLimitState(tmp_path / "quota.sqlite", token) for token in "ab")
    send(one, T, QuotaReading(0, 100.0))
    one.hold_back(60.0, T)
    one.learn_organization(7, 3, T)
    assert isinstance(acquire(other, T), Permit)
    assert other.organizations(T) == {}
    assert other.taken(LANE, T) == 1
    assert other.lanes(T) == {}


def test_a_token_cannot_be_found_in_the_file(tmp_path: Path) -> None:
    token = "1971800d4d82861d8f2c1651fea4d212"
    state = RateLimitState(tmp_path / "quota.sqlite", hash_token("https://api.track.toggl.com", token))
    send(state, T, QuotaReading(3, 100.0))
    assert token.encode() not in (tmp_path / "quota.sqlite").read_bytes()


def test_one_token_at_two_base_urls_has_two_names() -> None:
    assert hash_token("https://one", "t") != hash_token("https://other", "t")


def test_until_a_response_reports_the_quota_requests_are_sent_one_by_one(state: RateLimitState) -> None:
    first = grant(state, T)
    assert isinstance(acquire(state, T + 1), Wait)
    state.release(first, QuotaReading(0, 100.0), T + 2)
    assert isinstance(acquire(state, T + 3), QuotaSpent)


def test_responses_without_quota_headers_do_not_stop_requests(state: RateLimitState) -> None:
    for second in range(3):
        send(state, T + second, None)
    assert state.lane(LANE, T + 3) == Lane()


@pytest.mark.parametrize(("first", "second", "remaining"), [(8, 9, 8), (9, 8, 8)])
def test_of_two_responses_that_may_be_out_of_order_the_lower_number_counts(
    state: RateLimitState, first: int, second: int, remaining: int
) -> None:
    send(state, T, QuotaReading(10, 100.0))
    one, other = grant(state, T + 1), grant(state, T + 40)
    state.release(other, QuotaReading(first, 60.0), T + 41)
    state.release(one, QuotaReading(second, 59.0), T + 42)
    assert state.lane(LANE, T + 42).remaining == remaining


def test_a_response_in_order_may_raise_what_is_left(state: RateLimitState) -> None:
    send(state, T, QuotaReading(3, 100.0))
    send(state, T + 1, QuotaReading(9, 99.0))
    assert state.lane(LANE, T + 1).remaining == 9


def test_a_request_without_a_response_is_charged(state: RateLimitState) -> None:
    send(state, T, QuotaReading(9, 100.0))
    send(state, T + 1, None)
    assert state.lane(LANE, T + 1).remaining == 8


def test_a_reported_quota_does_not_raise_what_newer_headers_say(state: RateLimitState) -> None:
    send(state, T, QuotaReading(8, 100.0))
    state.record_quota(LANE, Lane(30, 10, T + 101), T + 1)
    assert state.lane(LANE, T + 1) == Lane(30, 8, T + 101)
    state.record_quota(LANE, Lane(30, 30, T + 3700), T + 101)
    assert state.lane(LANE, T + 101).remaining == 30


def test_a_refused_lane_stays_closed_when_a_late_response_reports_more(state: RateLimitState) -> None:
    send(state, T, QuotaReading(2, 100.0))
    one, other = grant(state, T + 1), grant(state, T + 40)
    state.release(other, None, T + 41)
    assert state.record_quota_refusal(LANE, 60.0, T + 41) == T + 101.5
    state.release(one, QuotaReading(1, 59.0), T + 42)
    assert isinstance(acquire(state, T + 43), QuotaSpent)


def test_a_workspace_counts_in_its_organization_once_that_is_known(state: RateLimitState) -> None:
    send(state, T, QuotaReading(2, 100.0), lane="workspace:7")
    grant(state, T + 1, lane="workspace:7")
    state.learn_organization(7, 3, T + 2)
    grant(state, T + 40, lane="organization:3")
    assert isinstance(acquire(state, T + 50, lane="workspace:7"), QuotaSpent)
    assert state.lane("workspace:7", T + 50) == state.lane("organization:3", T + 50)
    assert state.taken("organization:3", T + 50) == 3
    assert state.organizations(T) == {7: 3}
    assert list(state.lanes(T + 50)) == ["organization:3"]


def test_what_an_organization_s_lane_has_already_is_kept_when_a_workspace_joins_it(state: RateLimitState) -> None:
    send(state, T, QuotaReading(5, 100.0), lane="organization:3")
    send(state, T + 1, QuotaReading(9, 99.0), lane="workspace:7")
    state.learn_organization(7, 3, T + 2)
    assert state.lanes(T + 2)["organization:3"].remaining == 5
    assert state.taken("organization:3", T + 2) == 1


def test_all_reported_lanes_are_listed(state: RateLimitState) -> None:
    assert state.lanes(T) == {}
    state.record_quota("user", Lane(30, 7, T + 60), T)
    assert state.lanes(T) == {"user": Lane(30, 7, T + 60)}
    assert state.lanes(T + 61) == {"user": Lane(30, 30)}


# -- hourly usage ------------------------------------------------------------------------------------------------------

NOON = 1_790_000 * 3600.0


def test_requests_are_counted_by_hour_and_lane(tmp_path: Path) -> None:
    state = RateLimitState(tmp_path / "quota.sqlite", "mine")
    send(state, NOON, None, lane="user")
    state.record_quota("user", Lane(30, 29, NOON + HOUR), NOON + 1)
    for seconds in (2, 4):
        send(state, NOON + seconds, None, lane="user")
    send(state, NOON + HOUR + 5, None, lane="organization:1")
    send(RateLimitState(tmp_path / "quota.sqlite", "another"), NOON + 9, None, lane="user")
    later = HourlyUsage("organization:1", int(NOON) + HOUR, 1, None)
    assert state.hourly_usage(NOON) == [later, HourlyUsage("user", int(NOON), 3, 30)]
    assert state.hourly_usage(NOON + HOUR) == [later]


def test_old_hours_are_forgotten(state: RateLimitState) -> None:
    for hour in (0, 1, KEPT_HOURS + 1):
        send(state, NOON + hour * HOUR, None)
    hours = [usage.hour for usage in state.hourly_usage(NOON)]
    assert hours == [int(NOON) + HOUR, int(NOON) + (KEPT_HOURS + 1) * HOUR]


# -- against a strict Toggl --------------------------------------------------------------------------------------------


@dataclass
class Client:
    """One process: it acquires a permit, Toggl counts its request, and the response comes back."""

    permit: Permit | None = None
    reading: QuotaReading | None = None
    since: float = 0.0


class Host:
    """Some clients with one state, and a Toggl that counts strictly."""

    def __init__(self, kind: str, total: int, clients: int) -> None:
        self.now = T
        self.settings = Settings(organization_quota=total, quota_window_seconds=5)
        self.settings.update({"quota_kind": kind})
        self.gate = RateLimits(self.settings, lambda: self.now)
        self.state = RateLimitState(None, "t")
        self.clients = [Client() for _ in range(clients)]
        self.counted = 0

    def step(self, number: int, seconds: float) -> None:
        """Let time pass, and let one client do its next step."""
        self.now += seconds
        for client in self.clients:
            # No request takes longer than its timeout.
            if client.permit and self.now - client.since > RESPONSE_TIMEOUT / 2:
                self.advance(client)
                self.advance(client)
        self.advance(self.clients[number])

    def advance(self, client: Client) -> None:
        if client.permit is None:
            outcome = acquire(self.state, self.now)
            if isinstance(outcome, Permit):
                client.permit, client.reading, client.since = outcome, None, self.now
        elif client.reading is None:
            admitted, state = self.gate.charge("organization", 3)
            assert admitted
            self.counted += 1
            client.reading = QuotaReading(state.remaining, float(state.resets_in_seconds))
        else:
            self.state.release(client.permit, client.reading, self.now)
            client.permit = None


@given(
    kind=st.sampled_from(["fixed", "sliding"]),
    total=st.integers(1, 12),
    steps=st.lists(st.tuples(st.integers(0, 7), st.sampled_from([0.002, 0.02, 0.3, 1.1, 6.0])), max_size=150),
)
def test_no_permit_is_granted_that_toggl_would_refuse(kind: str, total: int, steps: list[tuple[int, float]]) -> None:
    host = Host(kind, total, 8)
    for number, seconds in steps:
        host.step(number, seconds)


@pytest.mark.parametrize("kind", ["fixed", "sliding"])
def test_in_the_long_run_the_windows_are_used_up(kind: str) -> None:
    host, rng = Host(kind, 10, 8), random.Random(5)
    while host.now < T + 500:
        busy = [number for number, client in enumerate(host.clients) if client.permit]
        host.step(rng.choice(busy or range(8)), rng.uniform(0.001, 0.1))
    # A window of 5 s is reported in whole seconds, and half a second is added to it.
    assert host.counted > 10 * (500 / 6.5) * 0.7


CHILD = """
import json, sys, time
from pathlib import Path
from airflow_provider_toggl.core.client.limits.state import RateLimitState
from airflow_provider_toggl.core.client.limits.token_state import Permit
from airflow_provider_toggl.core.client.limits.leaky_bucket import Pace
path, rate, count = Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
state, sent = RateLimitState(path, "t"), []
while len(sent) < count:
    outcome = state.acquire("user", pace=Pace(rate), reserve=0, now=time.time())
    if not isinstance(outcome, Permit):
        time.sleep(outcome.seconds)
        continue
    sent.append(time.time())
    state.release(outcome, None, time.time())
print(json.dumps(sent))
"""


def test_processes_send_at_least_one_interval_apart(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CHILD, str(tmp_path / "quota.sqlite"), "20", "6"]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(3)]
    try:
        times = sorted(moment for child in started for moment in json.loads(child.communicate(timeout=120)[0]))
    finally:
        for child in started:
            with suppress(ProcessLookupError):
                child.kill()
            child.wait()
    assert len(times) == 18
    assert min(b - a for a, b in pairwise(times)) >= 1 / 20
