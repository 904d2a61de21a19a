"""Event stores of both engines, which other processes can open too, and stores with very many events.

As a program (``python -m support.event_stores``) it appends events and prints the ids of each finished append.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
import threading
import zlib
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import IO, Any

import psycopg
from support.deliveries import event_body

from airflow_provider_toggl.core.events.model import NewEvent
from airflow_provider_toggl.core.events.postgres.engine import PostgresEventStore
from airflow_provider_toggl.core.events.rows import to_microseconds
from airflow_provider_toggl.core.events.sqlite.engine import SqliteEventStore
from airflow_provider_toggl.core.events.store import EventStore

RECEIVED = datetime(2026, 3, 2, 8, 0, 0, 123456, tzinfo=timezone.utc)


@dataclass(frozen=True)
class StoreLocation:
    """Where a store is.

    :param where: the file or the DSN.
    :param schema: for PostgreSQL.
    """

    engine: str
    where: str
    schema: str = "toggl_events"

    def build(self, **options: Any) -> EventStore:
        """Return the store without creating its tables."""
        if self.engine == "sqlite":
            return SqliteEventStore(self.where, **options)
        return PostgresEventStore(self.where, schema=self.schema, **options)

    def open(self, **options: Any) -> EventStore:
        """Return the store with its tables."""
        store = self.build(**options)
        store.prepare()
        return store


def open_sqlite(path: Path) -> SqliteEventStore:
    """Return a store in a file, with its tables."""
    store = SqliteEventStore(path)
    store.prepare()
    return store


def new_event(event_id: int = 1, **fields: Any) -> NewEvent:
    """Return an event; other fields have usual values."""
    usual: dict[str, Any] = {
        "subscription_id": 10713,
        "body": b'{"event_id":%d}' % event_id,
        "received_at": RECEIVED,
        "conn_id": "toggl_default",
    }
    return NewEvent(event_id=event_id, **{**usual, **fields})


class _WatchedEvent(threading.Event):
    """Notes that a wait has looked whether its store was closed."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = threading.Event()

    def is_set(self) -> bool:
        self.seen.set()
        return super().is_set()

    def wait(self, timeout: float | None = None) -> bool:
        self.seen.set()
        return super().wait(timeout)


@contextmanager
def waiting_in_thread(store: EventStore, after: int, timeout: float = 30) -> Iterator[Future[bool]]:
    """Yield the result of a ``wait`` in a thread, once it has found no event and waits for one."""
    closing = store.engine._closing = _WatchedEvent()  # type: ignore[attr-defined]
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(store.wait, after, timeout)
        assert closing.seen.wait(30)
        yield waiting


@contextmanager
def writing(
    place: StoreLocation, *, first: int, count: int, size: int = 32, subscription: int = 1
) -> Iterator[subprocess.Popen[str]]:
    """Yield a process that is ready to append events, ``size`` in each call, and prints ids and numbers of each call.

    ``begin_writing`` lets it begin.
    """
    order = {**asdict(place), "first": first, "count": count, "size": size, "subscription": subscription}
    tests = str(Path(__file__).parents[1])
    command = [sys.executable, "-m", "support.event_stores", json.dumps(order)]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([tests, *sys.path])},
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def begin_writing(process: subprocess.Popen[str]) -> IO[str]:
    """Let a process begin, and return its output."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    return process.stdout


def main(order: dict[str, Any]) -> None:
    """Append events."""
    with StoreLocation(order["engine"], order["where"], order["schema"]).open() as store:
        print("ready", flush=True)
        sys.stdin.readline()
        for first in range(order["first"], order["first"] + order["count"], order["size"]):
            ids = range(first, min(first + order["size"], order["first"] + order["count"]))
            events = [new_event(number, subscription_id=order["subscription"], body=b"x" * 700) for number in ids]
            appended = store.append(events)
            print(json.dumps([[number, one.seq] for number, one in zip(ids, appended, strict=True)]), flush=True)


FIRST_EVENT = 8_000_000_000_000_000
FIRST_ENTITY = 3_000_000_000

ENTITIES = ("time_entry", "project", "tag", "client")

# 90 of 100 rows are time entries; three quarters of these are updates.
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
    """Return the body that all events of an entity share.

    :param padding: the length of a description in it.
    """
    metadata = {"action": "updated", "model": entity, "workspace_id": "7000001"}
    payload = {"id": FIRST_ENTITY, "workspace_id": 7000001, "name": f"a {entity}"}
    if padding:
        payload["description"] = "x" * padding
    return event_body(FIRST_EVENT, metadata=metadata, payload=payload)


def fill_store(path: Path, count: int, *, last: datetime, padding: int = 0) -> None:
    """Fill a new SQLite store; the engine generates the events, because appending them would take minutes.

    :param last: when the last event was received; the others came in intervals of 0.8 s before it.
    :param padding: as for ``body_of``.
    """
    with SqliteEventStore(path) as store:
        store.prepare()
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("pragma synchronous = off")
        db.execute("create temp table kinds (entity text primary key, crc integer, body blob)")
        db.executemany("insert into kinds values (?, ?, ?)", _kinds(padding))
        db.execute(_INSERT_SQLITE, _values(count, last))
        db.execute("pragma wal_checkpoint(truncate)")


def fill_postgres_store(
    dsn: str, count: int, *, last: datetime, padding: int = 0, schema: str = "toggl_events"
) -> None:
    """Fill a new PostgreSQL store with the same events; parameters as for ``fill_store``."""
    with PostgresEventStore(dsn, schema=schema) as store:
        store.prepare()
    with psycopg.connect(dsn, autocommit=True) as db:
        db.execute(f"set search_path = {schema}")
        db.execute("create temp table kinds (entity text primary key, crc bigint, body bytea)")
        db.cursor().executemany("insert into kinds values (%s, %s, %s)", _kinds(padding))
        insert = re.sub(r":(\w+)", r"%(\1)s::bigint", _INSERT_POSTGRES.replace("%", "%%")).replace(
            "%(conn_id)s::bigint", "%(conn_id)s"
        )
        db.execute(insert, _values(count, last))
        db.execute("update counter set last_seq = %s", (count,))
        # As autovacuum does if events arrive over days.
        db.execute("vacuum analyze events")


def _kinds(padding: int) -> list[tuple[str, int, bytes]]:
    bodies = {entity: body_of(entity, padding) for entity in ENTITIES}
    return [(entity, zlib.crc32(body), body) for entity, body in bodies.items()]


def _values(count: int, last: datetime) -> dict[str, Any]:
    return {
        "count": count,
        "event": FIRST_EVENT,
        "entity": FIRST_ENTITY,
        "conn_id": "toggl_default",
        "last": to_microseconds(last),
        "step": timedelta(seconds=0.8) // timedelta(microseconds=1),
    }


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
