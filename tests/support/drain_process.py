"""One drain in a process of its own, in small batches, that says after each how far it is; to be killed."""

from __future__ import annotations

import sys
from pathlib import Path

from airflow_provider_toggl.core.events.sqlite.engine import SqliteEventStore
from airflow_provider_toggl.core.load.duckdb_target import DuckdbTarget
from airflow_provider_toggl.core.sync import drain


class _TellingTarget(DuckdbTarget):
    """A warehouse that says what it was given."""

    def land(self, batches, progress=None, sweep=None, **options):  # type: ignore[no-untyped-def]
        print(f"lands {progress.cursor}", flush=True)
        landed = super().land(batches, progress, sweep, **options)
        print(f"landed {progress.cursor}", flush=True)
        return landed


def main(store_path: str, warehouse: str) -> None:
    """Drain a store into a warehouse."""
    drain.BATCH_EVENTS, drain.CHUNK = 60, 30
    # The file is let go of after each batch, as when others wait for it.
    with SqliteEventStore(Path(store_path)) as store, _TellingTarget(Path(warehouse), hold_seconds=0) as target:
        print(drain.Drain(store, target, drain.DrainRequest("default", "test")).run(), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
