"""The event store in a PostgreSQL schema, for several hosts."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Sequence
from typing import Any

from airflow_provider_toggl.core.clock import Clock, SystemClock
from airflow_provider_toggl.core.databases.database import Row
from airflow_provider_toggl.core.databases.postgres_schema import PostgresSchema
from airflow_provider_toggl.core.databases.postgres_server import Connection, PostgresServer
from airflow_provider_toggl.core.events.engine import ERRORS, EventEngine, load_event_migrations, load_event_statements
from airflow_provider_toggl.core.events.model import Appended, StoreFacts
from airflow_provider_toggl.core.events.rows import EVENT_COLUMNS
from airflow_provider_toggl.core.events.store import EventStore

POLL_SECONDS = 1.0
"""Seconds after which a ``wait`` reads the table without a notification."""
_SLICE = 0.25
"""Seconds after which a ``wait`` notices that the store was closed."""


class PostgresEventStore(EventStore):
    """Keeps events in a schema of a PostgreSQL database, flushed to disk before an ``append`` returns.

    Connections are PostgreSQL's own or a pooler's in session mode: settings and LISTEN belong to the session.

    :param dsn: a connection string of libpq.
    :param schema: where the tables are; ``prepare`` creates it.
    :param clock: used for the times of migrations and commits.
    :param connect_timeout: in seconds, at least 2.
    """

    def __init__(
        self, dsn: str, *, schema: str = "toggl_events", clock: Clock | None = None, connect_timeout: float = 5.0
    ) -> None:
        clock = clock or SystemClock()
        self.schema = schema
        super().__init__(PostgresEventEngine(dsn, schema, clock, connect_timeout), clock)

    def __repr__(self) -> str:
        return f"PostgresEventStore(schema={self.schema!r})"


class PostgresEventEngine(PostgresSchema, EventEngine):
    """Appends by a function in the server, and is notified of new events.

    The order of ``seq`` is the order of visibility, with any number of writers. An identity column would not give that:
    its numbers are drawn before others commit, so a lower one may become visible after a higher one was read. Here
    every appending transaction first locks the one row of ``counter`` and draws its numbers from it; PostgreSQL gives
    that lock to the next one only after this one's rows are visible. The counter is part of the transaction, so there
    are no gaps either.

    Notifications are hints: a ``wait`` also polls.
    """

    def __init__(self, dsn: str, schema: str, clock: Clock, connect_timeout: float) -> None:
        super().__init__(
            dsn,
            schema,
            statements=load_event_statements("postgres"),
            migrations=load_event_migrations("postgres"),
            errors=ERRORS,
            clock=clock,
            connect_timeout=connect_timeout,
        )
        self._listening = PostgresServer(dsn, ERRORS, connect_timeout, on_connect=self.statements["listen"])
        self._closing = threading.Event()

    def append(self, rows: Sequence[Row]) -> list[Appended]:
        """Store rows, at least one, in one durable transaction; return where each is."""
        described, start = [], 1
        for *values, body in rows:
            event = dict(zip(EVENT_COLUMNS[:-1], values, strict=True), body_start=start, body_length=len(body))
            described.append(event)
            start += len(body)
        bodies = b"".join(row[-1] for row in rows)
        appended = self.fetch("append_events", events=json.dumps(described), bodies=bodies)
        return [Appended(seq, duplicate) for seq, duplicate in appended]

    def fetch_each(self, statement: str, keys: Sequence[str], **values: Any) -> list[Row]:
        """Return the rows of a statement for some keys."""
        return self.fetch(statement, keys=list(keys), **values)

    def wait(self, after: int, timeout: float) -> bool:
        """Return whether an event with a greater ``seq`` came within so many seconds."""
        deadline = time.monotonic() + timeout
        return self._listening.run(lambda db: self._listen(db, after, deadline))

    def inspect(self, patience: float) -> StoreFacts:
        """Return the settings and the clock of the server, which checks its pages itself."""
        version = self.find_version()
        rows = self.fetch("inspect_server", events_table=f"{self.quoted_schema}.events")
        now, fsync, full_page_writes, is_standby, persistence = rows[0]
        return StoreFacts(
            where=f"PostgreSQL, schema {self.schema!r}",
            version=version,
            risks=tuple(find_risks(fsync, full_page_writes, is_standby=is_standby, persistence=persistence)),
            clock_off=now / 1e6 - self.clock.now(),
        )

    def close(self) -> None:
        """Close the connections, and end a ``wait`` of another thread."""
        self._closing.set()
        super().close()
        self._listening.close()

    def _listen(self, db: Connection, after: int, deadline: float) -> bool:
        while True:
            # After LISTEN, so that no event falls between this and the first notification.
            ((found,),) = self.session(db).fetch("has_after", after=after)
            if found:
                return True
            next_poll = min(time.monotonic() + POLL_SECONDS, deadline)
            while (left := next_poll - time.monotonic()) > 0:
                if self._closing.is_set():
                    return False
                for hint in db.notifies(timeout=min(left, _SLICE), stop_after=1):
                    # Anybody may notify.
                    if hint.payload.isdecimal() and int(hint.payload) > after:
                        return True
            if time.monotonic() >= deadline:
                return False


def find_risks(fsync: str, full_page_writes: str, *, is_standby: bool, persistence: str | None) -> list[str]:
    """Return what could lose acknowledged events, in words.

    :param persistence: of the table of events, as in ``pg_class``.
    """
    risks = []
    if fsync != "on":
        risks.append("fsync is off, so a power cut can lose what was acknowledged")
    if full_page_writes != "on":
        risks.append("full_page_writes is off, so a power cut can break pages")
    if is_standby:
        risks.append("the server is a standby, which takes no writes")
    if persistence == "u":
        risks.append("the table of events is unlogged, so a crash empties it")
    return risks
