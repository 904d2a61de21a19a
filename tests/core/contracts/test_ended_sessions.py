"""A session that the server has ended: between two transactions nobody notices, within one nothing is half done."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from support.event_stores import new_event
from support.servers.mariadb import MariadbServer
from support.servers.postgres import PostgresServer
from support.toggl_rows import NOON, at, tags
from support.waiting import wait_until
from support.warehouses import WarehouseLocation, rows

from airflow_provider_toggl.core.errors import DatabaseFault, EventStoreUnavailable, WarehouseError
from airflow_provider_toggl.core.events.postgres.engine import PostgresEventStore
from airflow_provider_toggl.core.load.values import LoadResult, Progress
from airflow_provider_toggl.core.load.warehouse import Warehouse

numbers = itertools.count(1)
MakeDatabase = Callable[..., tuple[str, str]]
PROGRESS = Progress("tags", "7", at(5), "1", 1, NOON)


@dataclass(frozen=True)
class ServedWarehouse:
    """A warehouse, how its server ends all sessions in it, and the fault that its engine sees then."""

    target: Warehouse
    end_sessions: Callable[[], None]
    fault: DatabaseFault


def end_sessions_of(postgres: PostgresServer, database: str) -> None:
    with psycopg.connect(postgres.dsn, autocommit=True) as db:
        query = "select pg_terminate_backend(pid, 10000) from pg_stat_activity where datname = %s"
        assert all(done for (done,) in db.execute(query, [database]))


def kill_sessions_of(mariadb: MariadbServer, schema: str) -> None:
    with mariadb.connect() as connection, connection.cursor() as cursor:
        cursor.execute("select id from information_schema.processlist where db = %s", [schema])
        ids = [id_ for (id_,) in cursor.fetchall()]
        for id_ in ids:
            cursor.execute(f"kill {id_}")

        def are_gone() -> bool:
            cursor.execute("select count(*) from information_schema.processlist where db = %s", [schema])
            return bool(cursor.fetchall()[0][0] == 0)

        wait_until(are_gone)


@pytest.fixture(
    params=[
        pytest.param("postgres", marks=pytest.mark.xdist_group("configured-postgres")),
        pytest.param("ansi", marks=pytest.mark.xdist_group("configured-postgres")),
        pytest.param("mysql", marks=pytest.mark.xdist_group("mariadb")),
    ]
)
def warehouse(request: pytest.FixtureRequest) -> Iterator[ServedWarehouse]:
    if request.param == "mysql":
        mariadb: MariadbServer = request.getfixturevalue("mariadb")
        name = f"ended_{next(numbers)}"
        place, end = WarehouseLocation("mysql", str(mariadb.port), name), lambda: kill_sessions_of(mariadb, name)
    else:
        name, dsn = request.getfixturevalue("make_database")()
        postgres: PostgresServer = request.getfixturevalue("postgres")
        place, end = WarehouseLocation(request.param, dsn), lambda: end_sessions_of(postgres, name)
    with place.open() as target:
        target.load([tags(1)], PROGRESS)
        # Of an unknown engine no code is known.
        fault = DatabaseFault.OTHER if request.param == "ansi" else DatabaseFault.CONNECTION_LOST
        yield ServedWarehouse(target, end, fault)


def test_a_session_that_ended_between_two_calls_is_not_noticed(warehouse: ServedWarehouse) -> None:
    target = warehouse.target
    for use in (
        lambda: target.load([tags(1, 2, seconds=9)], PROGRESS),
        lambda: target.query('select "id" from "tags"'),
        target.try_write,
        target.find_version,
    ):
        for _ in range(2):
            warehouse.end_sessions()
            use()
    assert rows(target, 'select "id" from "tags" where "id" = 1') == [(1,)]


@pytest.mark.parametrize("statements", [['select count(*) from "tags"'], []], ids=["statement", "commit"])
def test_a_session_that_ends_within_a_load_rolls_it_back(warehouse: ServedWarehouse, statements: list[str]) -> None:
    target = warehouse.target

    def change() -> None:
        with target.transaction() as session:
            session.run('delete from "tags"')
            warehouse.end_sessions()
            for statement in statements:
                session.run(statement)

    with pytest.raises(WarehouseError, match=r"Nothing was lost|no dialect") as caught:
        change()
    assert caught.value.fault is warehouse.fault
    assert target.counts()["tags"] == 1
    assert target.load([tags(1, 2, seconds=9)], PROGRESS) == LoadResult(inserted=1, unchanged=1)


@pytest.mark.xdist_group("configured-postgres")
@pytest.mark.parametrize(
    ("limit", "statement"),
    [
        ("idle_in_transaction_session_timeout = '50ms'", None),
        ("transaction_timeout = '50ms'", "select pg_sleep(5)"),
    ],
)
def test_a_postgres_limit_that_ends_a_load_is_reported_as_a_cut_connection(
    postgres: PostgresServer, make_database: MakeDatabase, limit: str, statement: str | None
) -> None:
    name, dsn = make_database()
    with WarehouseLocation("postgres", dsn).open() as target:
        target.load([tags(1)])

        def change() -> None:
            with target.transaction() as session:
                session.run(f"set local {limit}")
                session.run(statement or "delete from tags")
                wait_until(lambda: not sessions_in(postgres, name))
                session.run("delete from tags")

        with pytest.raises(WarehouseError, match=r"The connection was cut\. Nothing was lost") as caught:
            change()
        assert caught.value.fault is DatabaseFault.CONNECTION_LOST
        assert target.counts()["tags"] == 1


def sessions_in(postgres: PostgresServer, database: str) -> int:
    with psycopg.connect(postgres.dsn, autocommit=True) as db:
        ((count,),) = db.execute("select count(*) from pg_stat_activity where datname = %s", [database])
        return int(count)


# -- the event store ---------------------------------------------------------------------------------------------------


@pytest.fixture
def stored(make_database: MakeDatabase) -> Iterator[tuple[str, PostgresEventStore]]:
    """The name of a database, and the event store in it."""
    name, dsn = make_database()
    with PostgresEventStore(dsn) as store:
        store.prepare()
        store.append([new_event(1)])
        yield name, store


@pytest.mark.xdist_group("configured-postgres")
def test_a_session_of_the_store_that_ended_is_not_noticed(
    postgres: PostgresServer, stored: tuple[str, PostgresEventStore]
) -> None:
    database, store = stored
    run = store.engine.server.run
    for use in (
        lambda: store.append([new_event(2)]),
        lambda: store.wait(0, 5),
        lambda: store.commit("reader", 1),
        store.prepare,
        lambda: store.forget_consumer("nobody"),
    ):
        # Several connections wait in the pool.
        meeting = threading.Barrier(3)
        with ThreadPoolExecutor(3) as threads:
            list(
                threads.map(
                    lambda _, meeting=meeting: run(lambda db: (meeting.wait(10), db.execute("select 1"))), range(3)
                )
            )
        assert sessions_in(postgres, database) >= 3
        for _ in range(3):
            end_sessions_of(postgres, database)
            use()


@pytest.mark.xdist_group("configured-postgres")
def test_each_code_that_ends_a_session_lets_the_work_be_done_again(stored: tuple[str, PostgresEventStore]) -> None:
    _, store = stored
    for state in ("57P01", "25P03", "08006"):
        tries: list[int] = []

        def work(db: psycopg.Connection[Any], tries: list[int] = tries, state: str = state) -> int:
            tries.append(db.info.backend_pid)
            if len(tries) == 1:
                db.execute(f"do $$ begin raise exception 'x' using errcode = '{state}'; end $$")
            return len(tries)

        assert store.engine.server.run(work) == 2
        assert len(set(tries)) == 2


@pytest.mark.xdist_group("configured-postgres")
def test_who_waits_for_events_hears_of_them_after_the_session_was_ended(
    postgres: PostgresServer, stored: tuple[str, PostgresEventStore]
) -> None:
    database, store = stored
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(store.wait, 1, 30)
        wait_until(lambda: sessions_in(postgres, database) >= 2)
        end_sessions_of(postgres, database)
        store.append([new_event(2)])
        assert waiting.result(30)


@pytest.mark.xdist_group("configured-postgres")
@pytest.mark.parametrize("limit", ["idle_session_timeout", "idle_in_transaction_session_timeout"])
def test_limits_of_the_database_on_idle_sessions_harm_no_store(
    postgres: PostgresServer, stored: tuple[str, PostgresEventStore], limit: str
) -> None:
    database, store = stored
    postgres.execute(f"alter database {database} set {limit} = '30ms'")
    end_sessions_of(postgres, database)
    for number in range(2, 6):
        assert store.append([new_event(number)])[0].seq == number
        if limit == "idle_session_timeout":
            # The one that listens stays.
            wait_until(lambda: sessions_in(postgres, database) <= 1)
        assert not store.wait(number, 0.2)


@pytest.mark.xdist_group("configured-postgres")
def test_a_server_that_stays_away_is_reported(stored: tuple[str, PostgresEventStore]) -> None:
    _, store = stored

    def work(db: psycopg.Connection[Any]) -> None:
        db.execute("do $$ begin raise exception 'x' using errcode = '57P01'; end $$")

    with pytest.raises(EventStoreUnavailable, match="57P01") as caught:
        store.engine.server.run(work)
    assert caught.value.fault is DatabaseFault.CONNECTION_LOST
