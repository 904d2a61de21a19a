from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from airflow_provider_toggl.core.errors import EventStoreError
from airflow_provider_toggl.core.events.queries import load_migrations
from airflow_provider_toggl.core.events.sqlite_store import SqliteEventStore


def test_a_store_of_the_first_version_gets_its_logbook_and_keeps_what_it_has(tmp_path: Path) -> None:
    path = tmp_path / "events.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for statement in load_migrations("sqlite")[0]:
            db.execute(statement)
        db.execute("insert into schema_version values (1, 0)")
        db.execute("insert into consumers values ('reader', 0, 0)")
    with SqliteEventStore(path) as store:
        store.prepare()
        store.logbook.note("a", {"b": 1})
        assert [note.value for note in store.logbook.notes("a")] == [{"b": 1}]
        assert [one.name for one in store.consumers()] == ["reader"]


def test_without_its_tables_it_says_what_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "events.sqlite"
    path.touch()
    with SqliteEventStore(path) as store, pytest.raises(EventStoreError, match="no such table"):
        store.logbook.notes("a")
