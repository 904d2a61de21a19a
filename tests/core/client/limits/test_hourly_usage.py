from __future__ import annotations

from pathlib import Path

from airflow_provider_toggl.core.client.limits.hourly_usage import HOUR, KEPT_HOURS, HourlyUsage
from airflow_provider_toggl.core.client.limits.leaky_bucket import Pace
from airflow_provider_toggl.core.client.limits.quota import Lane
from airflow_provider_toggl.core.client.limits.state import Permit, RateLimitState

NOON = 1_790_000 * 3600.0


def send(book: RateLimitState, lane: str, now: float) -> None:
    turn = book.acquire(lane, pace=Pace(1000.0), reserve=0, now=now)
    assert isinstance(turn, Permit)
    book.settle(turn, lane, None, now)


def test_requests_are_counted_by_the_hour_and_lane_with_what_a_window_gives(tmp_path: Path) -> None:
    book = RateLimitState(tmp_path / "quota.sqlite", "mine")
    other = RateLimitState(tmp_path / "quota.sqlite", "another")
    send(book, "user", NOON)
    book.set_lane("user", Lane(30, 29, NOON + HOUR), NOON + 1)
    for seconds in (2, 4):
        send(book, "user", NOON + seconds)
    send(book, "organization:1", NOON + HOUR + 5)
    send(other, "user", NOON + 9)
    assert book.hourly_usage(NOON) == [
        HourlyUsage("organization:1", int(NOON) + HOUR, 1, None),
        HourlyUsage("user", int(NOON), 3, 30),
    ]
    assert book.hourly_usage(NOON + HOUR) == [HourlyUsage("organization:1", int(NOON) + HOUR, 1, None)]


def test_old_hours_are_forgotten(tmp_path: Path) -> None:
    book = RateLimitState(tmp_path / "quota.sqlite", "mine")
    for hour in (0, 1, KEPT_HOURS + 1):
        send(book, "user", NOON + hour * HOUR)
    assert [tally.hour for tally in book.hourly_usage(NOON)] == [int(NOON) + HOUR, int(NOON) + (KEPT_HOURS + 1) * HOUR]


def test_all_lanes_that_were_told_are_known(tmp_path: Path) -> None:
    book = RateLimitState(tmp_path / "quota.sqlite", "mine")
    assert book.lanes(NOON) == {}
    book.set_lane("user", Lane(30, 7, NOON + 60), NOON)
    assert book.lanes(NOON) == {"user": Lane(30, 7, NOON + 60)}
    assert book.lanes(NOON + 61) == {"user": Lane(30, 30)}
