from __future__ import annotations

import random
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from support.sandboxes import request_times
from support.waiting import wait_until

from airflow_provider_toggl.core.client.limits.fair_shares import (
    ACTIVE_SECONDS,
    RETURN_SECONDS,
    Claimant,
    Rival,
    kept_for_others,
    may_take,
)
from airflow_provider_toggl.core.client.limits.leaky_bucket import Pace
from airflow_provider_toggl.core.client.limits.quota import QuotaReading
from airflow_provider_toggl.core.client.limits.state import RateLimitState
from airflow_provider_toggl.core.client.limits.token_state import Permit, QuotaSpent, ShareSpent, Wait
from airflow_provider_toggl.sandbox.server import start_sandbox
from airflow_provider_toggl.sandbox.settings import Settings

T = 1_780_000_000.0
LANE = "organization:3"
FAST = Pace(1000.0)


def fair_level(demands: list[int], total: int) -> list[int]:
    """Return the max-min fair shares, those of the last ones in line for what cannot be divided."""
    shares = [0] * len(demands)
    for _ in range(total):
        hungry = [place for place, demand in enumerate(demands) if shares[place] < demand]
        if not hungry:
            break
        shares[min(hungry, key=lambda place: shares[place])] += 1
    return shares


@given(
    demands=st.lists(st.integers(1, 60), min_size=1, max_size=6),
    declared=st.booleans(),
    total=st.integers(1, 80),
    seed=st.integers(0, 2**32),
)
def test_shares_are_max_min_fair_and_use_up_the_window_in_any_order_of_asking(
    demands: list[int], declared: bool, total: int, seed: int
) -> None:
    chance = random.Random(seed)
    taken = [0] * len(demands)
    spare = total
    weights = [chance.random() ** 4 + 1e-6 for _ in demands]
    idle = 0
    while spare and any(had < demand for had, demand in zip(taken, demands, strict=True)) and idle < 20_000:
        (place,) = chance.choices(range(len(demands)), weights)
        wanting = [other for other in range(len(demands)) if other != place and taken[other] < demands[other]]
        rivals = [Rival(taken[other], demands[other] - taken[other] if declared else None) for other in wanting]
        if taken[place] < demands[place] and may_take(taken[place], rivals, spare):
            taken[place], spare, idle = taken[place] + 1, spare - 1, 0
        else:
            idle += 1
            # Who is seldom there comes at last.
            weights = [weight + 0.001 for weight in weights]
    assert sum(taken) == min(total, sum(demands))
    fair = fair_level(demands, total)
    assert sorted(taken) == sorted(fair) or max(abs(a - b) for a, b in zip(taken, fair, strict=True)) <= 1


@given(st.lists(st.integers(0, 30), min_size=1, max_size=6), st.integers(1, 30))
def test_the_claimant_with_the_fewest_requests_is_never_held_back(taken: list[int], spare: int) -> None:
    least = min(taken)
    others = sorted(taken)[1:]
    assert may_take(least, [Rival(had) for had in others], spare)


def test_no_more_is_kept_for_a_rival_than_it_wants() -> None:
    assert kept_for_others(9, [Rival(0), Rival(8, wanted=5), Rival(2, wanted=3)]) == 9 + 1 + 3


class Window:
    """A lane of Toggl, and a state that grants permits for it."""

    def __init__(self, total: int, length: float = 3600.0, path: Path | None = None) -> None:
        self.state = RateLimitState(path, "t")
        self.total, self.length = total, length
        self.left, self.resets_at = total, 0.0

    def ask(
        self, name: str | None, now: float, *, wanted: int | None = None, reserve: int = 0
    ) -> Permit | QuotaSpent | ShareSpent:
        claimant = Claimant(name, wanted) if name is not None else None
        outcome: Permit | QuotaSpent | ShareSpent | Wait = Wait(0.0)
        while isinstance(outcome, Wait):
            now += outcome.seconds
            outcome = self.state.acquire(LANE, pace=FAST, reserve=reserve, now=now, claimant=claimant)
        if isinstance(outcome, Permit):
            if now >= self.resets_at:
                self.left, self.resets_at = self.total, now + self.length
            self.left -= 1
            assert self.left >= 0, "the quota was overdrawn"
            reading = QuotaReading(self.left, float(int(self.resets_at - now) + 1))
            self.state.release(outcome, reading, now)
        return outcome


