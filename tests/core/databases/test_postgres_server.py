from __future__ import annotations

import socket
import time
import traceback

import pytest
from support.connections import all_logs
from support.servers.postgres import PostgresServer as RealServer

from airflow_provider_toggl.core.databases.postgres_server import Connection, PostgresServer
from airflow_provider_toggl.core.errors import (
    ConfigurationError,
    EventStoreDamaged,
    EventStoreUnavailable,
)
from airflow_provider_toggl.core.events.engine import ERRORS

PASSWORD = "s3cret-of-the-server"


def select_one(db: Connection) -> object:
    return db.execute("select 1").fetchall()


@pytest.mark.parametrize(
    "dsn",
    [f"{PASSWORD} x", f"postgresql:/{PASSWORD}@x:y:z", f"password={PASSWORD} nonsense=1", f"password='{PASSWORD}"],
)
def test_a_connection_string_that_is_none_is_reported_without_showing_it(dsn: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        PostgresServer(dsn, ERRORS, 5)
    assert PASSWORD not in "".join(traceback.format_exception(caught.value))


def test_a_password_is_shown_nowhere() -> None:
    server = PostgresServer(f"host=127.0.0.1 port=1 user=me password={PASSWORD}", ERRORS, 5)
    with all_logs() as lines, pytest.raises(EventStoreUnavailable) as caught:
        server.run(select_one)
    assert PASSWORD not in "".join([*lines, repr(server), *traceback.format_exception(caught.value)])


def test_a_server_that_does_not_answer_is_given_up_soon() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        server = PostgresServer(f"host=127.0.0.1 port={silent.getsockname()[1]} user=me", ERRORS, 2)
        begin = time.monotonic()
        with pytest.raises(EventStoreUnavailable, match="cannot be reached"):
            server.run(select_one)
        assert 1 < time.monotonic() - begin < 20


def test_what_the_string_says_goes_before_what_is_usual(postgres: RealServer) -> None:
    server = PostgresServer(f"{postgres.dsn} application_name=mine", ERRORS, 5)
    assert server.run(lambda db: db.info.get_parameters())["application_name"] == "mine"
    assert server.run(lambda db: db.info.get_parameters())["keepalives_idle"] == "5"
    server.close()


@pytest.mark.parametrize(
    ("statement", "kind", "words"),
    [
        ("select * from nowhere_at_all", EventStoreDamaged, "42P01"),
        ("do $$ begin raise exception 'x' using errcode = 'XX001'; end $$", EventStoreDamaged, "administrator"),
        ("do $$ begin raise exception 'x' using errcode = '53100'; end $$", EventStoreUnavailable, "Free space"),
        ("do $$ begin raise exception 'x' using errcode = '25006'; end $$", EventStoreUnavailable, "primary"),
        ("do $$ begin raise exception 'x' using errcode = '40P01'; end $$", EventStoreUnavailable, "tried again"),
        ("set statement_timeout = 20; select pg_sleep(5)", EventStoreUnavailable, "took longer than 30 s"),
    ],
)
def test_each_trouble_has_its_error_and_what_to_do(
    postgres: RealServer, statement: str, kind: type[Exception], words: str
) -> None:
    server = PostgresServer(postgres.dsn, ERRORS, 5)
    with pytest.raises(kind, match=words):
        server.run(lambda db: db.execute(statement))  # type: ignore[call-overload]
    assert server.run(select_one) == [(1,)]
    server.close()


def test_an_error_does_not_quote_the_row(postgres: RealServer) -> None:
    server = PostgresServer(postgres.dsn, ERRORS, 5)
    row = "create temp table t (a text, b text not null); insert into t values ('what they did', null)"
    with pytest.raises(EventStoreUnavailable) as caught:
        server.run(lambda db: db.execute(row))
    assert "what they did" not in "".join(traceback.format_exception(caught.value))
    server.close()
