"""An event store with very many rows, made by the engine itself: appending them one by one would take minutes."""

from __future__ import annotations

import sqlite3
import zlib
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

from support.deliveries import event_body

from airflow_provider_toggl.core.events.rows import to_microseconds
from airflow_provider_toggl.core.events.sqlite_store import SqliteEventStore

FIRST_EVENT = 8_000_000_000_000_000
FIRST_ENTITY = 3_000_000_000

ENTITIES = ("time_entry", "project", "tag", "client")

# Of a hundred rows, 90 are of time entries; three quarters of those are updates.
_INSERT = """
with recursive n(i) as (select 0 union all select i + 1 from n where i + 1 < :count),
described(i, entity) as (
    select i, case when i % 100 < 90 then 'time_entry' when i % 100 < 96 then 'project' when i % 100 < 99 then 'tag'
        else 'client' end
    from n
)
insert into events (
    event_key, subscription_id, event_id, conn_id, workspace_id, entity, "action", entity_id, created_at, received_at,
    oddity, body_crc32, body
)
select
    '10713/' || (:event + i), '10713', :event + i, :conn_id, 7000001,
    described.entity,
    case i % 4 when 0 then 'created' else case when i % 400 = 399 then 'deleted' else 'updated' end end,
    :entity + i / 3,
    :last - (:count - 1 - i) * :step - 800000, :last - (:count - 1 - i) * :step,
    case when i % 1000 = 500 then 'timestamp 431 s off' end, kinds.crc, kinds.body
from described join kinds on kinds.entity = described.entity
"""


def body_of(entity: str) -> bytes:
    """Return the body that every event of an entity has."""
    metadata = {"action": "updated", "model": entity, "workspace_id": "7000001"}
    payload = {"id": FIRST_ENTITY, "workspace_id": 7000001, "name": f"a {entity}"}
    return event_body(FIRST_EVENT, metadata=metadata, payload=payload)


def fill_store(path: Path, count: int, *, last: datetime, conn_id: str = "toggl_default") -> None:
    """Fill a new store of SQLite.

    :param last: when the last event was received; each other came eight tenths of a second before the next.
    """
    with SqliteEventStore(path) as store:
        store.prepare()
    values = {
        "count": count,
        "event": FIRST_EVENT,
        "entity": FIRST_ENTITY,
        "conn_id": conn_id,
        "last": to_microseconds(last),
        "step": timedelta(seconds=0.8) // timedelta(microseconds=1),
    }
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("pragma synchronous = off")
        db.execute("create temp table kinds (entity text primary key, crc integer, body blob)")
        bodies = {entity: body_of(entity) for entity in ENTITIES}
        kinds = [(entity, zlib.crc32(body), body) for entity, body in bodies.items()]
        db.executemany("insert into kinds values (?, ?, ?)", kinds)
        db.execute(_INSERT, values)
        db.execute("pragma wal_checkpoint(truncate)")
