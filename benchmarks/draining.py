"""How fast stored events become rows of DuckDB: a complete drain, from reading SQLite to merged rows and a new cursor.

Prints one JSON object.
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import sys
import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pyarrow as pa
from harness.event_bodies import make_bodies
from harness.limits import Limit, report

from airflow_provider_toggl.core.events.message import parse_message
from airflow_provider_toggl.core.events.model import NewEvent
from airflow_provider_toggl.core.events.sqlite.engine import SqliteEventStore
from airflow_provider_toggl.core.load.decode.events import decode_events
from airflow_provider_toggl.core.load.engines.duckdb.engine import build_duckdb_warehouse
from airflow_provider_toggl.core.load.warehouse import Warehouse
from airflow_provider_toggl.core.sync.drain import BATCH_EVENTS, Drain, DrainRequest

PER_ENTRY = 3
LEAST_EVENTS_PER_SECOND = 30_000
REQUEST = DrainRequest(store="default", consumer="benchmark")


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=100_000)
    options = parser.parse_args()
    result = measure(options.events)
    drained = result["events_per_second"]["drain"]
    return report(result, [Limit("events per second, drain", drained, at_least=LEAST_EVENTS_PER_SECOND)])


def measure(count: int) -> dict[str, Any]:
    """Fill a store, drain it into a new warehouse, then reset the cursor and drain it into the same warehouse."""
    with tempfile.TemporaryDirectory() as folder:
        store_path, warehouse = Path(folder) / "events.sqlite", Path(folder) / "warehouse.duckdb"
        with SqliteEventStore(store_path) as store:
            store.prepare()
            fill(store, count)
            events = store.read(0, min(count, BATCH_EVENTS))
            decode_events(stored.event for stored in events)
            parts = {
                "read": per_second(count, lambda: read_all(store)),
                "decode": per_second(len(events), lambda: decode_events(stored.event for stored in events)),
            }
            with build_duckdb_warehouse(warehouse) as target:
                target.prepare()
                first = drain(store, target, count)
            with duckdb.connect(str(warehouse)) as connection:
                connection.execute("delete from toggl.sync_state").fetchall()
                rows = connection.execute("select count(*) from toggl.time_entries").fetchall()[0][0]
            with build_duckdb_warehouse(warehouse) as target:
                again = drain(store, target, count)
            with build_duckdb_warehouse(Path(folder) / "history.duckdb") as target:
                target.keep_history(True)
                with_history = drain(store, target, count)
        if rows != -(-count // PER_ENTRY):
            raise SystemExit(f"{rows} rows of {count} events")
        return {
            "benchmark": "draining",
            "cores": os.cpu_count(),
            "events": count,
            "events_an_entry": PER_ENTRY,
            "bytes_an_event": round(store_path.stat().st_size / count),
            "events_a_transaction": BATCH_EVENTS,
            "events_per_second": {
                "drain": first,
                "drain_again_nothing_newer": again,
                "drain_with_history": with_history,
                **parts,
            },
            "peak_megabytes": peak_megabytes(),
            "versions": {
                "python": sys.version.split()[0],
                "sqlite": sqlite3.sqlite_version,
                **{module.__name__: module.__version__ for module in (duckdb, msgspec, pa)},
            },
        }


def fill(store: SqliteEventStore, count: int) -> None:
    """Append events as a receiver does, many per transaction."""
    batch: list[NewEvent] = []
    for body in make_bodies(count, per_entry=PER_ENTRY):
        batch.append(parse_message(body).to_event(body, datetime.now(timezone.utc), "toggl_default"))
        if len(batch) == 5_000:
            store.append(batch)
            batch = []
    if batch:
        store.append(batch)


def drain(store: SqliteEventStore, target: Warehouse, count: int) -> int:
    """Drain everything and return events per second."""
    begin = time.perf_counter()
    summary = Drain(store, target, REQUEST).run()
    if summary.events != count or summary.rejected:
        raise SystemExit(f"Not every event was loaded: {summary}")
    return round(count / (time.perf_counter() - begin))


def read_all(store: SqliteEventStore) -> None:
    """Read the store from its beginning."""
    after = 0
    while found := store.read(after, 500):
        after = found[-1].seq


def per_second(count: int, work: Any) -> int:
    """Run ``work`` and return the rate per second."""
    begin = time.perf_counter()
    work()
    return round(count / (time.perf_counter() - begin))


def peak_megabytes() -> int:
    """Return this process's peak memory."""
    status = Path("/proc/self/status").read_text()
    return round(int(status.split("VmHWM:")[1].split()[0]) / 1024)


if __name__ == "__main__":
    sys.exit(main())
