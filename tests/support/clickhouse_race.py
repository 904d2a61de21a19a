"""Processes that commit the same revisions of one store in ClickHouse.

As a program (``python -m support.clickhouse_race``) it is one of them, and prints how many of its commits were stored.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict

import pyarrow as pa
from support.warehouses import WarehouseLocation, build_clickhouse

from airflow_provider_toggl.core.load.engines.table_store.contract import CommitConflict, TableChange
from airflow_provider_toggl.core.load.engines.table_store.tables import STATE_TABLES


def race(place: WarehouseLocation, *, processes: int, tries: int) -> list[int]:
    """Return how many of its commits were stored for each process.

    :param tries: how often each reads the state and commits.
    """
    order = json.dumps({**asdict(place), "tries": tries})
    command = [sys.executable, "-m", "support.clickhouse_race", order]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    running = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)
        for _ in range(processes)
    ]
    for process in running:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in running:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    return [int(process.communicate(timeout=120)[0]) for process in running]


def main(order: str) -> None:
    """Commit again and again what only this process commits."""
    given = json.loads(order)
    store = build_clickhouse(given["where"], given["schema"])
    store.open()
    print("ready", flush=True)
    sys.stdin.readline()
    won = 0
    for number in range(given["tries"]):
        revision = store.read_state().revision
        none = pa.array([], pa.string())
        row = pa.table({"key": [f"of {os.getpid()}"], "value": [str(number)]})
        try:
            store.commit(revision, [TableChange(STATE_TABLES["settings"], row, none, none)])
        except CommitConflict:
            continue
        won += 1
    print(won)


if __name__ == "__main__":
    main(sys.argv[1])
