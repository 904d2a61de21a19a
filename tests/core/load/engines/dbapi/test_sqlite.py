from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from support.toggl_rows import tags
from support.warehouses import WarehouseLocation

from airflow_provider_toggl.core.errors import ConfigurationError, WarehouseError, WarehouseLocked, WarehouseReadOnly
from airflow_provider_toggl.core.load.engines.dbapi.engine import DbApi
from airflow_provider_toggl.core.load.engines.dbapi.sqlite import SqliteEngine
from airflow_provider_toggl.core.load.warehouse import Warehouse


def sqlite(path: Path, **options: object) -> Warehouse:
    return WarehouseLocation("sqlite", str(path)).open(**options)


def test_a_sqlite_file_is_one_schema(tmp_path: Path) -> None:
    with sqlite(tmp_path / "w.sqlite") as target:
        target.load([tags(1)])
    with sqlite(tmp_path / "w.sqlite", schema="other") as target:
        for _ in range(2):
            with pytest.raises(ConfigurationError, match="those of schema 'toggl', not of 'other'"):
                target.load([tags(2)])
    with sqlite3.connect(tmp_path / "w.sqlite") as db:
        assert db.execute("select id, seen_at from tags").fetchall() == [(1, "2025-06-01T12:00:00.000000Z")]
        assert db.execute("select count(*) from time_entry_facts").fetchall() == [(0,)]


def test_a_sqlite_file_that_others_write_is_waited_for(tmp_path: Path) -> None:
    with sqlite(tmp_path / "w.sqlite") as one, sqlite(tmp_path / "w.sqlite", lock_timeout=0.1) as two:
        one.prepare()
        with one.transaction():
            assert two.counts()["tags"] == 0
            with pytest.raises(WarehouseLocked, match=r"locked.*0\.1 s"):
                two.load([tags(1)])
        assert two.load([tags(1)]).inserted == 1


def test_a_sqlite_file_that_cannot_be_created_raises_an_error(tmp_path: Path) -> None:
    with sqlite(tmp_path / "nowhere" / "w.sqlite") as target, pytest.raises(WarehouseReadOnly, match="unable to open"):
        target.prepare()


@pytest.mark.parametrize(
    ("text", "meaning", "words"),
    [
        ("database is locked", WarehouseLocked, "more than 5 s"),
        ("attempt to write a readonly database", WarehouseReadOnly, "the directory"),
        ("unable to open database file", WarehouseReadOnly, "needs to write"),
        ("database or disk is full", WarehouseError, "here: database or disk is full."),
    ],
)
def test_an_error_of_sqlite_says_what_to_do(text: str, meaning: type[WarehouseError], words: str) -> None:
    error = SqliteEngine(DbApi(lambda: None, "?", "here"), lock_timeout=5).translate(sqlite3.OperationalError(text))
    assert type(error) is meaning
    assert words in str(error)
