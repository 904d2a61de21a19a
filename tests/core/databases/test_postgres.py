from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from support.servers.postgres import PostgresServer, running_postgres

from airflow_provider_toggl.core.databases import postgres
from airflow_provider_toggl.core.errors import ConfigurationError, DatabaseFault

pytestmark = pytest.mark.xdist_group("postgres-sessions")


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with running_postgres() as server:
        yield server


def shown(db: psycopg.Connection[tuple[object, ...]], name: str) -> object:
    return db.execute(f"show {name}").fetchall()[0][0]


def test_settings_of_a_transaction_end_with_it(server: PostgresServer) -> None:
    with psycopg.connect(server.dsn, autocommit=True, options="-c timezone=Asia/Tokyo") as db:
        with db.transaction():
            db.execute(postgres.build_settings(db, postgres.SESSION_SETTINGS, local=True))
            assert shown(db, "timezone") == "UTC"
        assert shown(db, "timezone") == "Asia/Tokyo"
        db.execute(postgres.build_settings(db, postgres.SESSION_SETTINGS, local=False))
        assert {name: shown(db, name) for name in postgres.SESSION_SETTINGS} == postgres.SESSION_SETTINGS


def test_what_psycopg_refuses_itself_is_no_lost_connection(server: PostgresServer) -> None:
    with psycopg.connect(server.dsn, autocommit=True) as db:
        with pytest.raises(psycopg.ProgrammingError) as caught:
            db.execute("select %s", [])
        assert postgres.find_fault(caught.value) is DatabaseFault.OTHER
        with pytest.raises(psycopg.Error) as caught:
            db.execute("select pg_terminate_backend(pg_backend_pid())")
        assert postgres.find_fault(caught.value) is DatabaseFault.CONNECTION_LOST
        with pytest.raises(psycopg.Error) as caught:
            db.execute("select 1")
        assert postgres.find_fault(caught.value) is DatabaseFault.CONNECTION_LOST


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ("dbname=nowhere", DatabaseFault.UNKNOWN_DATABASE),
        ("user=nobody_of_that_name", DatabaseFault.BAD_CREDENTIALS),
        ("user=barred", DatabaseFault.BAD_CREDENTIALS),
        ("user=limited", DatabaseFault.TOO_MANY_CONNECTIONS),
        ("user=outsider dbname=closed", DatabaseFault.MISSING_RIGHT),
        ("port=1", DatabaseFault.UNREACHABLE),
        ("host=no.such.host.invalid", DatabaseFault.UNREACHABLE),
        ("user=secretive password=wrong", DatabaseFault.BAD_CREDENTIALS),
        ("user=secretive", DatabaseFault.BAD_CREDENTIALS),
        ("user=shut_out", DatabaseFault.BAD_CREDENTIALS),
        # The server is there: its address is not what to check.
        ("sslmode=require", DatabaseFault.OTHER),
        ("sslmode=verify-full sslrootcert=/nowhere", DatabaseFault.OTHER),
        ("sslmode=maybe", DatabaseFault.OTHER),
        ("port=99999", DatabaseFault.OTHER),
    ],
)
def test_why_no_connection_is_made_is_known(server: PostgresServer, change: str, fault: DatabaseFault) -> None:
    with psycopg.connect(server.dsn, autocommit=True) as db:
        db.execute("drop database if exists closed")
        for role, options in (
            ("barred", "nologin"),
            ("limited", "login connection limit 0"),
            ("outsider", "login"),
            ("secretive", "login password 'right'"),
            ("shut_out", "login"),
        ):
            db.execute(f"drop role if exists {role}")
            db.execute(f"create role {role} {options}")
        db.execute("create database closed")
        db.execute("revoke connect on database closed from public")
        access = server.data / "pg_hba.conf"
        rules = "host all secretive 127.0.0.1/32 scram-sha-256\nhost all shut_out 127.0.0.1/32 reject\n"
        if rules not in access.read_text():
            access.write_text(rules + access.read_text())
        db.execute("select pg_reload_conf()")
    with pytest.raises(psycopg.OperationalError) as caught:
        psycopg.connect(f"{server.dsn} {change} connect_timeout=5")
    assert postgres.find_refusal(caught.value) is fault


def test_a_refusal_with_a_code_is_known_by_the_code() -> None:
    assert postgres.find_refusal(psycopg.errors.InvalidPassword("any words")) is DatabaseFault.BAD_CREDENTIALS


@pytest.mark.parametrize("schema", ["", "x" * 64, "ü" * 32, "a\0b"])
def test_a_name_that_would_be_cut_is_refused(schema: str) -> None:
    with pytest.raises(ConfigurationError, match="63 bytes"):
        postgres.check_schema_name(schema)


@pytest.mark.parametrize("schema", ["x" * 63, "ü" * 31])
def test_a_name_of_the_greatest_length_is_none_too_long(schema: str) -> None:
    postgres.check_schema_name(schema)


@pytest.mark.parametrize(
    ("version", "since"),
    [(139999, []), (140000, ["idle_session_timeout"]), (170000, ["idle_session_timeout", "transaction_timeout"])],
)
def test_a_setting_is_sent_to_servers_that_know_it(version: int, since: list[str]) -> None:
    settings = {"statement_timeout": "0", "idle_session_timeout": "0", "transaction_timeout": "0"}
    db: Any = SimpleNamespace(info=SimpleNamespace(server_version=version))
    text = postgres.build_settings(db, settings, local=False).as_string(None)
    assert [name for name in settings if f"'{name}'" in text] == ["statement_timeout", *since]
