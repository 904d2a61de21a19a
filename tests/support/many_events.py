"""An event store with very many rows, made by the engine itself: appending them one by one would take minutes."""

from __future__ import annotations

import re
import sqlite3
import zlib
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from support.deliveries import event_body

from airflow_provider_toggl.core.events.postgres.engine import PostgresEventStore
from airflow_provider_toggl.core.events.rows import to_microseconds
from airflow_provider_toggl.core.events.sqlite.engine import SqliteEventStore

FIRST_EVENT = 8_000_000_000_000_000
FIRST_ENTITY = 3_000_000_000

ENTITIES = ("time_entry", "project", "tag", "client")

# Of a hundred rows, 90 are of time entries; three quarters of those are updates.
_ROWS = """
select
    '10713/' || (:event + i), '10713', cast(:event + i as text), :conn_id, 7000001,
    kinds.entity,
    case when i % 4 = 0 then 'created' when i % 400 = 399 then 'deleted' else 'updated' end,
    :entity + i / 3,
    :last - (:count - 1 - i) * :step - 800000, :last - (:count - 1 - i) * :step,
    case when i % 1000 = 500 then 'timestamp 431 s off' end, kinds.crc, kinds.body
from n join kinds on kinds.entity = case when i % 100 < 90 then 'time_entry' when i % 100 < 96 then 'project'
    when i % 100 < 99 then 'tag' else 'client' end
"""
_INSERT_SQLITE = f"""
with recursive n(i) as (select 0 union all select i + 1 from n where i + 1 < :count)
insert into events (
    event_key, subscription_id, event_id, conn_id, workspace_id, entity, "action", entity_id, created_at, received_at,
    oddity, body_crc32, body
) {_ROWS}
"""
_INSERT_POSTGRES = f"""
with n(i) as (select generate_series(0, :count - 1))
insert into events (
    seq, event_key, subscription_id, event_id, conn_id, workspace_id, entity, "action", entity_id, created_at,
    received_at, oddity, body_crc32, body
) {_ROWS.replace("select", "select i + 1,", 1)} order by i
"""


def body_of(entity: str, padding: int = 0) -> bytes:
    """Return the body that every event of an entity has.

    :param padding: bytes of a description in it.
    """
    metadata = {"action": "updated", "model": entity, "workspace_id": "7000001"}
    payload = {"id": FIRST_ENTITY, "workspace_id": 7000001, "name": f"a {entity}"}
    if padding:
        payload["description"] = "x" * padding
    return event_body(FIRST_EVENT, metadata=metadata, payload=payload)


def fill_store(path: Path, count: int, *, last: datetime, conn_id: str = "toggl_default", padding: int = 0) -> None:
    """Fill a new store of SQLite.

    :param last: when the last event was received; each other came eight tenths of a second before the next.
    :param padding: as for ``body_of``.
    """
    with SqliteEventStore(path) as store:
        store.prepare()
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("pragma synchronous = off")
        db.execute("create temp table kinds (entity text primary key, crc integer, body blob)")
        db.executemany("insert into kinds values (?, ?, ?)", _kinds(padding))
        db.execute(_INSERT_SQLITE, _values(count, last, conn_id))
        db.execute("pragma wal_checkpoint(truncate)")


def fill_postgres_store(
    dsn: str,
    count: int,
    *,
    last: datetime,
    conn_id: str = "toggl_default",
    padding: int = 0,
    schema: str = "toggl_events",
) -> None:
    """Fill a new store of PostgreSQL with the same events.

    :param last: as for ``fill_store``; likewise ``padding``.
    """
    with PostgresEventStore(dsn, schema=schema) as store:
        store.prepare()
    with psycopg.connect(dsn, autocommit=True) as db:
        db.execute("select set_config('search_path', %s, false)", (schema,))
        db.execute("create temp table kinds (entity text primary key, crc bigint, body bytea)")
        db.cursor().executemany("insert into kinds values (%s, %s, %s)", _kinds(padding))
        insert = re.sub(r":(\w+)", r"%(\1)s::bigint", _INSERT_POSTGRES.replace("%", "%%")).replace(
            "%(conn_id)s::bigint", "%(conn_id)s"
        )
        db.execute(insert, _values(count, last, conn_id))
        db.execute("update counter set last_seq = %s", (count,))
        # As autovacuum does where events come in the course of days.
        db.execute("vacuum analyze events")


def _kinds(padding: int) -> list[tuple[str, int, bytes]]:
    bodies = {entity: body_of(entity, padding) for entity in ENTITIES}
    return [(entity, zlib.crc32(body), body) for entity, body in bodies.items()]


def _values(count: int, last: datetime, conn_id: str) -> dict[str, Any]:
    return {
        "count": count,
        "event": FIRST_EVENT,
        "entity": FIRST_ENTITY,
        "conn_id": conn_id,
        "last": to_microseconds(last),
        "step": timedelta(seconds=0.8) // timedelta(microseconds=1),
    }
