"""What a drain finds in an event store, and what it leaves in a warehouse."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from support.told_events import body, entry_payload, event

from airflow_provider_toggl.core.events.sqlite.engine import SqliteEventStore
from airflow_provider_toggl.core.load.duckdb_target import DuckdbTarget
from airflow_provider_toggl.core.sync.drain import Drain, DrainRequest


def fill(store: SqliteEventStore, count: int, rng: random.Random) -> int:
    """Append a history of few entries and tags, some deleted, some told wrong; return the last number."""
    events = []
    for number in range(count):
        id_ = rng.randrange(1, 200)
        if rng.random() < 0.02:
            raw = body(payload={"id": id_}, seconds=number)
        elif rng.random() < 0.05:
            raw = body("time_entry", "deleted", {"id": id_}, seconds=number)
        elif rng.random() < 0.2:
            raw = body("tag", "updated", {"id": id_, "name": f"tag {number}"}, seconds=number)
        else:
            raw = body("time_entry", "updated", entry_payload(id_, description=f"change {number}"), seconds=number)
        events.append(event(raw))
    rng.shuffle(events)
    return store.append(events)[-1].seq


def land_undisturbed(store: SqliteEventStore, warehouse: Path, request: DrainRequest) -> None:
    """Land the whole store in one go."""
    with DuckdbTarget(warehouse) as target:
        Drain(store, target, request).run()


def content(warehouse: Path) -> dict[str, Any]:
    """Return everything that must be the same whether or not somebody was killed."""
    queries = {
        "time_entries": "select columns(*)::text from time_entries order by id",
        "tags": "select columns(*)::text from tags order by id",
        "rejected": "select id, raw, reason from rejected_records order by id",
        "cursor": "select cursor from sync_state",
    }
    with DuckdbTarget(warehouse) as target:
        return {name: target.query(sql).to_pylist() for name, sql in queries.items()}
