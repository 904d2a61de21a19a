from __future__ import annotations

import signal
from collections.abc import Iterator

import psycopg
import pytest
from support.servers.postgres import PostgresServer, running_postgres
from support.toggl_rows import entries, tags
from support.warehouses import check_that_a_dying_server_rolls_back, rows

from airflow_provider_toggl.core.errors import ConfigurationError, WarehouseError, WarehouseLocked, WarehouseReadOnly
from airflow_provider_toggl.core.load.engines.postgres.engine import build_postgres_warehouse

pytestmark = pytest.mark.xdist_group("postgres-warehouses")

PASSWORD = "not-to-be-read"


@pytest.fixture
def server(postgres: PostgresServer) -> PostgresServer:
    return postgres


@pytest.fixture
def role(server: PostgresServer) -> Iterator[str]:
    """The DSN of a role that may connect and nothing else."""
    server.execute(f"create role clerk login password '{PASSWORD}'")
    yield server.dsn.replace("user=postgres", f"user=clerk password={PASSWORD}")
    server.execute("drop owned by clerk cascade")
    server.execute("drop role clerk")


@pytest.mark.parametrize("schema", ["Mein Schema", 'quoted "twice"', "select", "o'clock", "äöü"])
def test_a_schema_may_have_any_name(server: PostgresServer, schema: str) -> None:
    with build_postgres_warehouse(server.dsn, schema=schema) as target:
        assert target.load([entries(1, 1, 2)]).inserted == 2
        assert target.load([entries(1, 2, seconds=1, description="new")], None).updated == 2
    with psycopg.connect(server.dsn) as db:
        found = db.execute("select count(*) from pg_tables where schemaname = %s and tablename = 'tags'", [schema])
        assert found.fetchall() == [(1,)]


def test_a_role_that_may_not_make_a_schema_uses_one_that_is_there(server: PostgresServer, role: str) -> None:
    with build_postgres_warehouse(role, schema="of_clerk") as target:
        with pytest.raises(
            WarehouseReadOnly, match=r"permission denied for database.*CREATE on database.*make the schema"
        ):
            target.prepare()
        server.execute("create schema of_clerk authorization clerk")
        assert target.load([tags(1)]).inserted == 1
    server.execute("create schema of_others")
    with (
        build_postgres_warehouse(role, schema="of_others") as target,
        pytest.raises(WarehouseReadOnly, match="make the schema"),
    ):
        target.load([tags(1)])


def test_a_role_that_may_only_read_reads(server: PostgresServer, role: str) -> None:
    with build_postgres_warehouse(server.dsn, schema="public_numbers") as target:
        target.load([tags(1)])
    server.execute("grant usage on schema public_numbers to clerk")
    server.execute("grant select on all tables in schema public_numbers to clerk")
    with build_postgres_warehouse(role, schema="public_numbers") as target:
        assert rows(target, "select id from tags") == [(1,)]
        with pytest.raises(WarehouseReadOnly):
            target.load([tags(2)])


def test_no_message_has_the_password(server: PostgresServer, role: str) -> None:
    wrong = role.replace(PASSWORD, "wrong-" + PASSWORD).replace(f"port={server.port}", "port=1")
    for dsn in (wrong, f"password={PASSWORD} nonsense"):
        with pytest.raises((WarehouseError, ConfigurationError)) as caught:
            build_postgres_warehouse(dsn).prepare()
        assert PASSWORD not in f"{caught.value}{caught.value.__cause__}"


def test_a_writer_that_takes_too_long_is_an_error(server: PostgresServer) -> None:
    with (
        build_postgres_warehouse(server.dsn, schema="busy") as one,
        build_postgres_warehouse(server.dsn, schema="busy", lock_timeout=0.2) as two,
    ):
        one.prepare()
        with one.transaction():
            assert two.counts()["tags"] == 0
            with pytest.raises(WarehouseLocked, match=r"more than 0\.2 s.*Nothing was lost"):
                two.load([tags(1)])
        assert two.load([tags(1)]).inserted == 1


def test_an_error_for_wrong_sql_has_its_sqlstate(server: PostgresServer) -> None:
    with (
        build_postgres_warehouse(server.dsn, schema="wrong") as target,
        pytest.raises(WarehouseError, match="SQLSTATE 42P01"),
    ):
        target.query("select * from nowhere")


def test_a_zone_that_only_python_knows_is_refused(server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_toggl.core.load.tables.zones.get_zone", lambda name: name)
    with (
        build_postgres_warehouse(server.dsn, schema="zones") as target,
        pytest.raises(ConfigurationError, match="knows no time"),
    ):
        target.set_timezone("Mars/Olympus")


def test_a_server_that_dies_rolls_back_one_load_and_the_next_one_continues() -> None:
    with running_postgres() as server, build_postgres_warehouse(server.dsn) as target:
        check_that_a_dying_server_rolls_back(target, lambda: server.restart(signal.SIGQUIT))


def test_a_session_that_the_server_ends_after_the_last_look_at_it_is_replaced(
    server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with build_postgres_warehouse(server.dsn, schema="of_ended") as target:
        target.load([tags(1)])
        session = target._engine.connection.info.backend_pid

        def end_session() -> bool:
            server.execute(f"select pg_terminate_backend({session}, 10000)")
            return True

        monkeypatch.setattr(target._engine, "is_alive", end_session)
        assert target.counts()["tags"] == 1


def test_kinds_of_columns_that_are_not_ours_come_as_what_they_are(server: PostgresServer) -> None:
    sql = """select 1.50::numeric(10, 2) as a, sum(n) as b, null::numeric as c, '{"a": 1}'::jsonb as d,
        array['x', null] as e, true as f, 1.5::real as g, date '2025-06-01' as h, timestamp '2025-06-01 12:00' as i,
            interval '1 day' as j, null::smallint as k
        from generate_series(1, 3) as n"""
    with build_postgres_warehouse(server.dsn, schema="kinds") as target:
        table = target.query(sql)
        assert [str(field.type) for field in table.schema] == [
            "decimal128(10, 2)", "int64", "null", "string", "list<item: string>", "bool", "double", "date32[day]",
            "timestamp[us]", "duration[us]", "int64",
        ]  # fmt: skip
        assert target.query("select * from tags").num_rows == 0


def test_a_nul_character_in_a_parameter_is_replaced(server: PostgresServer) -> None:
    with build_postgres_warehouse(server.dsn, schema="kinds") as target, target.transaction() as session:
        assert session.run("select ?::text", ["a\0b"]) == [("a\ufffdb",)]


def test_the_session_that_writes_is_named(server: PostgresServer) -> None:
    with build_postgres_warehouse(server.dsn, schema="held") as target:
        target.prepare()
        assert target.find_holders() == []
        with target.transaction() as session:
            ((pid,),) = session.run("select pg_backend_pid()")
            (holder,) = build_postgres_warehouse(server.dsn, schema="held").find_holders()
        assert f"PID {pid} of role postgres (airflow-provider-toggl)" in holder
        assert isinstance(target.read_clock(), float)
