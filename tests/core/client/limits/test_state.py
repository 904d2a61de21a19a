from __future__ import annotations

import json
import math
import random
import subprocess
import sys
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_toggl.core.client.limits.leaky_bucket import LONGEST_DEPARTURE, LOOK_EVERY, Pace
from airflow_provider_toggl.core.client.limits.quota import Lane, QuotaReading
from airflow_provider_toggl.core.client.limits.state import (
    LATE_SECONDS,
    LEASE_SECONDS,
    PROBE_SECONDS,
    Permit,
    QuotaSpent,
    RateLimitState,
    Wait,
    hash_token,
)
from airflow_provider_toggl.sandbox.gate import Gate
from airflow_provider_toggl.sandbox.server import start_sandbox
from airflow_provider_toggl.sandbox.settings import Settings

T = 1_780_000_000.0
LANE = "organization:3"
FAST = Pace(1000.0)
SLOW = Pace(1.0)


def ask(
    book: RateLimitState, now: float, *, lane: str = LANE, reserve: int = 0, pace: Pace = FAST, ticket: int = 0
) -> Permit | Wait | QuotaSpent:
    return book.acquire(lane, pace=pace, reserve=reserve, now=now, ticket=ticket)


def take(book: RateLimitState, now: float, **options: object) -> Permit:
    """Take a turn that must be there, and let its request leave."""
    turn = ask(book, now, **options)  # type: ignore[arg-type]
    assert isinstance(turn, Permit)
    book.depart(turn, lambda: now)
    return turn


def spend(book: RateLimitState, now: float, told: QuotaReading | None, *, lane: str = LANE) -> None:
    """Send one request that is answered at once."""
    book.settle(take(book, now, lane=lane), lane, told, now)


