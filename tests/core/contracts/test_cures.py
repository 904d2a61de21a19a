"""The error for what a server refuses names the cause and the fix; one bad row stops no other."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from support.event_stores import new_event
from support.servers.mariadb import MariadbServer, connect
from support.servers.postgres import PostgresServer, running_postgres
from support.toggl_rows import NOON, WORKSPACE, at, decode, entries, report_row, tags
from support.warehouses import WarehouseLocation, rows

from airflow_provider_toggl.core.errors import (
    ConfigurationError,
    DatabaseFault,
    EventStoreUnavailable,
    WarehouseError,
    WarehouseLocked,
    WarehouseReadOnly,
)
from airflow_provider_toggl.core.events.activity_log import DeliveryCounts, RefusedDelivery
from airflow_provider_toggl.core.events.postgres.engine import PostgresEventStore
from airflow_provider_toggl.core.load.engines.dbapi.engine import DbApi
from airflow_provider_toggl.core.load.engines.dbapi.mysql import MysqlEngine
from airflow_provider_toggl.core.load.engines.postgres.engine import build_postgres_warehouse
from airflow_provider_toggl.core.load.merging.changed_days import last_seq
from airflow_provider_toggl.core.load.merging.unstorable import reject_long_rows
from airflow_provider_toggl.core.load.values import LoadResult, Progress, Sweep
from airflow_provider_toggl.core.load.warehouse import Warehouse
from airflow_provider_toggl.core.sync.redrive import RedriveResult, redrive_rejected

numbers = itertools.count(1)
MakeDatabase = Callable[..., tuple[str, str]]
ROCKET = "\U0001f680"
NARROW = "encoding 'LATIN1' template template0 lc_collate 'C' lc_ctype 'C'"
PROGRESS = Progress("time_entries", "7", at(5), "1", 1, NOON)

on_postgres = pytest.mark.xdist_group("configured-postgres")
on_mysql = pytest.mark.xdist_group("mariadb")


# -- characters --------------------------------------------------------------------------------------------------------


@pytest.fixture(params=[pytest.param("LATIN1", marks=on_postgres), pytest.param("utf8mb3", marks=on_mysql)])
def narrow(request: pytest.FixtureRequest) -> Iterator[Warehouse]:
    """A warehouse whose texts have no place for an emoji."""
    if request.param == "LATIN1":
        _, dsn = request.getfixturevalue("make_database")(NARROW)
        place = WarehouseLocation("postgres", dsn)
    else:
        mariadb: MariadbServer = request.getfixturevalue("mariadb")
        place = WarehouseLocation("mysql", str(mariadb.port), f"cured_{next(numbers)}")
        with place.open() as target:
            target.prepare()
        for table in ("time_entries", "tags", "rejected_records", "time_entry_versions"):
            mariadb.execute(f"alter table {place.schema}.{table} convert to character set utf8mb3")
    with place.open() as target:
        yield target


def mixed(*, seconds: float = 0.0) -> list[dict[str, object]]:
    return [report_row(1), report_row(2, description=f"Kick-off {ROCKET}"), report_row(3, description="Später")]


def test_a_character_that_the_database_cannot_hold_rejects_its_row_alone(narrow: Warehouse) -> None:
    narrow.keep_history(True)
    loaded = narrow.load([decode("time_entries", *mixed())], PROGRESS, collect_days=True)
    assert (loaded.inserted, loaded.rejected, loaded.changed_ids) == (2, 1, (1, 3))
    assert rows(narrow, "select id, description from time_entries order by id") == [(1, "Work"), (3, "Später")]
    ((raw, reason, observed_at),) = rows(narrow, "select raw, reason, observed_at from rejected_records")
    assert json.loads(raw)["description"] == f"Kick-off {ROCKET}"
    assert (reason, observed_at) == ("description: the encoding of the database has no U+1F680", NOON)
    state = narrow.find_state("time_entries", "7")
    assert state is not None
    assert state.cursor == "1"
    # The same again, and merged with what is stored.
    again = narrow.load([decode("time_entries", *mixed(), seconds=9), decode("time_entries", report_row(1))])
    assert (again.inserted, again.updated, again.rejected) == (0, 0, 1)
    assert rows(narrow, "select count(*) from rejected_records") in ([(1,)], [(2,)])


def test_a_row_that_cannot_be_stored_is_not_taken_for_absent(narrow: Warehouse) -> None:
    narrow.load([tags(1, 2)])
    batch = decode("tags", {"id": 1, "name": ROCKET, "at": "2025-05-03T00:00:00Z"}, seconds=60)
    assert narrow.load([batch], None, Sweep(WORKSPACE, at(59), 1.0)) == LoadResult(rejected=1)
    assert rows(narrow, "select id, absent_at from tags order by id") == [(1, None), (2, None)]


def test_a_redrive_does_not_lose_the_rejected_record(narrow: Warehouse) -> None:
    narrow.load([decode("time_entries", *mixed())])
    assert redrive_rejected(narrow) == RedriveResult(tried=1, loaded=0)
    assert rows(narrow, "select count(*) from rejected_records") == [(1,)]


@on_postgres
def test_rejected_records_can_be_of_any_characters(make_database: MakeDatabase) -> None:
    _, dsn = make_database(NARROW)
    with build_postgres_warehouse(dsn) as target:
        row = {"id": 1, "name": f"日{ROCKET}", "at": "never"}
        assert target.load([decode("tags", row, {"id": 2, "name": "ä", "at": "2025-05-03T00:00:00Z"})]).rejected == 1
        ((raw,),) = rows(target, "select raw from rejected_records")
        assert json.loads(raw) == row


@on_postgres
def test_many_rows_in_other_scripts_are_rejected_together(make_database: MakeDatabase) -> None:
    _, dsn = make_database(NARROW)
    with build_postgres_warehouse(dsn) as target:
        texts = [chr(0x4E00 + number) for number in range(300)]
        given = [report_row(id_, description=text) for id_, text in enumerate(texts, 1)]
        assert target.load([decode("time_entries", *given, report_row(999))]) == LoadResult(inserted=1, rejected=300)


@on_postgres
def test_an_event_store_of_a_narrow_encoding_keeps_every_event(make_database: MakeDatabase) -> None:
    _, dsn = make_database(NARROW)
    with PostgresEventStore(dsn) as store:
        store.prepare()
        body = f'{{"a": "{ROCKET}"}}'.encode()
        store.append([new_event(1, action=f"did {ROCKET}", body=body), new_event(2, action="created")])
        assert store.get(1).event.body == body
        assert [one.event.action for one in store.read(0)] == ["did \\U0001f680", "created"]
        refused = RefusedDelivery("toggl_default", "odd", f"it had {ROCKET}", 1, NOON, NOON)
        store.activity_log.record_refusals([refused])
        store.activity_log.record_received(DeliveryCounts(NOON, {("toggl_default", "odd"): 1}, [refused]))
        assert {one.refused.reason for one in store.activity_log.list_refusals("toggl_default")} == {
            "it had \\U0001f680"
        }
        with pytest.raises(EventStoreUnavailable, match="UTF8") as caught:
            store.commit(f"reader {ROCKET}", 1)
        assert caught.value.fault is DatabaseFault.UNENCODABLE


# -- sizes -------------------------------------------------------------------------------------------------------------


LONG = {
    "text": {"description": "'\\" * 20_000},
    "list": {"tag_ids": list(range(10**9, 10**9 + 4000))},
}


@pytest.fixture(params=[pytest.param("ansi", marks=on_postgres), pytest.param("mysql", marks=on_mysql)])
def small(request: pytest.FixtureRequest) -> Iterator[Warehouse]:
    """A warehouse whose columns, or whose statements, are not as long as some rows."""
    if request.param == "ansi":
        _, dsn = request.getfixturevalue("make_database")()
        with WarehouseLocation("ansi", dsn).open() as target:
            yield target
        return
    mariadb: MariadbServer = request.getfixturevalue("mariadb")
    with mariadb.connect() as connection, connection.cursor() as cursor:
        cursor.execute("select @@global.max_allowed_packet")
        ((before,),) = cursor.fetchall()
    mariadb.execute("set global max_allowed_packet = 40960")
    try:
        with WarehouseLocation("mysql", str(mariadb.port), f"cured_{next(numbers)}").open() as target:
            yield target
    finally:
        mariadb.execute(f"set global max_allowed_packet = {before}")


@pytest.mark.parametrize("fields", LONG.values(), ids=LONG)
def test_a_row_that_is_too_long_is_rejected_alone(small: Warehouse, fields: dict[str, object]) -> None:
    small.keep_history(True)
    given = [report_row(1), report_row(2, **fields), report_row(3)]
    loaded = small.load([decode("time_entries", *given)], PROGRESS, collect_days=True)
    assert (loaded.inserted, loaded.rejected, loaded.changed_ids) == (2, 1, (1, 3))
    ((reason,),) = rows(small, 'select "reason" from "rejected_records"')
    assert "the database holds 16,000" in reason or "the server takes 40,960 (max_allowed_packet)" in reason
    state = small.find_state("time_entries", "7")
    assert state is not None
    assert state.cursor == "1"
    # Merged with what is stored, and with one that was short before.
    given = [report_row(1, **fields), report_row(2), report_row(3, description="changed")]
    again = small.load([decode("time_entries", *given, seconds=9)])
    assert (again.inserted, again.updated, again.rejected) == (1, 1, 1)


def test_a_row_that_is_too_long_is_not_taken_for_absent(small: Warehouse) -> None:
    small.load([decode("time_entries", report_row(1), report_row(2))])
    batch = decode("time_entries", report_row(1, **LONG["text"]), seconds=60)
    assert small.load([batch], None, Sweep(WORKSPACE, at(59), 1.0)) == LoadResult(rejected=1)
    assert rows(small, 'select "id", "absent_at" from "time_entries" order by "id"') == [(1, None), (2, None)]


@pytest.mark.parametrize("length", [16_000, 16_001])
def test_the_longest_text_fits(length: int) -> None:
    kept, *_ = reject_long_rows([decode("time_entries", report_row(1, description="\u65e5" * length))], 16_000, None)
    assert kept.rows == (length <= 16_000)


# -- rights ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def clerk(postgres: PostgresServer, make_database: MakeDatabase) -> tuple[str, str, str]:
    """A database with tables of the administrator, the DSN of a role that may connect only, and the role."""
    name, dsn = make_database()
    role = f"clerk_{name}"
    postgres.execute(f"create role {role} login")
    with psycopg.connect(dsn, autocommit=True) as db:
        db.execute(f"revoke temporary on database {name} from public")
    with build_postgres_warehouse(dsn) as target:
        target.load([tags(1)])
    return name, dsn.replace("user=postgres", f"user={role}"), role


@on_postgres
def test_each_right_that_is_missing_is_named_until_none_is(
    postgres: PostgresServer, clerk: tuple[str, str, str]
) -> None:
    name, dsn, role = clerk
    admin = postgres.dsn.replace("dbname=postgres", f"dbname={name}")
    everything = "all tables in schema toggl"
    for right, where in (
        ("USAGE", "schema toggl"),
        ("SELECT", everything),
        ("INSERT", everything),
        ("UPDATE", everything),
        ("DELETE", everything),
        ("TEMPORARY", f"database {name}"),
        ("CREATE", "schema toggl"),
    ):
        with build_postgres_warehouse(dsn) as target, psycopg.connect(admin, autocommit=True) as db:
            if right == "CREATE":
                break
            with pytest.raises(WarehouseReadOnly) as caught:
                target.load([tags(1, 2, seconds=9)], PROGRESS)
            assert caught.value.fault is DatabaseFault.MISSING_RIGHT
            lacks = str(caught.value).split("its role lacks ")[1].split(" Grant ")[0]
            assert right in lacks
            assert "CREATE" not in lacks  # the tables are there
            db.execute(f"grant {right} on {where} to {role}")
    with build_postgres_warehouse(dsn) as target:
        assert target.load([tags(1, 2, seconds=9)], PROGRESS).inserted == 1


@on_mysql
def test_what_a_mysql_user_lacks_is_named(mariadb: MariadbServer) -> None:
    schema = f"cured_{next(numbers)}"
    mariadb.execute(f"create or replace user {schema}@'%' identified by 'x'", f"create database {schema}")
    api = DbApi(lambda: connect(mariadb.port, schema, "x"), "%s", "here")
    with Warehouse(MysqlEngine(api, schema=schema)) as target:
        with pytest.raises(WarehouseReadOnly, match=f"grant all on `{schema}`"):
            target.prepare()
        mariadb.execute(f"grant all on {schema}.* to {schema}@'%'")
        mariadb.execute(f"revoke create temporary tables on {schema}.* from {schema}@'%'")
        target.load([tags(1)])
        with pytest.raises(WarehouseReadOnly, match="CREATE TEMPORARY TABLES") as caught:
            target.load([tags(1, 2, seconds=9)])
        assert caught.value.fault is DatabaseFault.MISSING_RIGHT
        assert target.counts()["tags"] == 1


# -- what somebody has changed -----------------------------------------------------------------------------------------


@on_postgres
@pytest.mark.parametrize(
    "change",
    [
        "drop table toggl.tags cascade",
        "alter table toggl.tags drop column name cascade",
        "drop table toggl.settings cascade",
    ],
)
def test_the_error_for_a_removed_table_or_column_says_to_put_it_back(make_database: MakeDatabase, change: str) -> None:
    _, dsn = make_database()
    with build_postgres_warehouse(dsn) as target:
        target.load([tags(1)])
        with psycopg.connect(dsn, autocommit=True) as db:
            db.execute(change)
        with pytest.raises(WarehouseError, match="somebody removed or renamed it: put it back") as caught:
            target.load([tags(1, seconds=9)], PROGRESS)
        assert caught.value.fault is DatabaseFault.MISSING_OBJECT


@pytest.mark.parametrize("engine", ["duckdb", "sqlite"])
def test_an_emptied_counter_of_changes_goes_on_where_the_days_are(engine: str, tmp_path: Path) -> None:
    with WarehouseLocation(engine, str(tmp_path / "w")).open() as target:
        for seconds in range(3):
            target.load([entries(1, seconds=seconds, description=str(seconds))])
        with target.transaction() as session:
            session.run("delete from change_counter")
        with target.transaction() as session:
            assert last_seq(session) == 0
        target.load([entries(1, seconds=9)])
        with target.transaction() as session:
            assert last_seq(session) == 4


# -- limits and states of a server -------------------------------------------------------------------------------------


@on_postgres
@pytest.mark.parametrize(
    ("state", "kind", "fault", "cure"),
    [
        ("53100", WarehouseError, DatabaseFault.DISK_FULL, "Free space"),
        ("22012", WarehouseError, DatabaseFault.OTHER, "SQLSTATE 22012"),
        ("40P01", WarehouseLocked, DatabaseFault.LOCKED, "collided with another session"),
        ("57014", WarehouseError, DatabaseFault.CANCELED, "(SQLSTATE 57014) A time limit"),
    ],
)
def test_a_code_of_postgres_has_its_fault_and_cure(
    postgres: PostgresServer, state: str, kind: type[WarehouseError], fault: DatabaseFault, cure: str
) -> None:
    def run(target: Warehouse) -> None:
        with target.transaction() as session:
            session.run(f"do $$ begin raise exception 'It broke.' using errcode = '{state}'; end $$")

    with build_postgres_warehouse(postgres.dsn) as target, pytest.raises(WarehouseError, match="It broke") as caught:
        run(target)
    assert (type(caught.value), caught.value.fault, cure in str(caught.value)) == (kind, fault, True)


def test_a_standby_is_read_and_not_written() -> None:
    with running_postgres() as server:
        with build_postgres_warehouse(server.dsn) as target, PostgresEventStore(server.dsn) as store:
            target.load([tags(1)])
            store.prepare()
        server.stop()
        (server.data / "standby.signal").touch()
        server.start()
        with build_postgres_warehouse(server.dsn) as target:
            assert rows(target, "select id from tags") == [(1,)]
            with pytest.raises(WarehouseReadOnly, match="name the primary") as caught:
                target.load([tags(2)])
            assert caught.value.fault is DatabaseFault.READ_ONLY
            assert target.counts()["tags"] == 1
        with PostgresEventStore(server.dsn) as store, pytest.raises(EventStoreUnavailable, match="primary") as kept:
            store.append([new_event(1)])
        assert kept.value.fault is DatabaseFault.READ_ONLY


# -- names -------------------------------------------------------------------------------------------------------------


@on_postgres
def test_a_schema_that_postgres_would_cut_is_refused_and_the_longest_is_not(make_database: MakeDatabase) -> None:
    _, dsn = make_database()
    for build in (build_postgres_warehouse, PostgresEventStore):
        with pytest.raises(ConfigurationError, match="63 bytes"):
            build(dsn, schema="ü" * 32)
    longest = "ü" * 31
    with (
        build_postgres_warehouse(dsn, schema=longest) as target,
        PostgresEventStore(dsn, schema=f"e{longest}") as store,
    ):
        store.prepare()
        store.append([new_event(1)])
        assert store.wait(0, 5)
        assert target.load([tags(1)]).inserted == 1


@on_mysql
def test_a_schema_that_mysql_would_refuse_is_reported_before(mariadb: MariadbServer) -> None:
    for schema in ("x" * 65, "x ", "", ROCKET):
        with pytest.raises(ConfigurationError, match="64 characters"):
            WarehouseLocation("mysql", str(mariadb.port), schema).open()
    with WarehouseLocation("mysql", str(mariadb.port), "ü" * 64).open() as target:
        assert target.load([tags(1)]).inserted == 1
