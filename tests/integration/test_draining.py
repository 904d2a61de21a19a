"""Workers of a real Airflow that are killed while they load events."""

from __future__ import annotations

import functools
import os
import random
import signal
import time
from pathlib import Path

import pytest
from support.airflow_home import AirflowHome
from support.drains import content, drain_all, fill

from airflow_provider_toggl.core.events.sqlite.engine import SqliteEventStore
from airflow_provider_toggl.core.sync.drain import DrainRequest

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(900)]

CONSUMER = "drained"
BATCH = 60


@pytest.mark.newest
@pytest.mark.soak
@pytest.mark.parametrize("kills", [2, 20], ids=["few", "many"])
def test_a_killed_worker_loses_no_event_and_loads_none_twice(airflow: AirflowHome, tmp_path: Path, kills: int) -> None:
    chance = random.Random(kills)
    pids, path, warehouse = tmp_path / "pids", tmp_path / "events.sqlite", tmp_path / "warehouse.duckdb"
    pids.mkdir()
    airflow.set_connection("store", {"conn_type": "sqlite", "host": str(path)})
    airflow.set_connection(
        "toggl_default", {"conn_type": "toggl", "password": "x", "extra": {"event_store_conn_id": "store"}}
    )
    airflow.set_connection("duckdb_default", {"conn_type": "duckdb", "host": str(warehouse)})
    airflow.env["TEST_PIDS"] = str(pids)
    with SqliteEventStore(path) as store:
        store.prepare()
        last = fill(store, (kills * 12 + 20) * BATCH, chance)
        airflow.start()
        run = airflow.trigger("drain_all")
        seen = 0
        for attempt in range(1, kills + 1):
            found = airflow.wait_until(functools.partial(_find, pids, attempt), timeout=240, what=f"try {attempt}")
            wanted = seen + chance.randint(1, 10) * BATCH
            # Looked at often: the worker must not be done before it is killed.
            deadline = time.monotonic() + 120
            while (seen := _position(store)) < wanted:
                assert time.monotonic() < deadline, f"try {attempt} loaded nothing: it is at {seen} of {last}"
                time.sleep(0.005)
            os.kill(int(found.suffix[1:]), signal.SIGKILL)
            seen = _position(store)
        assert seen < last, "the kills left nothing"
        assert airflow.wait_for_run("drain_all", run, timeout=300) == "success"
        (task,) = airflow.task_instances("drain_all", run)
        assert task["try_number"] == kills + 1
        assert _position(store) == last
        drain_all(store, tmp_path / "undisturbed.duckdb", DrainRequest("store", CONSUMER))
        assert content(warehouse) == content(tmp_path / "undisturbed.duckdb")


def _position(store: SqliteEventStore) -> int:
    """Return the offset of the drain in the event store."""
    consumer = store.find_consumer(CONSUMER)
    return consumer.seq if consumer else 0


def _find(pids: Path, attempt: int) -> Path | None:
    """Return the trace of a try of the task, once it runs."""
    return next(pids.glob(f"drain.{attempt}.*"), None)