@pytest.fixture(params=["one object", "two objects of one file"])
def books(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[RateLimitState, RateLimitState]:
    """Two views of one book."""
    path = tmp_path / "quota.sqlite"
    one = RateLimitState(path, "t")
    return one, one if request.param == "one object" else RateLimitState(path, "t")


def test_what_one_learned_the_other_knows(books: tuple[RateLimitState, RateLimitState]) -> None:
    one, other = books
    spend(one, T, QuotaReading(7, 100.0))
    assert other.lane(LANE, T).remaining == 7


def test_the_turn_of_one_is_not_the_others(books: tuple[RateLimitState, RateLimitState]) -> None:
    one, other = books
    spend(one, T, None)
    waiting = ask(other, T + 0.5, pace=Pace(1.0))
    assert isinstance(waiting, Wait)
    assert isinstance(ask(other, T + 0.5 + waiting.seconds, pace=Pace(1.0), ticket=waiting.ticket), Permit)


def test_a_request_under_way_is_not_spare(books: tuple[RateLimitState, RateLimitState]) -> None:
    one, other = books
    spend(one, T, QuotaReading(2, 100.0))
    take(one, T + 1)
    take(one, T + 2)
    assert isinstance(ask(other, T + 3), QuotaSpent)


def test_a_refusal_says_when_the_lane_resets() -> None:
    book = RateLimitState(None, "t")
    spend(book, T, QuotaReading(0, 100.0))
    refusal = ask(book, T + 1)
    assert isinstance(refusal, QuotaSpent)
    assert T + 100 < refusal.resets_at < T + 102


def test_two_tokens_share_neither_pace_nor_quota(tmp_path: Path) -> None:
    one, other = (RateLimitState(tmp_path / "quota.sqlite", token) for token in "ab")
    spend(one, T, QuotaReading(0, 100.0))
    one.hold_back(60.0, T)
    one.learn_organization(7, 3)
    assert isinstance(ask(other, T), Permit)
    assert other.organizations() == {}


def test_a_token_cannot_be_found_in_the_file(tmp_path: Path) -> None:
    token = "1971800d4d82861d8f2c1651fea4d212"
    book = RateLimitState(tmp_path / "quota.sqlite", hash_token("https://api.track.toggl.com", token))
    spend(book, T, QuotaReading(3, 100.0))
    assert token.encode() not in (tmp_path / "quota.sqlite").read_bytes()


def test_one_token_at_two_addresses_is_two() -> None:
    assert hash_token("https://one", "t") != hash_token("https://other", "t")


def test_a_lease_of_a_process_that_died_expires() -> None:
    book = RateLimitState(None, "t")
    spend(book, T, QuotaReading(1, 3600.0))
    take(book, T + 1)
    assert isinstance(ask(book, T + 2), QuotaSpent)
    assert isinstance(ask(book, T + 3 + LEASE_SECONDS), Permit)


def test_a_process_that_died_before_its_request_left_gives_the_turn_back() -> None:
    book = RateLimitState(None, "t")
    assert isinstance(ask(book, T), Permit)
    assert isinstance(ask(book, T + 5), Wait)
    assert isinstance(ask(book, T + LONGEST_DEPARTURE + 1), Permit)


def test_a_turn_that_was_lost_moves_nothing_when_it_comes_back() -> None:
    book = RateLimitState(None, "t")
    late = ask(book, T)
    assert isinstance(late, Permit)
    take(book, T + 20, pace=Pace(1.0))
    book.depart(late, lambda: T + 20.9)
    book.settle(late, LANE, None, T + 20.9)
    assert isinstance(ask(book, T + 21.6, pace=Pace(1.0)), Permit)


def test_until_the_first_answer_told_something_requests_go_one_by_one() -> None:
    book = RateLimitState(None, "t")
    first = take(book, T)
    assert isinstance(ask(book, T + 1), Wait)
    book.settle(first, LANE, QuotaReading(0, 100.0), T + 2)
    assert isinstance(ask(book, T + 3), QuotaSpent)


def test_when_answers_tell_nothing_requests_do_not_wait_for_each_other() -> None:
    book = RateLimitState(None, "t")
    spend(book, T, None)
    take(book, T + 1)
    assert isinstance(ask(book, T + 2), Permit)


def test_a_first_answer_that_never_comes_is_not_waited_for_for_ever() -> None:
    book = RateLimitState(None, "t")
    take(book, T)
    assert isinstance(ask(book, T + PROBE_SECONDS + 1), Permit)


def test_after_a_reset_one_request_looks_how_large_the_window_is() -> None:
    book = RateLimitState(None, "t")
    spend(book, T, QuotaReading(0, 100.0))
    first = take(book, T + 101)
    assert isinstance(ask(book, T + 102), Wait)
    # A sliding window gave only one back.
    book.settle(first, LANE, QuotaReading(0, 30.0), T + 103)
    assert isinstance(ask(book, T + 104), QuotaSpent)


def test_an_answer_that_another_overtook_does_not_raise_what_is_left() -> None:
    book = RateLimitState(None, "t")
    spend(book, T, QuotaReading(10, 100.0))
    one, other = take(book, T + 1), take(book, T + 2)
    # Toggl counted the first one first, but the second answer came first.
    book.settle(other, LANE, QuotaReading(8, 98.0), T + 3)
    book.settle(one, LANE, QuotaReading(9, 98.0), T + 4)
    assert book.lane(LANE, T + 4).remaining == 8


def test_an_answer_that_none_overtook_may_raise_what_is_left() -> None:
    book = RateLimitState(None, "t")
    spend(book, T, QuotaReading(3, 100.0))
    spend(book, T + 1, QuotaReading(9, 99.0))
    assert book.lane(LANE, T + 1).remaining == 9


def test_a_request_that_nobody_knows_the_end_of_counts() -> None:
    book = RateLimitState(None, "t")
    spend(book, T, QuotaReading(9, 100.0))
    spend(book, T + 1, None)
    assert book.lane(LANE, T + 1).remaining == 8


def test_what_was_asked_for_does_not_raise_what_newer_headers_told() -> None:
    book = RateLimitState(None, "t")
    spend(book, T, QuotaReading(8, 100.0))
    book.set_lane(LANE, Lane(30, 10, T + 101), T + 1)
    assert book.lane(LANE, T + 1) == Lane(30, 8, T + 101)


def test_what_was_asked_for_of_a_new_window_is_believed() -> None:
    book = RateLimitState(None, "t")
    spend(book, T, QuotaReading(8, 100.0))
    book.set_lane(LANE, Lane(30, 30, T + 3700), T + 101)
    assert book.lane(LANE, T + 101).remaining == 30


def test_a_closed_lane_stays_closed_when_a_late_answer_tells_of_more() -> None:
    book = RateLimitState(None, "t")
    spend(book, T, QuotaReading(2, 100.0))
    one, other = take(book, T + 1), take(book, T + 2)
    book.settle(other, LANE, None, T + 3)
    book.close_lane(LANE, 97.0, T + 3)
    book.settle(one, LANE, QuotaReading(1, 97.0), T + 4)
    assert isinstance(ask(book, T + 5), QuotaSpent)


def test_a_workspace_counts_in_its_organization_also_for_who_has_not_heard_of_it() -> None:
    book = RateLimitState(None, "t")
    spend(book, T, QuotaReading(2, 100.0), lane="workspace:7")
    take(book, T + 1, lane="workspace:7")
    book.learn_organization(7, 3)
    take(book, T + 2, lane="organization:3")
    assert isinstance(ask(book, T + 3, lane="workspace:7"), QuotaSpent)
    assert book.lane("workspace:7", T + 3) == book.lane("organization:3", T + 3)


def test_a_clock_that_was_turned_back_closes_nothing() -> None:
    book = RateLimitState(None, "t")
    spend(book, T, QuotaReading(0, 3600.0))
    take(book, T + 4000)
    book.hold_back(60.0, T + 4000)
    assert isinstance(ask(book, T - 86_400), Permit)


def test_a_clock_that_steps_back_a_little_does_not_open_the_bucket() -> None:
    book = RateLimitState(None, "t")
    spend(book, T, None)
    assert isinstance(ask(book, T - 0.5, pace=Pace(1.0)), Wait)


def test_a_session_that_was_told_to_wait_holds_all_back(books: tuple[RateLimitState, RateLimitState]) -> None:
    one, other = books
    spend(one, T, None)
    one.hold_back(60.0, T)
    waiting = ask(other, T + 10)
    assert isinstance(waiting, Wait)
    assert waiting.seconds == pytest.approx(50.0)


def wait(book: RateLimitState, now: float, **options: object) -> Wait:
    """Ask for a turn that must not be there yet."""
    waiting = ask(book, now, pace=SLOW, **options)  # type: ignore[arg-type]
    assert isinstance(waiting, Wait)
    return waiting


def test_who_came_first_goes_first() -> None:
    book = RateLimitState(None, "t")
    spend(book, T, None)
    one, other = wait(book, T + 0.1), wait(book, T + 0.2)
    # Both and a newcomer ask at the moment when there is room.
    now = T + 0.1 + one.seconds
    wait(book, now)
    wait(book, now, ticket=other.ticket)
    assert isinstance(ask(book, now, pace=SLOW, ticket=one.ticket), Permit)


def test_the_further_back_in_the_line_the_longer_is_the_sleep() -> None:
    book = RateLimitState(None, "t")
    spend(book, T, None)
    sleeps = [wait(book, T).seconds for _ in range(5)]
    assert sleeps[1] - sleeps[0] == pytest.approx(LOOK_EVERY)
    assert [b - a for a, b in pairwise(sleeps[1:])] == pytest.approx([SLOW.interval] * 3)


def test_when_the_first_in_line_oversleeps_the_second_goes_and_the_first_is_next() -> None:
    book = RateLimitState(None, "t")
    spend(book, T, None)
    one, other, third = wait(book, T), wait(book, T), wait(book, T)
    now = T + other.seconds + 0.001
    assert isinstance(ask(book, now, pace=SLOW, ticket=other.ticket), Permit)
    again = wait(book, now + 0.1, ticket=one.ticket)
    assert again.ticket == one.ticket
    assert again.seconds < third.seconds


def test_a_turn_that_nobody_is_awake_for_is_taken_by_who_asks() -> None:
    book = RateLimitState(None, "t")
    spend(book, T, None)
    first = wait(book, T)
    wait(book, T)
    # Both in the line died.
    assert isinstance(ask(book, T + first.seconds + 0.1, pace=SLOW), Permit)


def test_who_died_in_the_line_makes_others_wait_no_longer() -> None:
    book = RateLimitState(None, "t")
    spend(book, T, None)
    first = wait(book, T)
    later = T + first.seconds + LATE_SECONDS + 0.1
    spend(book, later, None)
    assert wait(book, later).seconds == pytest.approx(SLOW.interval, abs=0.01)


def test_who_is_refused_for_quota_leaves_the_line() -> None:
    book = RateLimitState(None, "t")
    spend(book, T, QuotaReading(1, 100.0))
    one = wait(book, T)
    book.close_lane(LANE, 100.0, T)
    assert isinstance(ask(book, T + one.seconds, pace=SLOW, ticket=one.ticket), QuotaSpent)
    assert isinstance(ask(book, T + one.seconds, lane="user", pace=SLOW), Permit)


def test_a_line_from_before_the_clock_was_turned_back_holds_nobody_up() -> None:
    book = RateLimitState(None, "t")
    spend(book, T, None)
    ask(book, T, pace=Pace(0.01))
    assert isinstance(ask(book, T - 86_400), Permit)


@dataclass
class Client:
    """One process: it asks for a turn, Toggl counts its request, and the answer comes back, with time between."""

    turn: Permit | None = None
    told: QuotaReading | None = None
    since: float = 0.0
    ticket: int = 0


class Host:
    """Some clients of one book, and a Toggl that counts strictly."""

    def __init__(self, kind: str, total: int, clients: int) -> None:
        self.now = T
        self.settings = Settings(organization_quota=total, quota_window_seconds=5)
        self.settings.update({"quota_kind": kind})
        self.gate = Gate(self.settings, lambda: self.now)
        self.book = RateLimitState(None, "t")
        self.clients = [Client() for _ in range(clients)]
        self.counted = 0

    def step(self, number: int, seconds: float) -> None:
        """Let time pass, and one client do what comes next for it."""
        self.now += seconds
        for client in self.clients:
            # Nobody can know of more: what was sent before is answered while it is waited for.
            if client.turn and self.now - client.since > PROBE_SECONDS / 2:
                self.advance(client)
                self.advance(client)
        self.advance(self.clients[number])

    def advance(self, client: Client) -> None:
        if client.turn is None:
            turn = self.book.acquire(LANE, pace=FAST, reserve=0, now=self.now, ticket=client.ticket)
            client.ticket = turn.ticket if isinstance(turn, Wait) else 0
            if isinstance(turn, Permit):
                self.book.depart(turn, lambda: self.now)
                client.turn, client.told, client.since = turn, None, self.now
        elif client.told is None:
            admitted, state = self.gate.charge("organization", 3)
            assert admitted
            self.counted += 1
            client.told = QuotaReading(state.remaining, float(state.resets_in_seconds))
        else:
            self.book.settle(client.turn, LANE, client.told, self.now)
            client.turn = None


@given(
    kind=st.sampled_from(["fixed", "sliding"]),
    total=st.integers(1, 12),
    steps=st.lists(st.tuples(st.integers(0, 7), st.sampled_from([0.002, 0.002, 0.02, 0.3, 1.1, 6.0])), max_size=150),
)
def test_whatever_overtakes_what_no_request_is_granted_that_toggl_would_refuse(
    kind: str, total: int, steps: list[tuple[int, float]]
) -> None:
    host = Host(kind, total, 8)
    for number, seconds in steps:
        host.step(number, seconds)


@pytest.mark.parametrize("kind", ["fixed", "sliding"])
def test_in_the_long_run_the_windows_are_used_up(kind: str) -> None:
    host, rng = Host(kind, 10, 8), random.Random(5)
    while host.now < T + 500:
        host.step(rng.randrange(8), rng.uniform(0.001, 0.1))
    # A window of 5 s is told in whole seconds, and half a second is waited after it.
    assert host.counted > 10 * (500 / 6.5) * 0.7


CHILD = """
import json, sys, time
from pathlib import Path
from airflow_provider_toggl.core.client.limits.state import HostBook, Turn
from airflow_provider_toggl.core.client.limits.leaky_bucket import Pace
path, rate, count = Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
book, left, ticket = HostBook(path, "t"), [], 0
while len(left) < count:
    turn = book.ask_turn("user", pace=Pace(rate), reserve=0, now=time.time(), ticket=ticket)
    if not isinstance(turn, Turn):
        ticket = turn.ticket
        time.sleep(turn.seconds)
        continue
    ticket = 0
    book.depart(turn, lambda: left.append(time.time()) or left[-1])
    book.settle(turn, "user", None, time.time())
print(json.dumps(left))
"""


def run_together(programs: list[list[str]]) -> list[object]:
    """Run Python programs at once, and return what each printed as JSON."""
    started = [subprocess.Popen([sys.executable, *program], stdout=subprocess.PIPE) for program in programs]
    try:
        return [json.loads(process.communicate(timeout=120)[0]) for process in started]
    finally:
        for process in started:
            process.kill()
            process.wait()


def test_processes_leave_a_whole_interval_apart(tmp_path: Path) -> None:
    program = ["-c", CHILD, str(tmp_path / "quota.sqlite"), "20", "8"]
    lists = run_together([program] * 4)
    times = sorted(moment for moments in lists for moment in moments)  # type: ignore[attr-defined]
    assert len(times) == 32
    assert min(b - a for a, b in pairwise(times)) > 1 / 20


SPENDER = """
import json, sys, time
from pathlib import Path
from airflow_provider_toggl.core.client.limits.state import HostBook, token_digest
from airflow_provider_toggl.core.client.limits.leaky_bucket import Pace
from airflow_provider_toggl.core.client.session import TogglSession
from airflow_provider_toggl.core.client.transport import RequestsTransport
from airflow_provider_toggl.core.errors import QuotaExhausted
url, token, workspace, path, seconds = sys.argv[1:]
session = TogglSession(
    RequestsTransport(url, token), HostBook(Path(path), token_digest(url, token)), pace=Pace(200), reserve=0
)
end, answered = time.time() + float(seconds), 0
while time.time() < end:
    try:
        session.request("GET", f"/api/v9/workspaces/{workspace}/tags")
        answered += 1
    except QuotaExhausted as error:
        assert error.known_before
        time.sleep(max(0.0, error.resets_at.timestamp() - time.time()))
print(json.dumps(answered))
"""


@pytest.mark.parametrize("kind", ["fixed", "sliding"])
def test_eight_processes_at_once_spend_a_quota_and_not_one_request_more(kind: str, tmp_path: Path) -> None:
    settings = Settings(organization_quota=25, quota_window_seconds=2)
    settings.update({"quota_kind": kind})
    with start_sandbox(settings=settings, seed=3, entries=50) as sandbox:
        arguments = [sandbox.url, sandbox.token, str(sandbox.workspace_id), str(tmp_path / "quota.sqlite"), "4"]
        answered = run_together([["-c", SPENDER, *arguments]] * 8)
        seen = sandbox.requests()["by_status"]
    assert set(seen) == {"200"}
    assert sum(map(int, answered)) == seen["200"] > 25  # type: ignore[call-overload]


def test_a_reset_is_told_in_whole_seconds_and_asked_for_after_it() -> None:
    book = RateLimitState(None, "t")
    spend(book, T, QuotaReading(0, math.ceil(99.2)))
    assert isinstance(ask(book, T + 100.2), QuotaSpent)
    assert isinstance(ask(book, T + 100.6), Permit)