def take_all(window: Window, names: list[str], now: float, *, step: float = 0.01) -> Counter[str]:
    """Let claimants ask in turns until the lane is used up or none gets any more."""
    had: Counter[str] = Counter()
    while True:
        got = 0
        for name in names:
            now += step
            if isinstance(window.ask(name, now), Permit):
                had[name] += 1
                got += 1
        if not got:
            return had


@given(
    total=st.integers(1, 40),
    reserve=st.integers(0, 3),
    names=st.lists(st.sampled_from("abcdef"), min_size=1, unique=True),
    greedy=st.sampled_from("abcdef"),
)
@hypothesis_settings(max_examples=40)
def test_after_a_window_with_all_claimants_each_gets_its_share_of_the_next(
    total: int, reserve: int, names: list[str], greedy: str
) -> None:
    window = Window(total)
    now = T
    wanting = True
    while wanting:
        outcomes = [window.ask(name, now := now + 0.1, reserve=reserve) for name in names]
        wanting = any(not isinstance(outcome, QuotaSpent) for outcome in outcomes)
    # The first to come back after the reset takes what it can at once.
    now, had = window.resets_at + 2, Counter[str]()
    for name in sorted(names, key=lambda name: name != greedy):
        while isinstance(window.ask(name, now := now + 0.01, reserve=reserve), Permit):
            had[name] += 1
    for _ in names:
        for name in names:
            while isinstance(window.ask(name, now := now + 0.01, reserve=reserve), Permit):
                had[name] += 1
    assert sum(had.values()) == total - min(reserve, total - 1)
    shares = [had[name] for name in names]
    assert max(shares) - min(shares) <= 1


def test_a_claimant_that_withdraws_leaves_its_share_to_the_others() -> None:
    window = Window(30)
    for name in ("one", "other"):
        window.ask(name, T)
    window.state.withdraw(Claimant("other"), T)
    assert take_all(window, ["one"], T + 1)["one"] == 28


def test_a_claimant_that_died_leaves_its_share_after_a_time() -> None:
    window = Window(30)
    for name in ("one", "dead"):
        window.ask(name, T)
    assert take_all(window, ["one"], T + 1)["one"] == 14
    assert isinstance(window.ask("one", T + ACTIVE_SECONDS - 1), ShareSpent)
    assert take_all(window, ["one"], T + ACTIVE_SECONDS + 1)["one"] == 14


def test_a_claimant_that_waits_for_the_reset_keeps_its_share_while_its_task_starts_again() -> None:
    window = Window(30)
    take_all(window, ["early", "late"], T)
    reset = window.resets_at + 2
    assert take_all(window, ["early"], reset)["early"] == 15
    assert take_all(window, ["late"], reset + RETURN_SECONDS / 2)["late"] == 15


def test_a_claimant_that_does_not_return_after_the_reset_is_forgotten() -> None:
    window = Window(30)
    take_all(window, ["early", "gone"], T)
    reset = window.resets_at + 2
    assert take_all(window, ["early"], reset)["early"] == 15
    assert take_all(window, ["early"], reset + RETURN_SECONDS + 1)["early"] == 15


def test_no_more_is_kept_for_a_claimant_than_it_wants() -> None:
    window = Window(30)
    window.ask("list", T, wanted=2)
    assert take_all(window, ["entries"], T + 1)["entries"] == 28
    assert isinstance(window.ask("list", T + 2, wanted=1), Permit)


