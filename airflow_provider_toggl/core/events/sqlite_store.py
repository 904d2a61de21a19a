"""The event store in a SQLite file, for one host."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType

from airflow_provider_toggl.core.clock import Clock, SystemClock, utc
from airflow_provider_toggl.core.databases.faults import find_sqlite_fault
from airflow_provider_toggl.core.errors import ConfigurationError, DatabaseFault, EventStoreTooNew
from airflow_provider_toggl.core.events.consumers import check_name, check_place, no_event
from airflow_provider_toggl.core.events.dedupe import number_key
from airflow_provider_toggl.core.events.listing import Delivery, DeliveryFilter, Kind, keep_newest
from airflow_provider_toggl.core.events.queries import load_migrations, load_queries
from airflow_provider_toggl.core.events.rows import (
    consumer_from_row,
    delivery_from_row,
    earlier_values,
    filter_values,
    from_intact_rows,
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
from airflow_provider_toggl.core.events.sqlite_append import append_rows
from airflow_provider_toggl.core.events.sqlite_file import SqliteFile
from airflow_provider_toggl.core.events.sqlite_health import inspect_file
from airflow_provider_toggl.core.events.sqlite_logbook import SqliteLogbook, keep_place
from airflow_provider_toggl.core.events.store import (
    Appended,
    Consumer,
    Handshake,
    Mark,
    NewEvent,
    StoredEvent,
    StoreFacts,
)

POLL = 0.01
"""Seconds between two looks of a ``wait``. One costs 10 microseconds and reads no table."""

_SQL = load_queries("sqlite")


class SqliteEventStore:
    """Keeps events in a SQLite file with a write-ahead log, each transaction on disk before it returns.

    SQLite lets one transaction write at a time, and numbers are drawn inside of it: the order of ``seq`` is the order
    of visibility.

    :param path: the file, on a local disk; ``prepare`` makes it.
    :param clock: tells when tables and readers changed.
    :param busy_timeout: seconds to wait while another process writes.
    """

    def __init__(self, path: Path | str, *, clock: Clock | None = None, busy_timeout: float = 5.0) -> None:
        self._file = SqliteFile(Path(path), busy_timeout)
        self._clock = clock or SystemClock()
        self._closing = threading.Event()
        self.logbook = SqliteLogbook(self._file, self._clock)

    def __repr__(self) -> str:
        return f"SqliteEventStore({str(self._file.path)!r})"

    def prepare(self) -> None:
        """Make or upgrade the tables; costs one query where nothing is to do.

        :raises EventStoreTooNew: a later version of this package made the tables.
        :raises ConfigurationError: the file is a database of something else.
        """
        self._file.create()
        migrations = load_migrations("sqlite")
        with self._file.connection() as db:
            version = self._find_version(db)
        if version > len(migrations):
            raise EventStoreTooNew(
                f"The event store {self._file.path} is of version {version}; this version of airflow-provider-toggl "
                f"knows {len(migrations)}. Upgrade the package wherever the store is used."
            )
        if version == len(migrations):
            return
        self._file.ensure_wal()
        with self._file.transaction() as db:
            # Another process may have been first.
            for number, statements in enumerate(migrations[self._find_version(db) :], self._find_version(db) + 1):
                for statement in statements:
                    db.execute(statement)
                db.execute(_SQL["insert_version"], (number, self._now()))

    def append(self, events: Sequence[NewEvent]) -> list[Appended]:
        """Store events in one durable transaction and return, for each, where it is."""
        rows = [to_row(event) for event in events]
        return append_rows(self._file, rows) if rows else []

    def read(self, after: int, limit: int = 500) -> list[StoredEvent]:
        """Return events with a greater ``seq``, the lowest first."""
        with self._file.connection() as db:
            rows = db.execute(_SQL["read_events"], (after, limit)).fetchall()
        return [from_row(row) for row in rows]

    def get(self, seq: int) -> StoredEvent:
        """Return one event.

        :raises EventNotFound: there is none of that number.
        """
        with self._file.connection() as db:
            row = db.execute(_SQL["find_event"], (seq,)).fetchone()
        if row is None:
            raise no_event(seq)
        return from_row(row)

    def read_earlier(self, stored: StoredEvent, limit: int) -> list[StoredEvent]:
        """Return events of the same entity and workspace with a lower ``seq``, the latest by Toggl's clock first.

        :param limit: the most to return.
        """
        if stored.event.entity_id is None:
            return []
        values = earlier_values(stored, limit)
        with self._file.connection() as db:
            return from_intact_rows(db.execute(_SQL["read_earlier"], values).fetchall())

    def last_seq(self) -> int:
        """Return the greatest ``seq`` that was ever given, 0 in a new store; retention does not lower it."""
        with self._file.connection() as db:
            return _number(db, "last_seq")

    def count(self) -> int:
        """Return how many events are kept."""
        with self._file.connection() as db:
            return _number(db, "count_events")

    def seq_before(self, moment: datetime) -> int:
        """Return a ``seq`` after which every event is found that was received at or after that moment.

        :param moment: aware.
        """
        with self._file.connection() as db:
            return _number(db, "seq_before", to_microseconds(moment))

    def place_from(self, moment: datetime, among: int) -> int | None:
        """Return the lowest ``seq`` of so many events, the first by time that were received then or later, if any.

        :param moment: aware.
        """
        with self._file.connection() as db:
            (place,) = db.execute(_SQL["place_from"], (to_microseconds(moment), among)).fetchone()
        return None if place is None else int(place)

    def place_before(self, moment: datetime, among: int) -> int | None:
        """Return the greatest ``seq`` of so many events, the last by time that were received before, if any.

        :param moment: aware.
        """
        with self._file.connection() as db:
            (place,) = db.execute(_SQL["place_before"], (to_microseconds(moment), among)).fetchone()
        return None if place is None else int(place)

    def first_seq(self) -> int:
        """Return the lowest ``seq`` that is kept, 0 in an empty store."""
        with self._file.connection() as db:
            return _number(db, "first_seq")

    def kinds(self, conn_id: str) -> list[Kind]:
        """Return what deliveries of a connection are about: each entity with each action that there was."""
        with self._file.connection() as db:
            rows = db.execute(_SQL["list_kinds"], kind_range(conn_id)).fetchall()
        return [kind_from_row(row, conn_id) for row in rows]

    def places(
        self, wanted: DeliveryFilter, kinds: Sequence[Kind], *, before: int, above: int, limit: int
    ) -> list[int]:
        """Return where to look for those that are wanted between two places, by an index, the newest first."""
        values = {**filter_values(wanted), "before": before, "above": above, "limit": limit}
        if wanted.number is not None:
            asked = [("places_of_event", values), ("places_of_entity", values)]
        elif wanted.odd:
            asked = [("places_of_odd", values)]
        else:
            asked = [("places_of_kind", {**values, "kind": kind.key}) for kind in kinds]
        with self._file.connection() as db:
            found = {seq for query, given in asked for (seq,) in db.execute(_SQL[query], given)}
        return sorted(found, reverse=True)[:limit]

    def deliveries(self, wanted: DeliveryFilter, seqs: Sequence[int]) -> list[Delivery]:
        """Return those of some places that are wanted, the newest first."""
        values = {**filter_values(wanted), "seqs": json.dumps(list(seqs))}
        with self._file.connection() as db:
            return [delivery_from_row(row) for row in db.execute(_SQL["list_deliveries"], values).fetchall()]

    def newest(self, conn_id: str) -> dict[str | None, datetime]:
        """Return when the newest event of each entity was received, of a connection."""
        newest: dict[str | None, datetime] = {}
        kinds = self.kinds(conn_id)
        with self._file.connection() as db:
            for kind in kinds:
                # Retention may just have removed it.
                for entity, received_at in db.execute(_SQL["newest_of_kind"], (kind.key,)).fetchall():
                    keep_newest(newest, entity, from_microseconds(received_at))
        return newest

    def keep_handshake(self, handshake: Handshake) -> None:
        """Keep a subscription's validation code, over an earlier one."""
        row = (
            number_key(handshake.subscription_id),
            handshake.conn_id,
            to_any_text(handshake.validation_code),
            to_microseconds(handshake.received_at),
        )
        with self._file.transaction() as db:
            db.execute(_SQL["keep_handshake"], row)

    def find_handshake(self, subscription_id: int) -> Handshake | None:
        """Return the last validation PING of a subscription, None where none came."""
        with self._file.connection() as db:
            row = db.execute(_SQL["find_handshake"], (number_key(subscription_id),)).fetchone()
        return handshake_from_row(subscription_id, row) if row else None

    def keep_mark(self, mark: Mark) -> None:
        """Keep a mark durably, over an earlier one of its name."""
        with self._file.transaction() as db:
            db.execute(_SQL["keep_mark"], (mark.name, mark.value, to_microseconds(mark.made_at)))

    def find_mark(self, name: str) -> Mark | None:
        """Return the mark of that name, None where there is none."""
        with self._file.connection() as db:
            row = db.execute(_SQL["find_mark"], (name,)).fetchone()
        return mark_from_row(row) if row else None

    def inspect(self, patience: float) -> StoreFacts:
        """Look at the store's health; changes nothing.

        :param patience: seconds after which a check of all pages is left unfinished.
        """
        with self._file.connection() as db:
            return inspect_file(db, self._file.path, self._find_version(db), patience)

    def find_consumer(self, name: str) -> Consumer | None:
        """Return how far a named reader is, None where nobody of that name ever committed."""
        check_name(name)
        with self._file.connection() as db:
            row = db.execute(_SQL["find_consumer"], (name,)).fetchone()
        return consumer_from_row(row) if row else None

    def consumers(self) -> list[Consumer]:
        """Return all named readers, by name."""
        with self._file.connection() as db:
            return [consumer_from_row(row) for row in db.execute(_SQL["list_consumers"]).fetchall()]

    def commit(self, name: str, seq: int) -> Consumer:
        """Move a named reader on to ``seq``, never back, and return where it is then.

        :raises EventNotFound: nothing that far has been stored.
        """
        check_name(name)
        with self._file.transaction() as db:
            check_place(seq, _number(db, "last_seq"))
            now = utc(self._clock.now())
            db.execute(_SQL["move_consumer"], (name, seq, to_microseconds(now)))
            moved = consumer_from_row(db.execute(_SQL["find_consumer"], (name,)).fetchone())
            keep_place(db, name, moved.seq, now)
        return moved

    def forget_consumer(self, name: str) -> bool:
        """Remove a named reader, so that retention waits for it no longer; return whether there was one."""
        check_name(name)
        with self._file.transaction() as db:
            return db.execute(_SQL["remove_consumer"], (name,)).rowcount > 0

    def prune(self, received_before: datetime, limit: int = 10_000) -> int:
        """Remove events received before that moment that every named reader has read; return how many.

        :param received_before: aware.
        :param limit: the most to remove in one transaction.
        """
        with self._file.transaction() as db:
            return db.execute(_SQL["prune_events"], (to_microseconds(received_before), limit)).rowcount

    def wait(self, after: int, timeout: float) -> bool:
        """Return True as soon as there is an event with a greater ``seq``, False after so many seconds without one.

        Looks every ``POLL`` seconds at a counter that SQLite changes with each commit, and at the table only after it
        moved.
        """
        deadline = time.monotonic() + timeout
        seen: int | None = None
        with self._file.connection() as db:
            while True:
                (version,) = db.execute("pragma data_version").fetchone()
                if version != seen:
                    seen = version
                    if _number(db, "has_after", after):
                        return True
                left = deadline - time.monotonic()
                if left <= 0 or self._closing.wait(min(POLL, left)):
                    return False

    def close(self) -> None:
        """Close the file, and end a ``wait`` of another thread."""
        self._closing.set()
        self._file.close()

    def __enter__(self) -> SqliteEventStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _find_version(self, db: sqlite3.Connection) -> int:
        try:
            row = db.execute(_SQL["find_version"]).fetchone()
        except sqlite3.OperationalError as error:
            if find_sqlite_fault(error) is not DatabaseFault.MISSING_OBJECT:
                raise
            if _number(db, "is_of_others"):
                raise ConfigurationError(
                    f"{self._file.path} is a database of something else: give the event store a file of its own."
                ) from None
            return 0
        if row and not row[1]:
            raise ConfigurationError(
                f"{self._file.path} has the tables of a warehouse: give the event store a file of its own."
            )
        return int(row[0]) if row else 0

    def _now(self) -> int:
        return to_microseconds(utc(self._clock.now()))


def _number(db: sqlite3.Connection, query: str, *values: int) -> int:
    (number,) = db.execute(_SQL[query], values).fetchone()
    return int(number)
