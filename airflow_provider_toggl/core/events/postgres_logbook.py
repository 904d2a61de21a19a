"""The logbook in PostgreSQL, beside the events."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from psycopg import sql

from airflow_provider_toggl.core.clock import Clock, utc
from airflow_provider_toggl.core.errors import DatabaseFault, EventStoreError
from airflow_provider_toggl.core.events.logbook import (
    EVERY_REFUSAL,
    HOUR,
    KEPT_FOR,
    MINUTE,
    MOST_REFUSALS,
    KeptRefusal,
    Note,
    Received,
    RefusalFilter,
    Refused,
    Sample,
    bucket_of,
    consumer_name,
    end_of,
    received_name,
)
from airflow_provider_toggl.core.events.postgres_server import Connection, PostgresServer
from airflow_provider_toggl.core.events.rows import (
    escape_texts,
    note_from_row,
    refusal_from_row,
    refusal_to_row,
    refusal_values,
    sample_from_row,
    to_microseconds,
)


class PostgresLogbook:
    """Keeps it in the schema of a store, whose ``prepare`` makes the tables.

    :param queries: the store's statements, with its schema in them.
    :param clock: tells when a note was left.
    """

    def __init__(self, server: PostgresServer, queries: Mapping[str, sql.Composed], clock: Clock) -> None:
        self._server = server
        self._sql = queries
        self._clock = clock

    def note(self, name: str, value: Mapping[str, Any]) -> None:
        """Leave a note."""
        self._fetch_none("keep_note", name, json.dumps(dict(value)), to_microseconds(utc(self._clock.now())))

    def notes(self, prefix: str) -> list[Note]:
        """Return the notes whose names begin so, by name."""
        return [note_from_row(row) for row in self._fetch("list_notes", prefix, end_of(prefix))]

    def take_note(self, name: str) -> Note | None:
        """Remove a note and return it; of several who do, one gets it."""
        return next(map(note_from_row, self._fetch("take_note", name)), None)

    def keep_refused(self, refused: Sequence[Refused]) -> None:
        """Keep refusals; of all that are kept the newest stay."""

        def keep(db: Connection, some: Sequence[Refused]) -> None:
            with db.transaction():
                self._keep_refused(db, some)

        self._run_storable(keep, refused)

    def keep_received(self, received: Received) -> None:
        """Keep what a receiver tells: counts by the hour, and the newest refusals."""

        def keep(db: Connection, refused: Sequence[Refused]) -> None:
            with db.transaction():
                # In one order, so that two receivers do not wait for each other.
                for (conn_id, outcome), count in sorted(received.counts.items()):
                    self._keep(db, "add_sample", Sample(received_name(conn_id, outcome), received.at, count), HOUR)
                self._keep_refused(db, refused)

        self._run_storable(keep, received.refused)

    def refusals(
        self, conn_id: str, wanted: RefusalFilter = EVERY_REFUSAL, *, before: int | None = None, limit: int = 50
    ) -> list[KeptRefusal]:
        """Return refusals of a connection, the newest first.

        :param before: only those with a lower number.
        """
        values = refusal_values(conn_id, wanted, before=before, limit=limit)
        rows = self._server.run(lambda db: db.execute(self._sql["list_refusals"], values).fetchall())
        return [refusal_from_row(row) for row in rows]

    def sample(self, name: str, at: datetime, value: float) -> None:
        """Keep a number; of each minute the last one stays."""
        self._server.run(lambda db: self._keep(db, "set_sample", Sample(name, at, value), MINUTE))

    def samples(self, prefix: str, since: datetime) -> list[Sample]:
        """Return the numbers whose names begin so, from then on, by name and time."""
        rows = self._fetch("list_samples", prefix, end_of(prefix), to_microseconds(since))
        return [sample_from_row(row) for row in rows]

    def find_rise(self, name: str, value: float) -> tuple[Sample | None, Sample | None]:
        """Return the last number that is less, and the first one that is not, of one that only grows."""
        below, reached = (
            next(map(sample_from_row, self._fetch(query, name, value)), None)
            for query in ("last_below", "first_reached")
        )
        return below, reached

    def keep_place(self, db: Connection, consumer: str, seq: int, at: datetime) -> None:
        """Keep, within a transaction, where a named reader is now."""
        self._keep(db, "set_sample", Sample(consumer_name(consumer), at, seq), MINUTE)

    def _run_storable(self, keep: Callable[[Connection, Sequence[Refused]], None], refused: Sequence[Refused]) -> None:
        """Keep refusals, in ASCII where the encoding of the database cannot hold a character of them."""
        try:
            self._server.run(lambda db: keep(db, refused))
        except EventStoreError as error:
            if error.fault is not DatabaseFault.UNENCODABLE:
                raise
            escaped = [escape_texts(one) for one in refused]
            self._server.run(lambda db: keep(db, escaped))

    def _keep_refused(self, db: Connection, refused: Sequence[Refused]) -> None:
        for one in refused:
            db.execute(self._sql["insert_refusal"], refusal_to_row(one))
        if refused:
            db.execute(self._sql["prune_refusals"], (MOST_REFUSALS,))

    def _keep(self, db: Connection, query: str, sample: Sample, step: timedelta) -> None:
        db.execute(
            self._sql[query], (sample.name, bucket_of(sample.at, step), to_microseconds(sample.at), sample.value)
        )
        db.execute(self._sql["prune_series"], (sample.name, bucket_of(sample.at - KEPT_FOR, step)))

    def _fetch(self, query: str, *values: object) -> list[Any]:
        return self._server.run(lambda db: db.execute(self._sql[query], values).fetchall())

    def _fetch_none(self, query: str, *values: object) -> None:
        self._server.run(lambda db: db.execute(self._sql[query], values))
