"""Event stores of both engines for tests: a place that can be opened again, also by other processes.

As a program (``python -m support.event_stores``) it appends to one, and prints what ``append`` has returned for.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from airflow_provider_toggl.core.events.model import NewEvent
from airflow_provider_toggl.core.events.postgres.engine import PostgresEventStore
from airflow_provider_toggl.core.events.sqlite.engine import SqliteEventStore
from airflow_provider_toggl.core.events.store import EventStore

RECEIVED = datetime(2026, 3, 2, 8, 0, 0, 123456, tzinfo=timezone.utc)


@dataclass(frozen=True)
class StorePlace:
    """Where a store is.

    :param where: the file, or the DSN.
    :param schema: of PostgreSQL.
    """

    engine: str
    where: str
    schema: str = "toggl_events"

    def build(self, **options: Any) -> EventStore:
        """Return the store as it is."""
        if self.engine == "sqlite":
            return SqliteEventStore(self.where, **options)
        return PostgresEventStore(self.where, schema=self.schema, **options)

    def open(self, **options: Any) -> EventStore:
        """Return the store with its tables."""
        store = self.build(**options)
        store.prepare()
        return store


def new_event(event_id: int = 1, **fields: Any) -> NewEvent:
    """Return an event; what is not given is as usual."""
    usual: dict[str, Any] = {
        "subscription_id": 10713,
        "body": b'{"event_id":%d}' % event_id,
        "received_at": RECEIVED,
        "conn_id": "toggl_default",
    }
    return NewEvent(event_id=event_id, **{**usual, **fields})


@contextmanager
def writing(
    place: StorePlace, *, first: int, count: int, size: int = 32, subscription: int = 1
) -> Iterator[subprocess.Popen[str]]:
    """Yield a process that appends events, ``size`` in each call, and prints the ids and numbers of each call.

    It begins when it is sent a line.
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
        yield process
    finally:
        process.kill()
        process.communicate()


def main(order: dict[str, Any]) -> None:
    """Append what the order says."""
    with StorePlace(order["engine"], order["where"], order["schema"]).open() as store:
        print("ready", flush=True)
        sys.stdin.readline()
        for first in range(order["first"], order["first"] + order["count"], order["size"]):
            ids = range(first, min(first + order["size"], order["first"] + order["count"]))
            events = [new_event(number, subscription_id=order["subscription"], body=b"x" * 700) for number in ids]
            appended = store.append(events)
            print(json.dumps([[number, one.seq] for number, one in zip(ids, appended, strict=True)]), flush=True)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
