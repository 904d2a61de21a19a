"""How many files an hour of drains every ten seconds leaves in Iceberg tables, before and after their maintenance.

Prints one JSON object. The hour is simulated: the drains follow each other at once, and a clock says that ten seconds
have passed. Each drain opens the warehouse as a task does. Tables are on this machine's disk, their catalog in SQLite.

Then ``maintain`` runs twice with the times that ``TogglIcebergMaintenanceOperator`` has by default: at the end of the
hour, when it only replaces files, and four days later, when what was replaced is old enough to be deleted. Files and
snapshots bear the machine's time, so the second run gets a time that is four days later.

Each drain brings five new entries with their changes, and no later one changes them again. So every drain adds files
and replaces none, which is the worst case for their number. The entries start within 300 days, so they are in eleven
partitions.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from itertools import islice
from pathlib import Path
from typing import Any

from harness.event_bodies import BEGIN, FIRST_EVENT, make_bodies
from harness.limits import Limit, report

from airflow_provider_toggl.core.clock import utc
from airflow_provider_toggl.core.events.message import parse_message
from airflow_provider_toggl.core.events.sqlite.engine import SqliteEventStore
from airflow_provider_toggl.core.load.engines.iceberg.maintenance import maintain
from airflow_provider_toggl.core.load.engines.iceberg.store import IcebergStore
from airflow_provider_toggl.core.load.warehouse import Warehouse
from airflow_provider_toggl.core.sync.drain import Drain, DrainRequest

ROOT = Path(__file__).parents[1]
DRAINS, SECONDS, EVENTS = 360, 10.0, 15
"""An hour of drains, and the events of time entries before each of them, three of each entry."""
DRAINS_PER_TAG = 6
KEEP_SNAPSHOTS, KEEP_ORPHANS = timedelta(hours=24), timedelta(hours=72)
"""What the operator keeps by default."""
LATER = timedelta(days=4)
TABLES = ("time_entries", "tags", "toggl_state")
COMPARED = ("time_entries", "tags", "rejected_records", "sync_state", "changed_days")
QUERY = 'select count(*) as "rows", sum("duration") as "seconds" from "time_entries" where "deleted_at" is null'
READS = 7

MOST_FILES_PER_PARTITION = 1
"""A file has up to 100,000 rows, and no table of this hour has more."""
MOST_OTHER_FILES = 40
"""Beside the data files when all is old: 21 versions of the metadata, and manifests with their lists."""
MOST_OF_READ_TIME = 1.0


@dataclass
class SimulatedClock:
    """A clock that stands still between the steps of its user.

    :param time: seconds since the Unix epoch.
    """

    time: float

    def now(self) -> float:
        """Return the simulated time."""
        return self.time

    def sleep(self, seconds: float) -> None:
        """Let time pass at once."""
        self.time += seconds


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--drains", type=int, default=DRAINS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = measure(Path(folder), options.drains)
    return report(result, limits_of(result))


def limits_of(result: dict[str, Any]) -> list[Limit]:
    """Return the limits of a measurement."""
    after, later = result["after_maintenance"], result["four_days_later"]
    ratio = after["query_cpu_milliseconds"] / result["after_drains"]["query_cpu_milliseconds"]
    return [
        *(
            Limit(
                f"data files per partition after maintenance, {name}",
                round(table["data_files"] / table["partitions"], 2),
                at_most=MOST_FILES_PER_PARTITION,
            )
            for name, table in after["tables"].items()
            if name != "toggl_state"
        ),
        *(
            Limit(
                f"other files four days later, {name}",
                table["files_on_disk"] - table["data_files"],
                at_most=MOST_OTHER_FILES,
            )
            for name, table in later["tables"].items()
        ),
        Limit("tables whose rows are others after maintenance", len(result["tables_that_differ"]), at_most=0),
        Limit("processor time of a query, after maintenance / before", round(ratio, 2), at_most=MOST_OF_READ_TIME),
    ]


def measure(folder: Path, drains: int) -> dict[str, Any]:
    """Drain as often as in an hour, maintain, and return what was there after each step."""
    clock, opener = SimulatedClock(BEGIN.timestamp()), open_warehouses(folder / "tables")
    with SqliteEventStore(folder / "events.sqlite") as store:
        store.prepare()
        started = time.process_time()
        bodies = make_bodies(drains * EVENTS)
        for number in range(drains):
            clock.sleep(SECONDS)
            received = [*islice(bodies, EVENTS), *([tag_body(number)] if number % DRAINS_PER_TAG == 0 else [])]
            store.append([parse_message(body).to_event(body, utc(clock.now()), "toggl_default") for body in received])
            with opener(clock) as target:
                summary = Drain(store, target, DrainRequest("default", "benchmark"), clock=clock).run()
            if summary.events != len(received) or summary.rejected:
                raise SystemExit(f"Not every event was loaded: {summary}")
        seconds = time.process_time() - started
    result: dict[str, Any] = {
        "benchmark": "iceberg_files",
        "cores": os.cpu_count(),
        "drains": drains,
        "seconds_between_drains": SECONDS,
        "events_a_drain": EVENTS,
        "cpu_milliseconds_a_drain": round(seconds / drains * 1000),
        "after_drains": inspect(opener),
    }
    rows = read_rows(opener)
    differing: set[str] = set()
    for name, passed in (("after_maintenance", timedelta()), ("four_days_later", LATER)):
        began = time.process_time()
        with opener(None) as target:
            target.prepare()
            done = maintain(
                store_of(target),
                datetime.now(timezone.utc) + passed,
                keep_snapshots=KEEP_SNAPSHOTS,
                keep_orphans=KEEP_ORPHANS,
            )
        result[name] = {**done.as_dict(), "cpu_seconds": round(time.process_time() - began, 1), **inspect(opener)}
        differing |= {table for table, found in read_rows(opener).items() if not found.equals(rows[table])}
    return {**result, "tables_that_differ": sorted(differing)}


Opener = Callable[[SimulatedClock | None], Warehouse]


def open_warehouses(folder: Path) -> Opener:
    """Return a function that opens the warehouse in a folder anew, as each task does."""
    sys.path.insert(0, str(ROOT / "tests"))
    from support.warehouses import WarehouseLocation  # noqa: PLC0415 - the path is set above

    folder.mkdir()
    place = WarehouseLocation("iceberg", str(folder))
    return lambda clock: place.open(clock=clock)


def store_of(target: Warehouse) -> IcebergStore:
    """Return the store behind a warehouse."""
    store: IcebergStore = target._engine.store  # type: ignore[attr-defined]  # noqa: SLF001 - only maintenance needs it
    return store


def tag_body(number: int) -> bytes:
    """Return the body of an event about one of ten tags."""
    from support.webhook_events import webhook_body  # noqa: PLC0415 - the path is set by then

    tag = {"id": 15_980_000 + number // DRAINS_PER_TAG % 10, "name": f"tag {number}"}
    return webhook_body("tag", "updated", tag, seconds=number * SECONDS, event_id=2 * FIRST_EVENT + number)


def inspect(opener: Opener) -> dict[str, Any]:
    """Return files and snapshots of each table, and the time of a query as ``read_df`` runs it."""
    with opener(None) as target:
        target.prepare()
        tables = {name: inspect_table(store_of(target), name) for name in TABLES}
    return {"tables": tables, "query_cpu_milliseconds": round(statistics.median(time_reads(opener)))}


def inspect_table(store: IcebergStore, name: str) -> dict[str, int]:
    """Return files and snapshots of a table, as every other engine sees them."""
    table = store.load_table(name, again=True)
    files = table.inspect.files()
    partitions = {str(file.file.partition) for file in table.scan().plan_files()}
    folder = Path(table.location().removeprefix("file://"))
    on_disk = [path for path in folder.rglob("*") if path.is_file()]
    return {
        "rows": sum(files["record_count"].to_pylist()),
        "partitions": len(partitions),
        "data_files": files.num_rows,
        "data_bytes": sum(files["file_size_in_bytes"].to_pylist()),
        "snapshots": len(table.metadata.snapshots),
        "files_on_disk": len(on_disk),
        "bytes_on_disk": sum(path.stat().st_size for path in on_disk),
    }


def time_reads(opener: Opener) -> Iterator[float]:
    """Yield the milliseconds of several queries, each in a warehouse that is opened for it.

    The processor's time, because other processes of the machine would change the elapsed time.
    """
    for _ in range(READS):
        began = time.process_time()
        with opener(None) as target:
            target.query(QUERY)
        yield (time.process_time() - began) * 1000


def read_rows(opener: Opener) -> dict[str, Any]:
    """Return all rows of the tables."""
    with opener(None) as target:
        return {name: target.query(f'select * from "{name}" order by all') for name in COMPARED}  # noqa: S608 - names of ours


if __name__ == "__main__":
    sys.exit(main())
