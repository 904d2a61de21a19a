"""Many processes that wait for permits of one token; the decisions about quota and shares are tested with their files.

The processes are simulated: each asks, sleeps for the time of the answer, sends a request, and gets its response.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections import Counter
from dataclasses import dataclass, field

import pytest

from airflow_provider_toggl.core.client.limits.fair_shares import Claimant
from airflow_provider_toggl.core.client.limits.leaky_bucket import RESPONSE_TIMEOUT, Pace
from airflow_provider_toggl.core.client.limits.token_state import Claim, Permit, PermitRequest, TokenState, Wait

T = 1_780_000_000.0
LANE = "organization:3"


@dataclass
class Fleet:
    """Processes that send one request after the other, as fast as their shared state allows."""

    processes: int
    pace: Pace
    response: float
    wake_late: float = 0.0
    dead: frozenset[int] = frozenset()
    state: TokenState = field(default_factory=TokenState)
    asked: int = 0
    sent: list[tuple[float, int]] = field(default_factory=list)

    def run(self, seconds: float, seed: int = 5) -> None:
        chance, order = random.Random(seed), itertools.count()
        events: list[tuple[float, int, int, Permit | None]] = [
            (T + chance.random() * 0.01, next(order), number, None) for number in range(self.processes)
        ]
        while events:
            now, _, number, permit = heapq.heappop(events)
            if now > T + seconds:
                return
            if permit is not None:
                self.state.release(permit, None, now)
            self.asked += 1
            outcome = self.state.acquire(LANE, PermitRequest(f"process {number}"), pace=self.pace, reserve=0, now=now)
            if isinstance(outcome, Wait):
                if number not in self.dead:
                    late = outcome.seconds + chance.random() * self.wake_late
                    heapq.heappush(events, (now + late, next(order), number, None))
                continue
            assert isinstance(outcome, Permit)
            self.sent.append((now, number))
            if number not in self.dead:
                heapq.heappush(events, (now + self.response, next(order), number, outcome))


@pytest.mark.parametrize("response", [0.02, 0.2, 2.0])
@pytest.mark.parametrize("processes", [2, 10, 100, 300])
def test_waiting_processes_seldom_ask_and_take_turns(processes: int, response: float) -> None:
    fleet = Fleet(processes, Pace(1.0), response, wake_late=0.01)
    fleet.run(3 * processes * (1 + response))
    gaps = [b - a for (a, _), (b, _) in itertools.pairwise(fleet.sent)]
    assert min(gaps) >= 1 + response - 1e-6
    assert len(fleet.sent) >= 0.9 * 3 * processes
    assert fleet.asked - processes <= 5 * len(fleet.sent)
    had = Counter(number for _, number in fleet.sent)
    assert len(had) == processes
    assert max(had.values()) - min(had.values()) <= 1


def test_processes_that_die_while_they_wait_hold_nobody_up() -> None:
    fleet = Fleet(20, Pace(1.0), 0.2, dead=frozenset(range(0, 20, 2)))
    fleet.run(200)
    # One that died with a permit is waited for until its request must have been answered.
    lost = RESPONSE_TIMEOUT * sum(number in fleet.dead for _, number in fleet.sent)
    assert len(fleet.sent) >= (200 - lost) / 1.2 * 0.9 - 10
    assert len({number for _, number in fleet.sent} - fleet.dead) == 10


def test_a_task_that_was_deferred_keeps_its_place() -> None:
    state, pace = TokenState(), Pace(1.0)
    first = state.acquire(LANE, PermitRequest("x"), pace=pace, reserve=0, now=T)
    assert isinstance(first, Permit)
    waits = {}
    for name in ("early", "later", "last"):
        outcome = state.acquire(LANE, PermitRequest("a", Claimant(name)), pace=pace, reserve=0, now=T)
        assert isinstance(outcome, Wait)
        waits[name] = outcome.seconds
    assert waits == {"early": pytest.approx(1.0), "later": pytest.approx(2.2), "last": pytest.approx(3.4)}
    state.release(first, None, T + 0.2)
    # It comes back in another process.
    assert isinstance(
        state.acquire(LANE, PermitRequest("b", Claimant("early")), pace=pace, reserve=0, now=T + 1.3), Permit
    )


def test_a_task_that_withdraws_leaves_the_queue() -> None:
    state, pace = TokenState(), Pace(1.0)
    assert isinstance(state.acquire(LANE, PermitRequest("x"), pace=pace, reserve=0, now=T), Permit)
    state.acquire(LANE, PermitRequest("a", Claimant("gone")), pace=pace, reserve=0, now=T)
    state.withdraw("gone")
    assert state.acquire(LANE, PermitRequest("b"), pace=pace, reserve=0, now=T) == Wait(1.0)


def test_pods_that_have_ended_leave_nothing_behind() -> None:
    state, pace = TokenState(), Pace(1000.0)
    for number in range(200):
        now, scope = T + 600.0 * number, f"pod-{number}"
        permit = state.acquire(
            LANE, PermitRequest(scope, Claimant(scope), scope), pace=pace, reserve=0, now=now, scope=scope
        )
        assert isinstance(permit, Permit)
        state.acquire(LANE, PermitRequest(f"{scope} waits"), pace=pace, reserve=0, now=now, scope=scope)
    assert len(state.queues) == 1
    assert len(state.in_flight) == 1
    assert len(state.claims[LANE]) <= 10
    assert len(state.buckets) == 86_400 / 600 + 1


def test_what_was_taken_counts_until_the_window_ends() -> None:
    claim = Claim(taken=3, counted_until=T + 60)
    assert [claim.taken_at(T + 59.9), claim.taken_at(T + 60)] == [3, 0]
