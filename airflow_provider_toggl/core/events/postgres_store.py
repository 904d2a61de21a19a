"""The event store in PostgreSQL, for several hosts."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Sequence
from datetime import datetime
from types import TracebackType
from typing import Any

import psycopg
from psycopg import sql

from airflow_provider_toggl.core.clock import Clock, SystemClock, utc
from airflow_provider_toggl.core.databases import postgres
from airflow_provider_toggl.core.errors import DatabaseFault, EventStoreError, EventStoreTooNew
from airflow_provider_toggl.core.events.consumers import check_name, check_place, no_event
from airflow_provider_toggl.core.events.dedupe import number_key
from airflow_provider_toggl.core.events.listing import Delivery, DeliveryFilter, Kind, keep_newest
from airflow_provider_toggl.core.events.postgres_logbook import PostgresLogbook
from airflow_provider_toggl.core.events.postgres_server import Connection, PostgresServer
from airflow_provider_toggl.core.events.queries import load_migrations, load_queries
from airflow_provider_toggl.core.events.rows import (
    COLUMNS,
    consumer_from_row,
    delivery_from_row,
    escape_texts,
    filter_values,
    from_microseconds,
    from_row,
    handshake_from_row,
    kind_from_row,
    kind_range,
    mark_from_row,
    to_any_text,
    to_microseconds,
    to_row,
)
from airflow_provider_toggl.core.events.store import (
    Appended,
    Consumer,
    Handshake,
    Mark,
    NewEvent,
    StoredEvent,
    StoreFacts,
)

LOOK = 1.0
"""Seconds after which a ``wait`` looks into the table without having been notified."""
_SLICE = 0.25
"""Seconds after which it notices that the store was closed."""


class PostgresEventStore:
    """Keeps events in a schema of a PostgreSQL database, flushed to disk before an ``append`` returns.

    The order of ``seq`` is the order of visibility, with any number of writers. An identity column would not give that:
    its numbers are drawn before others commit, so a lower one may become visible after a higher one was read. Here
    every appending transaction first locks the one row of ``counter`` and draws its numbers from it; PostgreSQL gives
    that lock to the next one only after this one's rows are visible. The counter is part of the transaction, so there
    are no gaps either.

    Notifications are hints: a ``wait`` also looks by itself. Connections are PostgreSQL's own or a pooler's in session
    mode: settings and LISTEN belong to the session.

    :param dsn: a connection string of libpq.
    :param schema: where the tables are.
    :param clock: tells when tables and readers changed.
    :param connect_timeout: in seconds, at least 2.
    """

    def __init__(
        self, dsn: str, *, schema: str = "toggl_events", clock: Clock | None = None, connect_timeout: float = 5.0
    ) -> None:
        postgres.check_schema_name(schema)
        self._schema = schema
        self._clock = clock or SystemClock()
        self._sql = {name: self._with_names(text) for name, text in load_queries("postgres").items()}
        self._server = PostgresServer(dsn, connect_timeout)
        self._listening = PostgresServer(dsn, connect_timeout, on_connect=self._sql["listen"])
        self._closing = threading.Event()
        self.logbook = PostgresLogbook(self._server, self._sql, self._clock)

    def __repr__(self) -> str:
        return f"PostgresEventStore(schema={self._schema!r})"

    def prepare(self) -> None:
        """Make or upgrade the tables; costs one query where nothing is to do.

        :raises EventStoreTooNew: a later version of this package made the tables.
        """
        known = len(load_migrations("postgres"))
        version = self._server.run(self._find_version)
        if version > known:
            raise EventStoreTooNew(
                f"The event store in schema {self._schema!r} is of version {version}; this version of "
                f"airflow-provider-toggl knows {known}. Upgrade the package wherever the store is used."
            )
        if version < known:
            self._server.run(self._migrate)

    def append(self, events: Sequence[NewEvent]) -> list[Appended]:
        """Store events in one durable transaction and return, for each, where it is."""
        if not events:
            return []
        rows = [to_row(event) for event in events]
        try:
            return self._append(rows)
        except EventStoreError as error:
            if error.fault is not DatabaseFault.UNENCODABLE:
                raise
            # The body has the true texts; what is beside it is for lists and filters.
            return self._append([to_row(escape_texts(event)) for event in events])

    def _append(self, rows: Sequence[tuple[Any, ...]]) -> list[Appended]:
        described, start = [], 1
        for *values, body in rows:
            described.append(dict(zip(COLUMNS[:-1], values, strict=True), body_start=start, body_length=len(body)))
            start += len(body)
        bodies = b"".join(row[-1] for row in rows)
        return [
            Appended(seq, duplicate) for seq, duplicate in self._fetch("append_events", json.dumps(described), bodies)
        ]

    def read(self, after: int, limit: int = 500) -> list[StoredEvent]:
        """Return events with a greater ``seq``, the lowest first."""
        return [from_row(row) for row in self._fetch("read_events", after, limit)]

    def get(self, seq: int) -> StoredEvent:
        """Return one event.

        :raises EventNotFound: there is none of that number.
        """
        rows = self._fetch("find_event", seq)
        if not rows:
            raise no_event(seq)
        return from_row(rows[0])

    def last_seq(self) -> int:
        """Return the greatest ``seq`` that was ever given, 0 in a new store; retention does not lower it."""
        return int(self._fetch("last_seq")[0][0])

    def count(self) -> int:
        """Return how many events are kept."""
        return int(self._fetch("count_events")[0][0])

    def seq_before(self, moment: datetime) -> int:
        """Return a ``seq`` after which every event is found that was received at or after that moment.

        :param moment: aware.
        """
        return int(self._fetch("seq_before", to_microseconds(moment))[0][0])

    def place_from(self, moment: datetime, among: int) -> int | None:
        """Return the lowest ``seq`` of so many events, the first by time that were received then or later, if any.

        :param moment: aware.
        """
        place = self._fetch("place_from", to_microseconds(moment), among)[0][0]
        return None if place is None else int(place)

    def place_before(self, moment: datetime, among: int) -> int | None:
        """Return the greatest ``seq`` of so many events, the last by time that were received before, if any.

        :param moment: aware.
        """
        place = self._fetch("place_before", to_microseconds(moment), among)[0][0]
        return None if place is None else int(place)

    def first_seq(self) -> int:
        """Return the lowest ``seq`` that is kept, 0 in an empty store."""
        return int(self._fetch("first_seq")[0][0])

    def kinds(self, conn_id: str) -> list[Kind]:
        """Return what deliveries of a connection are about: each entity with each action that there was."""
        rows = self._server.run(lambda db: db.execute(self._sql["list_kinds"], kind_range(conn_id)).fetchall())
        return [kind_from_row(row, conn_id) for row in rows]

    def places(
        self, wanted: DeliveryFilter, kinds: Sequence[Kind], *, before: int, above: int, limit: int
    ) -> list[int]:
        """Return where to look for those that are wanted between two places, by an index, the newest first."""
        values = {**filter_values(wanted), "before": before, "above": above, "limit": limit}
        values["kinds"] = [kind.key for kind in kinds]
        query = (
            "places_of_number" if wanted.number is not None else "places_of_odd" if wanted.odd else "places_of_kinds"
        )
        rows: list[Any] = self._server.run(lambda db: db.execute(self._sql[query], values).fetchall())
        return [seq for (seq,) in rows]

    def deliveries(self, wanted: DeliveryFilter, seqs: Sequence[int]) -> list[Delivery]:
        """Return those of some places that are wanted, the newest first."""
        values = {**filter_values(wanted), "seqs": list(seqs)}
        rows = self._server.run(lambda db: db.execute(self._sql["list_deliveries"], values).fetchall())
        return [delivery_from_row(row) for row in rows]

    def newest(self, conn_id: str) -> dict[str | None, datetime]:
        """Return when the newest event of each entity was received, of a connection."""
        newest: dict[str | None, datetime] = {}
        for entity, received_at in self._fetch("newest_of_kinds", [kind.key for kind in self.kinds(conn_id)]):
            keep_newest(newest, entity, from_microseconds(received_at))
        return newest

    def keep_handshake(self, handshake: Handshake) -> None:
        """Keep a subscription's validation code, over an earlier one."""
        self._execute(
            "keep_handshake",
            number_key(handshake.subscription_id),
            handshake.conn_id,
            to_any_text(handshake.validation_code),
            to_microseconds(handshake.received_at),
        )

    def find_handshake(self, subscription_id: int) -> Handshake | None:
        """Return the last validation PING of a subscription, None where none came."""
        rows = self._fetch("find_handshake", number_key(subscription_id))
        return handshake_from_row(subscription_id, rows[0]) if rows else None

    def keep_mark(self, mark: Mark) -> None:
        """Keep a mark durably, over an earlier one of its name."""
        self._execute("keep_mark", mark.name, mark.value, to_microseconds(mark.made_at))

    def find_mark(self, name: str) -> Mark | None:
        """Return the mark of that name, None where there is none."""
        rows = self._fetch("find_mark", name)
        return mark_from_row(rows[0]) if rows else None

    def inspect(self, patience: float) -> StoreFacts:
        """Look at the store's health; changes nothing.

        :param patience: not needed here: a server looks after its pages itself.
        """
        version = self._server.run(self._find_version)
        table = f"{sql.Identifier(self._schema).as_string(None)}.events"
        now, fsync, full_page_writes, is_standby, persistence = self._fetch("inspect_server", table)[0]
        return StoreFacts(
            where=f"PostgreSQL, schema {self._schema!r}",
            version=version,
            risks=tuple(find_risks(fsync, full_page_writes, is_standby=is_standby, persistence=persistence)),
            clock_off=(now - self._now()) / 1e6,
        )

    def find_consumer(self, name: str) -> Consumer | None:
        """Return how far a named reader is, None where nobody of that name ever committed."""
        check_name(name)
        rows = self._fetch("find_consumer", name)
        return consumer_from_row(rows[0]) if rows else None

    def consumers(self) -> list[Consumer]:
        """Return all named readers, by name."""
        return [consumer_from_row(row) for row in self._fetch("list_consumers")]

    def commit(self, name: str, seq: int) -> Consumer:
        """Move a named reader on to ``seq``, never back, and return where it is then.

        :raises EventNotFound: nothing that far has been stored.
        """
        check_name(name)
        check_place(seq, self.last_seq())
        now = utc(self._clock.now())

        def move(db: Connection) -> Consumer:
            with db.transaction():
                row = db.execute(self._sql["move_consumer"], (name, seq, to_microseconds(now))).fetchone()
                assert row is not None  # noqa: S101 - it returns the row that it has written
                moved = consumer_from_row(row)
                self.logbook.keep_place(db, name, moved.seq, now)
                return moved

        return self._server.run(move)

    def forget_consumer(self, name: str) -> bool:
        """Remove a named reader, so that retention waits for it no longer; return whether there was one."""
        check_name(name)
        return self._execute("remove_consumer", name) > 0

    def prune(self, received_before: datetime, limit: int = 10_000) -> int:
        """Remove events received before that moment that every named reader has read; return how many.

        :param received_before: aware.
        :param limit: the most to remove in one transaction.
        """
        return self._execute("prune_events", to_microseconds(received_before), limit)

    def wait(self, after: int, timeout: float) -> bool:
        """Return True as soon as there is an event with a greater ``seq``, False after so many seconds without one."""
        deadline = time.monotonic() + timeout
        return self._listening.run(lambda db: self._listen(db, after, deadline))

    def close(self) -> None:
        """Close the connections, and end a ``wait`` of another thread."""
        self._closing.set()
        self._server.close()
        self._listening.close()

    def __enter__(self) -> PostgresEventStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _fetch(self, query: str, *values: object) -> list[Any]:
        return self._server.run(lambda db: db.execute(self._sql[query], values).fetchall())

    def _execute(self, query: str, *values: object) -> int:
        return self._server.run(lambda db: db.execute(self._sql[query], values).rowcount)

    def _listen(self, db: Connection, after: int, deadline: float) -> bool:
        while True:
            # After LISTEN, so that nothing falls between this and the first notification.
            (row,) = db.execute(self._sql["has_after"], (after,)).fetchall()
            if row[0]:
                return True
            look_again = min(time.monotonic() + LOOK, deadline)
            while (left := look_again - time.monotonic()) > 0:
                if self._closing.is_set():
                    return False
                for hint in db.notifies(timeout=min(left, _SLICE), stop_after=1):
                    # Anybody may notify.
                    if hint.payload.isdecimal() and int(hint.payload) > after:
                        return True
            if time.monotonic() >= deadline:
                return False

    def _find_version(self, db: Connection) -> int:
        try:
            rows = db.execute(self._sql["find_version"]).fetchall()
        except psycopg.errors.UndefinedTable:
            return 0
        return int(str(rows[0][0])) if rows else 0

    def _migrate(self, db: Connection) -> None:
        quoted = sql.Identifier(self._schema).as_string(None)
        with db.transaction():
            db.execute(self._sql["allow_long_statements"])
            # Another process may be at it too, or have been.
            db.execute(self._sql["lock_for_migration"], (self._schema,))
            (found,) = db.execute(self._sql["find_tables"], (quoted, f"{quoted}.schema_version")).fetchall()
            has_schema, has_tables = found
            if not has_schema:
                db.execute(self._sql["create_schema"])
            version = self._find_version(db) if has_tables else 0
            for number, statements in enumerate(load_migrations("postgres")[version:], start=version + 1):
                for statement in statements:
                    db.execute(self._with_names(statement))
                db.execute(self._sql["insert_version"], (number, self._now()))

    def _with_names(self, text: str) -> sql.Composed:
        name = sql.Identifier(self._schema)
        return sql.SQL(text).format(schema=name, channel=name, channel_text=sql.Literal(self._schema))

    def _now(self) -> int:
        return to_microseconds(utc(self._clock.now()))


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
