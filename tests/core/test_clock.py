from __future__ import annotations

import time
from datetime import datetime, timezone

from airflow_provider_toggl.core.clock import SystemClock, utc


def test_the_system_clock_counts_from_the_epoch() -> None:
    before = time.time()
    assert before <= SystemClock().now() <= time.time()


def test_the_system_clock_waits_at_least_so_long() -> None:
    before = time.monotonic()
    SystemClock().sleep(0.01)
    assert time.monotonic() - before >= 0.009


def test_seconds_become_an_aware_moment_in_utc() -> None:
    assert utc(0.5) == datetime(1970, 1, 1, 0, 0, 0, 500_000, tzinfo=timezone.utc)
    assert utc(0).tzinfo is timezone.utc
