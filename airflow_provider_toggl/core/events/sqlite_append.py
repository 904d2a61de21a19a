"""Rows into the SQLite file's table of events, in few statements.

The interpreter's lock is given up and waited for at each step of SQLite. Beside a busy event loop each such wait takes
longer than the step itself, so what matters is how many there are, and not how much each does.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from functools import cache
from typing import Any

from airflow_provider_toggl.core.events.queries import load_queries
from airflow_provider_toggl.core.events.sqlite_file import SqliteFile
from airflow_provider_toggl.core.events.store import Appended

MOST_ROWS = 64
"""Rows of one statement. SQLite before 3.32 takes 999 values, and a connection keeps 128 prepared statements."""

Row = tuple[Any, ...]

_SQL = load_queries("sqlite")


def append_rows(file: SqliteFile, rows: Sequence[Row]) -> list[Appended]:
    """Store rows, at least one, in one durable transaction and return, for each, where it is."""
    if len(rows) <= MOST_ROWS:
        with file.connection() as db:
            appended = _append_new(db, rows)
        if appended is not None:
            return appended
    with file.transaction() as db:
        return _append_any(db, rows)


def _append_new(db: sqlite3.Connection, rows: Sequence[Row]) -> list[Appended] | None:
    """Return where rows are that nobody knew, by one statement that is a transaction; None where one was refused.

    Then all are, and no number was used up.
    """
    try:
        seqs = _insert(db, rows)
    except sqlite3.IntegrityError:
        return None
    return [Appended(seq, duplicate=False) for seq in seqs]


def _append_any(db: sqlite3.Connection, rows: Sequence[Row]) -> list[Appended]:
    """Return where rows are, some of which may be known, within a transaction.

    Those are found first: a refused insert that is no error would use up a number.
    """
    keys = [row[0] for row in rows]
    seqs: dict[str, int] = dict(db.execute(_SQL["find_seqs"], (json.dumps(keys),)).fetchall())
    known = set(seqs)
    new: dict[str, Row] = {}
    for row in rows:
        if row[0] not in known:
            new.setdefault(row[0], row)
    fresh = list(new.values())
    for first in range(0, len(fresh), MOST_ROWS):
        some = fresh[first : first + MOST_ROWS]
        seqs.update(zip((row[0] for row in some), _insert(db, some), strict=True))
    appended = []
    for key in keys:
        appended.append(Appended(seqs[key], duplicate=key in known))
        known.add(key)
    return appended


def _insert(db: sqlite3.Connection, rows: Sequence[Row]) -> range:
    """Return the numbers of rows that one statement stored; they follow each other."""
    cursor = db.execute(_insert_statement(len(rows)), [value for row in rows for value in row])
    last = cursor.lastrowid or 0
    return range(last - len(rows) + 1, last + 1)


@cache
def _insert_statement(count: int) -> str:
    statement = _SQL["insert_events"]
    row = statement[statement.rindex("(") :]
    return statement + f", {row}" * (count - 1)
