"""Event stores to drain, and the content of a warehouse afterwards."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from support.webhook_events import entry_payload, received_event, webhook_body

from airflow_provider_toggl.core.events.sqlite.engine import SqliteEventStore
from airflow_provider_toggl.core.load.engines.duckdb.engine import build_duckdb_warehouse
from airflow_provider_toggl.core.sync.drain import Drain, DrainRequest


def fill(store: SqliteEventStore, count: int, rng: random.Random) -> int:
    """Append events of a few time entries and tags, some deleted, some malformed; return the last number."""
    events = []
    for number in range(count):
        id_ = rng.randrange(1, 200)
        if rng.random() < 0.02:
            raw = webhook_body(payload={"id": id_}, seconds=number)
        elif rng.random() < 0.05:
            raw = webhook_body("time_entry", "deleted", {"id": id_}, seconds=number)
        elif rng.random() < 0.2:
            raw = webhook_body("tag", "updated", {"id": id_, "name": f"tag {number}"}, seconds=number)
        else:
            raw = webhook_body(
                "time_entry", "updated", entry_payload(id_, description=f"change {number}"), seconds=number
            )
        events.append(received_event(raw))
    rng.shuffle(events)
    return store.append(events)[-1].seq


def drain_all(store: SqliteEventStore, warehouse: Path, request: DrainRequest) -> None:
    """Load the whole store at once."""
    with build_duckdb_warehouse(warehouse) as target:
        Drain(store, target, request).run()


def content(warehouse: Path) -> dict[str, Any]:
    """Return everything that must be equal whether or not a drain was killed."""
    queries = {
        "time_entries": "select columns(*)::text from time_entries order by id",
        "tags": "select columns(*)::text from tags order by id",
        "rejected": "select id, raw, reason from rejected_records order by id",
        "cursor": "select cursor from sync_state",
    }
    with build_duckdb_warehouse(warehouse) as target:
        return {name: target.query(sql).to_pylist() for name, sql in queries.items()}
