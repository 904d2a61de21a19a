"""The logbook in the SQLite file of events."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from airflow_provider_toggl.core.clock import Clock, utc
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
from airflow_provider_toggl.core.events.queries import load_queries
from airflow_provider_toggl.core.events.rows import (
    note_from_row,
    refusal_from_row,
    refusal_to_row,
    refusal_values,
    sample_from_row,
    to_microseconds,
)
from airflow_provider_toggl.core.events.sqlite_file import SqliteFile

_SQL = load_queries("sqlite")


class SqliteLogbook:
    """Keeps it in the file of a store, whose ``prepare`` makes the tables.

    :param clock: tells when a note was left.
    """

    def __init__(self, file: SqliteFile, clock: Clock) -> None:
        self._file = file
        self._clock = clock

    def note(self, name: str, value: Mapping[str, Any]) -> None:
        """Leave a note."""
        with self._file.transaction() as db:
            db.execute(_SQL["keep_note"], (name, json.dumps(dict(value)), to_microseconds(utc(self._clock.now()))))

    def notes(self, prefix: str) -> list[Note]:
        """Return the notes whose names begin so, by name."""
        with self._file.connection() as db:
            return [note_from_row(row) for row in db.execute(_SQL["list_notes"], (prefix, end_of(prefix))).fetchall()]

    def take_note(self, name: str) -> Note | None:
        """Remove a note and return it; of several who do, one gets it."""
        with self._file.transaction() as db:
            row = db.execute(_SQL["find_note"], (name,)).fetchone()
            db.execute(_SQL["remove_note"], (name,))
        return note_from_row(row) if row else None

    def keep_refused(self, refused: Sequence[Refused]) -> None:
        """Keep refusals; of all that are kept the newest stay."""
        with self._file.transaction() as db:
            _keep_refused(db, refused)

    def keep_received(self, received: Received) -> None:
        """Keep what a receiver tells: counts by the hour, and the newest refusals."""
        with self._file.transaction() as db:
            for (conn_id, outcome), count in received.counts.items():
                _keep(db, "add_sample", Sample(received_name(conn_id, outcome), received.at, count), HOUR)
            _keep_refused(db, received.refused)

    def refusals(
        self, conn_id: str, wanted: RefusalFilter = EVERY_REFUSAL, *, before: int | None = None, limit: int = 50
    ) -> list[KeptRefusal]:
        """Return refusals of a connection, the newest first.

        :param before: only those with a lower number.
        """
        values = refusal_values(conn_id, wanted, before=before, limit=limit)
        with self._file.connection() as db:
            return [refusal_from_row(row) for row in db.execute(_SQL["list_refusals"], values).fetchall()]

    def sample(self, name: str, at: datetime, value: float) -> None:
        """Keep a number; of each minute the last one stays."""
        with self._file.transaction() as db:
            _keep(db, "set_sample", Sample(name, at, value), MINUTE)

    def samples(self, prefix: str, since: datetime) -> list[Sample]:
        """Return the numbers whose names begin so, from then on, by name and time."""
        values = (prefix, end_of(prefix), to_microseconds(since))
        with self._file.connection() as db:
            return [sample_from_row(row) for row in db.execute(_SQL["list_samples"], values).fetchall()]

    def find_rise(self, name: str, value: float) -> tuple[Sample | None, Sample | None]:
        """Return the last number that is less, and the first one that is not, of one that only grows."""
        with self._file.connection() as db:
            rows = [db.execute(_SQL[query], (name, value)).fetchone() for query in ("last_below", "first_reached")]
        below, reached = (sample_from_row(row) if row else None for row in rows)
        return below, reached


def keep_place(db: sqlite3.Connection, consumer: str, seq: int, at: datetime) -> None:
    """Keep, within a transaction, where a named reader is now."""
    _keep(db, "set_sample", Sample(consumer_name(consumer), at, seq), MINUTE)


def _keep_refused(db: sqlite3.Connection, refused: Sequence[Refused]) -> None:
    if refused:
        db.executemany(_SQL["insert_refusal"], [refusal_to_row(one) for one in refused])
        db.execute(_SQL["prune_refusals"], (MOST_REFUSALS,))


def _keep(db: sqlite3.Connection, query: str, sample: Sample, step: timedelta) -> None:
    db.execute(_SQL[query], (sample.name, bucket_of(sample.at, step), to_microseconds(sample.at), sample.value))
    db.execute(_SQL["prune_series"], (sample.name, bucket_of(sample.at - KEPT_FOR, step)))
