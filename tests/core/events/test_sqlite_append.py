from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from support.event_stores import new_event

from airflow_provider_toggl.core.events.sqlite_append import MOST_ROWS
from airflow_provider_toggl.core.events.sqlite_store import SqliteEventStore
from airflow_provider_toggl.core.events.store import Appended


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.sqlite"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteEventStore]:
    with SqliteEventStore(path) as store:
        store.prepare()
        yield store


@pytest.fixture
def told(store: SqliteEventStore) -> list[str]:
    """The first words of each statement that the store's connection runs."""
    statements: list[str] = []
    with store._file.connection() as db:
        db.set_trace_callback(lambda text: statements.append(" ".join(text.split()[:2])))
    return statements


@pytest.mark.parametrize("size", [1, 2, MOST_ROWS])
def test_new_events_are_one_statement(store: SqliteEventStore, told: list[str], size: int) -> None:
    appended = store.append([new_event(number) for number in range(1, size + 1)])
    assert appended == [Appended(number, False) for number in range(1, size + 1)]
    assert told == ["insert into"]


def test_more_of_them_are_few_statements_of_one_transaction(store: SqliteEventStore, told: list[str]) -> None:
    size = 3 * MOST_ROWS + 1
    assert [one.seq for one in store.append([new_event(number) for number in range(1, size + 1)])] == [
        *range(1, size + 1)
    ]
    assert told == ["begin immediate", "select event_key,", *["insert into"] * 4, "commit"]


def test_a_refused_statement_leaves_nothing_behind(path: Path, store: SqliteEventStore) -> None:
    store.append([new_event(1), new_event(2)])
    assert store.append([new_event(3), new_event(2)]) == [Appended(3, False), Appended(2, True)]
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("select seq from sqlite_sequence where name = 'events'").fetchall() == [(3,)]
        assert db.execute("select seq from events").fetchall() == [(1,), (2,), (3,)]


def test_numbers_go_on_after_the_greatest_that_was_ever_given(path: Path, store: SqliteEventStore) -> None:
    store.append([new_event(number) for number in range(1, 4)])
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("delete from events")
    assert store.append([new_event(3), new_event(4)]) == [Appended(4, False), Appended(5, False)]
