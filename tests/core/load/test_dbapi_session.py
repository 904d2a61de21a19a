from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest
from support.toggl_rows import entries

from airflow_provider_toggl.core.load import dbapi_session, merge
from airflow_provider_toggl.core.load.dbapi_session import DbApiSession, batches
from airflow_provider_toggl.core.load.dialects import SQLITE
from airflow_provider_toggl.core.load.schemas import TABLES


@pytest.fixture
def session() -> Iterator[DbApiSession]:
    connection = sqlite3.connect(":memory:")
    yield DbApiSession(connection, "?", SQLITE)
    connection.close()


def test_rows_are_counted_put_in_and_staged(session: DbApiSession) -> None:
    table = TABLES["time_entries"]
    session.run(merge.create_table(table, SQLITE))
    session.insert(table, entries(1, 5, *range(9, 2009)).table)
    cases = ((10_000, 11_000), (2, 5), (1, 9), (6, 7), range(8, 3000))
    assert [session.count_stored(table, entries(*ids).table) for ids in cases] == [0, 1, 2, 0, 2000]
    session.stage(table, entries(7).table)
    assert session.table(f"select id, tag_ids, start from {merge.INCOMING}").to_pydict()["id"] == [7]
    session.unstage()
    session.run_many("delete from time_entries where id = ?", [[1], [5]])
    session.run_many("never run", [])
    assert session.run(merge.count_rows(table)) == [(2000,)]


def test_a_batch_has_no_more_rows_or_bytes_than_an_insert_may_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dbapi_session, "BATCH_ROWS", 4)
    monkeypatch.setattr(dbapi_session, "BATCH_BYTES", 5_000)
    table = entries(*range(9), description="x" * 1_500).table
    found = list(batches(table))
    assert [id_ for batch in found for id_ in batch["id"].to_pylist()] == list(range(9))
    assert {batch.num_rows for batch in found} == {1, 2}


def test_more_rows_than_are_read_at_once_come_whole_and_in_order(
    session: DbApiSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dbapi_session, "CHUNK", 100)
    sql = "with recursive n(x) as (select 1 union all select x + 1 from n where x < ?) select x, 'a' as t from n"
    assert session.table(sql, [250]).to_pydict() == {"x": list(range(1, 251)), "t": ["a"] * 250}
