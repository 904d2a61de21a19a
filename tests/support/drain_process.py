"""One drain in a process of its own, in small batches; it prints its progress, so that a test can kill it."""

from __future__ import annotations

import sys
from pathlib import Path

from airflow_provider_toggl.core.events.sqlite.engine import SqliteEventStore
from airflow_provider_toggl.core.load.engines.duckdb.engine import DuckdbEngine
from airflow_provider_toggl.core.load.warehouse import Warehouse
from airflow_provider_toggl.core.sync import drain


class _PrintingWarehouse(Warehouse):
    """A warehouse that prints each load."""

    def load(self, batches, progress=None, sweep=None, **options):  # type: ignore[no-untyped-def]
        print(f"loads {progress.cursor}", flush=True)
        result = super().load(batches, progress, sweep, **options)
        print(f"loaded {progress.cursor}", flush=True)
        return result


def main(store_path: str, warehouse: str) -> None:
    """Drain a store into a warehouse."""
    drain.BATCH_EVENTS, drain.CHUNK = 60, 30
    # The file is released after each batch, as if others waited for it.
    engine = DuckdbEngine(Path(warehouse), hold_seconds=0)
    with SqliteEventStore(Path(store_path)) as store, _PrintingWarehouse(engine) as target:
        print(drain.Drain(store, target, drain.DrainRequest("default", "test")).run(), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