def test_requests_without_a_claimant_do_not_wait_for_shares_and_are_counted() -> None:
    window = Window(10)
    for name in ("one", "other"):
        window.ask(name, T)
    assert take_all(window, ["one"], T + 1)["one"] == 4
    assert isinstance(window.ask(None, T + 2), Permit)
    assert window.state.taken(LANE, T + 2) == 7


def test_a_claimant_that_is_held_back_learns_when_the_others_can_be_done() -> None:
    window = Window(30)
    for name in ("one", "other"):
        window.ask(name, T)
    take_all(window, ["one"], T + 1)
    outcome = window.state.acquire(LANE, pace=Pace(1.0), reserve=0, now=T + 2, claimant=Claimant("one"))
    assert isinstance(outcome, ShareSpent)
    assert outcome.back_at == pytest.approx(T + 2 + 14 * Pace(1.0).interval)
    near = window.resets_at - 3
    window.ask("other", near - 1)
    outcome = window.state.acquire(LANE, pace=Pace(1.0), reserve=0, now=near, claimant=Claimant("one"))
    assert isinstance(outcome, ShareSpent | Permit)
    assert isinstance(outcome, Permit) or outcome.back_at <= window.resets_at + 2


def test_a_clock_that_was_set_back_leaves_no_claim() -> None:
    window = Window(30)
    take_all(window, ["one", "other"], T)
    window.resets_at = 0.0
    assert take_all(window, ["one"], T - 86_400)["one"] == 30


ASKER = """
import sys, time
from pathlib import Path
from airflow_provider_toggl.core.client.limits.state import RateLimitState
from airflow_provider_toggl.core.client.limits.leaky_bucket import Pace
from airflow_provider_toggl.core.client.session import TogglSession
from airflow_provider_toggl.core.client.transport import RequestsTransport
from airflow_provider_toggl.core.errors import QuotaExhausted
url, token, workspace, path, name = sys.argv[1:]
session = TogglSession(RequestsTransport(url, token), RateLimitState(Path(path), "t"), pace=Pace(1000.0))
while True:
    try:
        with session.claiming(name):
            while True:
                session.request("GET", f"/api/v9/workspaces/{workspace}", params={"who": name})
    except QuotaExhausted as stop:
        time.sleep(max(0.0, stop.resets_at.timestamp() - time.time()))
"""
WINDOW_SECONDS = 2.0


def test_processes_share_each_window_equally_and_overdraw_none(tmp_path: Path) -> None:
    settings = Settings()
    settings.update({"quota_window_seconds": WINDOW_SECONDS})
    with start_sandbox(settings=settings, entries=10, plan="free", seed=5) as sandbox:
        arguments = [sandbox.url, sandbox.token, str(sandbox.workspace_id), str(tmp_path / "quota.sqlite")]
        command = [sys.executable, "-c", ASKER, *arguments]
        children = [subprocess.Popen([*command, name]) for name in ("one", "two", "three")]
        wait_until(lambda: len(windows_of(sandbox.requests())) > 2, timeout=60)
        for child in children:
            child.kill()
            child.wait()
        log = sandbox.requests()
    assert log["by_status"].get("402", 0) == 0
    # In the first window the first process did not know of the others, and the last window was interrupted.
    for window in windows_of(log)[1:-1]:
        shares = Counter(call["query"] for call in window)
        assert sum(shares.values()) == 28
        assert len(shares) == 3
        assert max(shares.values()) - min(shares.values()) <= 1


def windows_of(log: dict[str, Any]) -> list[list[dict[str, Any]]]:
    """Return a log's calls by the windows of the quota that they were counted in."""
    windows: list[list[dict[str, Any]]] = []
    begun = 0.0
    for call in sorted(log["calls"], key=lambda call: call["at"]):
        (at,) = request_times([call])
        if at - begun >= WINDOW_SECONDS:
            windows.append([])
            begun = at
        windows[-1].append(call)
    return windows
