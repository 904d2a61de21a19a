from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from support.repository import load_benchmark

pytestmark = pytest.mark.airflow


def test_each_event_ends_its_wait(tmp_path: Path):
    waiting = load_benchmark("waiting")
    milliseconds = asyncio.run(waiting.wait_for_all(str(tmp_path / "events.sqlite"), 5, settle=0.5))
    assert len(milliseconds) == 5
    assert 0 <= min(milliseconds) <= waiting.percentiles(milliseconds)["max"]


def test_waiting_asks_the_same_of_the_store_however_many_wait():
    waiting = load_benchmark("waiting")
    few, many = (asyncio.run(waiting.count_queries(sensors, 1.0, settle=1.0)) for sensors in (1, 40))
    assert 0 < many <= 3 * few
