"""A worker that drains is killed, again and again, wherever it is; what others find then is whole."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.drains import content, drain_all, fill
from support.event_stores import open_sqlite

from airflow_provider_toggl.core.load.engines.duckdb.engine import build_duckdb_warehouse
from airflow_provider_toggl.core.sync.drain import Drain, DrainRequest

TESTS = Path(__file__).parents[1]
REQUEST = DrainRequest("default", "test")
#: One line before each batch and one after.
BATCH = 60


def drain_and_die(store: Path, warehouse: Path, lines: int, delay: float) -> int:
    """Drain in another process and kill it some time after so many of its lines; return how many came."""
    environment = {**os.environ, "PYTHONPATH": str(TESTS)}
    command = [sys.executable, "-m", "support.drain_process", str(store), str(warehouse)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=TESTS.parent) as process:
        assert process.stdout is not None
        seen = 0
        for _ in range(lines):
            if not process.stdout.readline():
                break
            seen += 1
        # Not a wait for anything: it lets the kill fall anywhere.
        time.sleep(delay)
        process.kill()
    return seen


def kill_many(tmp_path: Path, kills: int, seed: int) -> None:
    rng = random.Random(seed)
    path, warehouse = tmp_path / "events.sqlite", tmp_path / "warehouse.duckdb"
    with open_sqlite(path) as store:
        last = fill(store, kills * 5 * BATCH, rng)
        for _ in range(kills):
            assert drain_and_die(path, warehouse, rng.randrange(1, 6), rng.random() * 0.03)
        with build_duckdb_warehouse(warehouse) as target:
            summary = Drain(store, target, REQUEST).run()
        assert (summary.last_seq, summary.restarted) == (last, False)
        assert 0 < summary.events < last, "the kills left nothing, or had done nothing"
        drain_all(store, tmp_path / "undisturbed.duckdb", REQUEST)
        assert content(warehouse) == content(tmp_path / "undisturbed.duckdb")
        consumer = store.find_consumer("test")
        assert consumer is not None
        assert consumer.seq == last


def test_a_killed_drain_loses_nothing_and_doubles_nothing(tmp_path: Path) -> None:
    kill_many(tmp_path, 3, 1)


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_twenty_killed_drains_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    kill_many(tmp_path, 20, 2)
