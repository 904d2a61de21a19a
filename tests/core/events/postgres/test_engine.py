from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from support.event_stores import new_event, waiting_in_thread
from support.servers.postgres import PostgresServer

from airflow_provider_toggl.core.errors import EventStoreDamaged, EventStoreUnavailable
from airflow_provider_toggl.core.events.model import Appended
from airflow_provider_toggl.core.events.postgres import engine
from airflow_provider_toggl.core.events.postgres.engine import PostgresEventStore


@pytest.fixture
def schema() -> str:
    return f"events_{uuid.uuid4().hex}"


@pytest.fixture
def store(postgres: PostgresServer, schema: str) -> Iterator[PostgresEventStore]:
    with PostgresEventStore(postgres.dsn, schema=schema) as store:
        store.prepare()
        yield store


def setting(store: PostgresEventStore, name: str) -> object:
    return store.engine.server.run(lambda db: db.execute("select current_setting(%s)", (name,)).fetchall())[0][0]


@pytest.mark.parametrize(
    ("default", "used"), [("off", "on"), ("local", "on"), ("remote_write", "on"), ("remote_apply", "remote_apply")]
)
def test_commits_are_flushed_whatever_the_database_s_default_is(
    postgres: PostgresServer, default: str, used: str
) -> None:
    database = f"d{uuid.uuid4().hex}"
    postgres.execute(f"create database {database}")
    postgres.execute(f"alter database {database} set synchronous_commit = {default}")
    postgres.execute(f"alter database {database} set default_transaction_isolation = serializable")
    postgres.execute(f"alter database {database} set default_transaction_read_only = on")
    with PostgresEventStore(f"{postgres.dsn} dbname={database}") as store:
        store.prepare()
        assert store.append([new_event(1)]) == [Appended(1, False)]
        assert setting(store, "synchronous_commit") == used
        assert setting(store, "transaction_isolation") == "read committed"


def test_a_restart_of_the_server_is_not_noticed_afterwards(postgres: PostgresServer, store: PostgresEventStore) -> None:
    store.append([new_event(1)])
    assert not store.wait(1, 0)
    postgres.restart()
    assert store.append([new_event(2)]) == [Appended(2, False)]
    postgres.restart()
    assert store.wait(1, 10)
    assert [stored.seq for stored in store.read(0)] == [1, 2]


def test_a_wait_during_a_restart_ends_with_the_first_event_after_it(
    postgres: PostgresServer, store: PostgresEventStore, schema: str
) -> None:
    def wait() -> bool:
        while True:
            try:
                if store.wait(0, 30):
                    return True
            except EventStoreUnavailable:
                time.sleep(0.05)

    with ThreadPoolExecutor(1) as thread, PostgresEventStore(postgres.dsn, schema=schema) as other:
        waiting = thread.submit(wait)
        postgres.restart()
        other.append([new_event(1)])
        assert waiting.result(30)


def test_a_server_that_is_down_is_reported_soon(postgres: PostgresServer, store: PostgresEventStore) -> None:
    postgres.stop()
    try:
        begin = time.monotonic()
        for work in (lambda: store.append([new_event(1)]), store.count, lambda: store.wait(0, 60), store.prepare):
            with pytest.raises(EventStoreUnavailable, match=r"cannot be reached: .*refused.*tried again\."):
                work()
        assert time.monotonic() - begin < 30
    finally:
        postgres.start()
    assert store.append([new_event(1)]) == [Appended(1, False)]


def test_a_writer_that_holds_the_counter_for_too_long_is_reported(
    postgres: PostgresServer, store: PostgresEventStore, schema: str
) -> None:
    store.engine.server.run(lambda db: db.execute("set lock_timeout = 200"))
    with psycopg.connect(postgres.dsn) as other:
        other.execute(f"select * from {schema}.counter for update")
        with pytest.raises(EventStoreUnavailable, match=r"55P03.*busy for more than 5 s"):
            store.append([new_event(1)])
        assert store.count() == 0
    assert store.append([new_event(1)]) == [Appended(1, False)]


def test_a_lost_notification_delays_only(
    postgres: PostgresServer, store: PostgresEventStore, schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "POLL_SECONDS", 0.1)
    with waiting_in_thread(store, 0) as waiting:
        postgres.execute(
            f"insert into {schema}.events (seq, event_key, subscription_id, event_id, conn_id, received_at,"
            " body_crc32, body) values (1, 'k', '1', '1', 'c', 0, 0, '')"
        )
        assert waiting.result(30)


def test_a_notification_of_somebody_else_harms_nothing(postgres: PostgresServer, store: PostgresEventStore) -> None:
    with psycopg.connect(postgres.dsn, autocommit=True) as db:
        for hints, found in ((("", "rubbish", "-5", "²", "5"), False), (("9" * 30,), True)):
            with waiting_in_thread(store, 5, 0.5) as waiting:
                for hint in hints:
                    db.execute("select pg_notify(%s, %s)", (store.schema, hint))
                assert waiting.result(30) is found


def test_a_table_that_is_removed_is_reported(postgres: PostgresServer, store: PostgresEventStore, schema: str) -> None:
    postgres.execute(f"drop table {schema}.counter")
    for work in (store.last_seq, lambda: store.append([new_event(1)])):
        with pytest.raises(EventStoreDamaged, match=r"42P01.*does not exist"):
            work()


def test_a_user_who_may_not_make_the_schema_is_reported(postgres: PostgresServer, schema: str) -> None:
    postgres.execute(f"create role {schema} login")
    with PostgresEventStore(f"{postgres.dsn} user={schema}", schema=schema) as store:
        with pytest.raises(EventStoreUnavailable, match="allowed to create it"):
            store.prepare()
        postgres.execute(f"create schema {schema} authorization {schema}")
        store.prepare()
        assert store.append([new_event(1)]) == [Appended(1, False)]


def test_a_schema_may_have_any_name(postgres: PostgresServer) -> None:
    name = f"Ti\"me {uuid.uuid4().hex[:8]} 'é'"
    with PostgresEventStore(postgres.dsn, schema=name) as store:
        store.prepare()
        assert store.append([new_event(1)]) == [Appended(1, False)]
        assert store.wait(0, 5)
