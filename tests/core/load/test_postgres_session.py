from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from support.servers.postgres import running_postgres
from support.toggl_rows import entries

from airflow_provider_toggl.core.load import merge
from airflow_provider_toggl.core.load.dialects import POSTGRES
from airflow_provider_toggl.core.load.postgres_session import Connection, PostgresSession, adapt
from airflow_provider_toggl.core.load.schemas import TABLES

pytestmark = pytest.mark.xdist_group("postgres-warehouses")


@pytest.fixture(scope="module")
def dsn() -> Iterator[str]:
    with running_postgres() as server:
        yield server.dsn


@pytest.fixture
def db(dsn: str) -> Iterator[Connection]:
    with psycopg.connect(dsn) as db:
        adapt(db)
        yield db
        db.rollback()


def test_rows_are_counted_put_in_and_staged(db: Connection) -> None:
    session, table = PostgresSession(db), TABLES["time_entries"]
    session.run(merge.create_table(table, session.dialect))
    assert session.dialect is POSTGRES
    session.insert(table, entries(1, 5, 9).table)
    assert [session.count_stored(table, entries(*ids).table) for ids in ((10, 11), (2, 5), (1, 9), (6, 7))] == [
        0,
        1,
        2,
        0,
    ]
    session.stage(table, entries(7).table)
    assert session.table(f"select id from {merge.INCOMING} where id = ?", [7]).to_pylist() == [{"id": 7}]
    session.unstage()
    session.run_many("delete from time_entries where id = ?", [[1], [5]])
    session.run_many("never run", [])
    assert session.run(merge.count_rows(table)) == [(1,)]


def test_more_rows_than_are_read_at_once_come_whole_and_in_order(db: Connection) -> None:
    table = PostgresSession(db).table(
        "select n, case when n % 2 = 0 then n end as even from generate_series(1, 50001) as n"
    )
    assert table["n"].to_pylist() == list(range(1, 50_002))
    assert table["even"].null_count == 25_001


def test_a_nul_character_in_a_parameter_is_replaced(db: Connection) -> None:
    assert PostgresSession(db).run("select ?::text", ["a\0b"]) == [("a\ufffdb",)]
