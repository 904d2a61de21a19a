from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from airflow_provider_toggl.core.databases.sqlite_file import SqliteFile, find_free_bytes
from airflow_provider_toggl.core.errors import EventStoreUnavailable
from airflow_provider_toggl.core.events.engine import ERRORS


@pytest.fixture
def file(tmp_path: Path) -> SqliteFile:
    file = SqliteFile(tmp_path / "f.sqlite", ERRORS, 0.2)
    file.create()
    with file.transaction() as db:
        db.execute("create table t (a integer)")
    return file


def rows(file: SqliteFile) -> list[int]:
    with file.connection() as db:
        return [row[0] for row in db.execute("select a from t order by a")]


def insert_and_be_interrupted(file: SqliteFile) -> None:
    with file.transaction() as db:
        db.execute("insert into t values (2)")
        raise KeyboardInterrupt


def test_a_transaction_is_kept_at_its_end_and_undone_by_any_error(file: SqliteFile) -> None:
    with file.transaction() as db:
        db.execute("insert into t values (1)")
    with pytest.raises(KeyboardInterrupt):
        insert_and_be_interrupted(file)
    assert rows(file) == [1]


def test_nothing_is_made_where_no_file_is(tmp_path: Path) -> None:
    file = SqliteFile(tmp_path / "none.sqlite", ERRORS, 0.2)
    with pytest.raises(EventStoreUnavailable, match="unable to open"), file.connection():
        pass
    assert not file.path.exists()


def test_switching_to_the_log_waits_for_others_but_not_for_ever(file: SqliteFile) -> None:
    with closing(sqlite3.connect(file.path, isolation_level=None)) as other:
        other.execute("begin immediate")
        with pytest.raises(EventStoreUnavailable, match="locked"):
            file.ensure_wal()
        other.execute("rollback")
    file.ensure_wal()
    file.ensure_wal()
    assert rows(file) == []
    file.close()


def test_the_free_bytes_of_a_disk_are_found(tmp_path: Path) -> None:
    assert find_free_bytes(tmp_path / "f.sqlite") == pytest.approx(shutil.disk_usage(tmp_path).free, rel=0.05)
    assert find_free_bytes(tmp_path / "missing" / "f.sqlite") is None
