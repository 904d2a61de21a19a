"""The store in ClickHouse: commits of several processes, compaction, faults and views, against ClickHouse's engine."""

from __future__ import annotations

import itertools
import random
import signal
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from support.clickhouse_costs import measure_loads, open_counting
from support.clickhouse_race import race
from support.entry_histories import draw_history
from support.servers.clickhouse import ClickhouseServer, running_clickhouse
from support.toggl_rows import NOON, WORKSPACE, at, decode, entries, tags
from support.warehouses import WarehouseLocation, build_clickhouse, loading, rows

from airflow_provider_toggl.core.errors import (
    ConfigurationError,
    DatabaseFault,
    SchemaTooNew,
    WarehouseError,
    WarehouseReadOnly,
)
from airflow_provider_toggl.core.load.engines.clickhouse.store import ClickhouseStore
from airflow_provider_toggl.core.load.engines.duckdb.engine import build_duckdb_warehouse
from airflow_provider_toggl.core.load.engines.table_store.contract import CommitConflict, TableChange
from airflow_provider_toggl.core.load.engines.table_store.engine import TableStoreEngine
from airflow_provider_toggl.core.load.engines.table_store.tables import STATE_TABLES
from airflow_provider_toggl.core.load.values import Progress
from airflow_provider_toggl.core.load.warehouse import Warehouse
from airflow_provider_toggl.core.operate.health.collect import _FIND_PROGRESS
from airflow_provider_toggl.core.reconcile.compare import to_micros
from airflow_provider_toggl.core.reconcile.entry_queries import EntryQueries
from airflow_provider_toggl.core.sync.redrive import redrive_rejected

pytestmark = [pytest.mark.soak, pytest.mark.clouds, pytest.mark.xdist_group("clickhouse")]
numbers = itertools.count(1)


@pytest.fixture
def place(clickhouse: ClickhouseServer) -> Iterator[WarehouseLocation]:
    """A database where nothing has been loaded yet, on a server that answers everything."""
    yield WarehouseLocation("clickhouse", str(clickhouse.port), f"store_{next(numbers)}")
    clickhouse.heal()


@pytest.fixture
def target(place: WarehouseLocation) -> Iterator[Warehouse]:
    with place.open() as target:
        target.prepare()
        yield target


def open_store(place: WarehouseLocation) -> ClickhouseStore:
    store = build_clickhouse(place.where, place.schema)
    store.open()
    return store


def setting(value: str) -> TableChange:
    table = STATE_TABLES["settings"]
    none = pa.array([], pa.string())
    return TableChange(table, pa.table({"key": ["mine"], "value": [value]}), none, none)


def progress(number: int) -> Progress:
    return Progress("time_entries", "w", at(number), str(number), 1, NOON)


def load_pages(target: Warehouse, numbers: range) -> None:
    for number in numbers:
        target.load([entries(number)], progress(number))


# -- several writers --------------------------------------------------------------------------------------------------


def test_of_two_commits_of_one_revision_the_first_is_stored_and_the_second_is_a_conflict(
    place: WarehouseLocation, target: Warehouse
) -> None:
    one, other = open_store(place), open_store(place)
    revision = one.read_state().revision
    assert other.read_state().revision == revision
    one.commit(revision, [setting("first")])
    with pytest.raises(CommitConflict):
        other.commit(revision, [setting("second")])
    assert one.read_state().revision == revision + 1
    assert rows(target, """select "value" from "settings" where "key" = 'mine'""") == [("first",)]
    one.close()
    other.close()


def test_of_processes_that_commit_the_same_revisions_one_wins_each(place: WarehouseLocation, target: Warehouse) -> None:
    with open_store(place)._open_client as client:
        begin = int(client.raw_query("select max(revision) from toggl_commits"))
        won = race(place, processes=3, tries=25)
        assert sum(won) > 25
        assert min(won) > 0
        stored = client.raw_query(
            f"select count(), uniqExact(revision), max(revision) from toggl_commits where revision > {begin}"
        )
        assert stored.decode().split() == [str(sum(won)), str(sum(won)), str(begin + sum(won))]


def test_a_commit_of_which_the_client_has_no_answer_is_there_once(
    clickhouse: ClickhouseServer, target: Warehouse
) -> None:
    clickhouse.fail("insert into .?toggl_commits", 0, "", after=True)
    with pytest.raises(WarehouseError) as error:
        target.load([entries(1)], progress(1))
    assert error.value.fault is DatabaseFault.CONNECTION_LOST
    clickhouse.heal()
    assert target.load([entries(1)], progress(1)).inserted == 0
    assert target.counts()["time_entries"] == 1


def test_a_state_older_than_the_server_remembers_commits_for_is_a_conflict(place: WarehouseLocation) -> None:
    with place.open() as target:
        target.prepare()
    store = open_store(place)
    revision = store.read_state().revision
    assert store._read_at is not None
    store._read_at = pa.scalar(store._read_at.value - 3_601_000_000, store._read_at.type)
    with pytest.raises(CommitConflict):
        store.commit(revision, [setting("late")])
    assert store.read_state().revision == revision
    store.close()


# -- kills ------------------------------------------------------------------------------------------------------------


def test_a_server_that_is_killed_in_the_middle_of_a_load_has_all_of_it_or_nothing() -> None:
    with running_clickhouse() as server:
        place = WarehouseLocation("clickhouse", str(server.port))
        for turn in range(3):
            with loading(place, first=turn * 10_000, pages=1_000, size=5) as process:
                assert process.stdout is not None
                for line in process.stdout:
                    if int(line) >= 2:
                        break
                server.stop(signal.SIGKILL)
                process.wait(60)
            assert process.returncode
            server.start()
            with place.open() as target:
                state = target.find_state("time_entries", str(process.pid))
                assert state is not None
                found = rows(target, f"select count(*) from time_entries where id >= {turn * 10_000}")
                assert found == [(5 * (int(state.cursor) + 1),)]


# -- compaction -------------------------------------------------------------------------------------------------------


def count(target: Warehouse, table: str, condition: str = "1") -> int:
    return int(rows(target, f'select count(*) from "{table}" where {condition}')[0][0])


def pass_overlap(place: WarehouseLocation) -> None:
    """Let the last compaction be an hour old."""
    with open_store(place)._open_client as client:
        change = "alter table toggl_compactions update compacted_at = now64(6) - interval 1 hour where 1"
        client.raw_query(f"{change} settings mutations_sync = 1")


def test_rows_are_the_same_before_during_and_after_a_compaction(place: WarehouseLocation, target: Warehouse) -> None:
    load_pages(target, range(10))
    target.load([entries(*range(5), description="changed", at="2025-05-03T00:00:00Z")])
    before = rows(target, "select * from time_entries order by id")
    assert count(target, "stored_time_entries") == 0
    load_pages(target, range(10, 16))
    assert count(target, "stored_time_entries") >= 10
    assert rows(target, "select * from time_entries where id < 10 order by id") == before
    assert count(target, "toggl_commits", "is_empty = 1") == 0
    pass_overlap(place)
    assert rows(target, "select * from time_entries where id < 10 order by id") == before
    load_pages(target, range(16, 40))
    assert count(target, "toggl_commits", "is_empty = 1") > 10
    assert rows(target, "select * from time_entries where id < 10 order by id") == before
    assert target.counts()["time_entries"] == 40
    found = target.find_state("time_entries", "w")
    assert found is not None
    assert found.requests_spent == 40


@pytest.mark.parametrize("table", ["stored_time_entries", "stored_sync_state", "toggl_compactions"])
def test_a_load_succeeds_where_its_compaction_fails_and_a_later_one_repeats_it(
    clickhouse: ClickhouseServer,
    place: WarehouseLocation,
    target: Warehouse,
    caplog: pytest.LogCaptureFixture,
    table: str,
) -> None:
    clickhouse.fail(f"insert into .?{table}", 243, "Not enough space. (NOT_ENOUGH_SPACE)")
    load_pages(target, range(20))
    assert "Commits were not compacted" in caplog.text
    clickhouse.heal()
    assert target.counts()["time_entries"] == 20
    with place.open() as other:
        load_pages(other, range(20, 60))
        pass_overlap(place)
        assert other.counts()["time_entries"] == 60
        assert count(other, "stored_time_entries") >= 30


def test_a_deleted_row_stays_deleted(place: WarehouseLocation, target: Warehouse) -> None:
    broken = decode("tags", {"id": "one", "name": "x", "at": "2025-05-02T17:03:50+00:00"})
    target.load([broken])
    load_pages(target, range(17))
    assert count(target, "rejected_records") == 1
    with target.transaction() as session:
        session.fetch_workspace("rejected_records", None)
        session.run('delete from "rejected_records"')
    assert count(target, "rejected_records") == 0
    load_pages(target, range(17, 40))
    pass_overlap(place)
    assert count(target, "rejected_records") == 0


# -- costs ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1_000, 100_000])
def test_a_page_costs_at_most_six_statements_and_fewer_if_it_is_known(clickhouse: ClickhouseServer, size: int) -> None:
    new, again, changed = measure_loads(clickhouse, f"costs_{size}", size)
    # Two of them read the state again.
    assert new["statements"] <= 5
    assert again["statements"] <= 3
    assert changed["statements"] <= 6
    assert new["sent"] < 80 * size + 20_000


def test_a_compaction_comes_once_in_sixteen_loads(clickhouse: ClickhouseServer) -> None:
    target, client = open_counting(clickhouse, "compacting")
    with target:
        load_pages(target, range(32))
    inserts = [sql for sql in client.statements if sql.lower().startswith("insert")]
    assert sum("toggl_compactions" in sql.split("(")[0] for sql in inserts) == 2
    assert len(client.statements) < 32 * 5 + 2 * 8


# -- faults -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "code", "fault"),
    [
        ("insert into", 497, DatabaseFault.MISSING_RIGHT),
        ("insert into", 241, DatabaseFault.OUT_OF_MEMORY),
        ("insert into", 243, DatabaseFault.DISK_FULL),
        ("insert into", 252, DatabaseFault.OTHER),
        ("insert into", 164, DatabaseFault.READ_ONLY),
        ("insert into", 201, DatabaseFault.OTHER),
        ("select", 202, DatabaseFault.TOO_MANY_CONNECTIONS),
        ("select", 497, DatabaseFault.MISSING_RIGHT),
        ("select", 159, DatabaseFault.CANCELED),
        ("select", 516, DatabaseFault.BAD_CREDENTIALS),
        ("insert into", 0, DatabaseFault.CONNECTION_LOST),
        ("select", 0, DatabaseFault.CONNECTION_LOST),
    ],
)
def test_a_load_that_fails_stores_nothing_and_says_why(
    clickhouse: ClickhouseServer, target: Warehouse, statement: str, code: int, fault: DatabaseFault
) -> None:
    target.load([entries(1)], progress(1))
    target.close()
    clickhouse.fail(statement, code, "ordered by a test")
    with pytest.raises(WarehouseError) as error:
        target.load([entries(2), tags(1)], progress(2))
    assert error.value.fault is fault
    assert isinstance(error.value, WarehouseReadOnly) == (
        fault in (DatabaseFault.READ_ONLY, DatabaseFault.MISSING_RIGHT)
    )
    clickhouse.heal()
    state = target.find_state("time_entries", "w")
    assert state is not None
    assert state.cursor == "1"
    assert (target.counts()["time_entries"], target.counts()["tags"]) == (1, 0)


@pytest.mark.parametrize("right", ["create database", "create table", "create or replace view"])
def test_a_right_that_is_missing_to_create_the_tables_is_named(
    clickhouse: ClickhouseServer, place: WarehouseLocation, right: str
) -> None:
    text = (
        "toggl: Not enough privileges. To execute this query, it's necessary to have the grant CREATE. (ACCESS_DENIED)"
    )
    clickhouse.fail(right, 497, text)
    with place.open() as target, pytest.raises(WarehouseReadOnly, match="necessary to have the grant CREATE"):
        target.prepare()
    clickhouse.heal()
    with place.open() as target:
        target.load([entries(1)])
        assert target.counts()["time_entries"] == 1


def test_wrong_credentials_are_an_error_without_the_password(clickhouse: ClickhouseServer) -> None:
    store = ClickhouseStore(lambda: clickhouse.connect(password="another secret"), "toggl", "ClickHouse")
    with Warehouse(TableStoreEngine(store)) as target, pytest.raises(WarehouseError) as error:
        target.prepare()
    assert error.value.fault is DatabaseFault.BAD_CREDENTIALS
    assert "another secret" not in str(error.value)


@pytest.mark.parametrize(
    "change",
    [
        'alter table "stored_time_entries" drop column "description"',
        'alter table "toggl_commits" drop column "time_entries.description"',
        'alter table "stored_time_entries" modify column "duration" Nullable(String)',
        'drop table "stored_tags"',
        'drop table "stored_sync_state"',
    ],
)
def test_a_table_that_somebody_altered_is_named_and_nothing_is_half_loaded(
    place: WarehouseLocation, target: Warehouse, change: str
) -> None:
    target.load([entries(1)], progress(1))
    with open_store(place)._open_client as client:
        client.raw_query(f"{change} settings mutations_sync = 1" if "modify" in change else change)
    target.close()
    with open_store(place)._open_client as client:
        before = client.raw_query("select max(revision) from toggl_commits")
        with pytest.raises(WarehouseError, match=r"put it back|change it back") as error:
            target.load([entries(1, description="x", at="2025-06-01T00:00:00Z"), tags(1)], progress(2))
        assert error.value.fault is DatabaseFault.MISSING_OBJECT
        assert client.raw_query("select max(revision) from toggl_commits") == before


def test_a_column_that_is_missing_is_added_when_the_tables_are_brought_to_a_version(
    place: WarehouseLocation, target: Warehouse
) -> None:
    target.load([entries(1)])
    store = open_store(place)
    for sql in (
        'alter table "stored_time_entries" drop column "currency"',
        'alter table "toggl_commits" drop column "time_entries.currency"',
    ):
        store._open_client.raw_query(sql)
    store.create()
    store.close()
    target.load([entries(2)])
    assert rows(target, "select id, currency from time_entries order by id") == [(1, None), (2, "USD")]


def test_tables_that_were_half_created_are_completed(clickhouse: ClickhouseServer, place: WarehouseLocation) -> None:
    for statement in ("stored_tags", "view .tags.", "view .time_entry_history."):
        clickhouse.fail(f"create .*{statement}", 0, "")
        with place.open() as target, pytest.raises(WarehouseError):
            target.prepare()
        clickhouse.heal()
    with place.open() as target:
        target.load([tags(1)])
        assert target.counts()["tags"] == 1


def test_commits_that_were_dropped_are_not_begun_again(place: WarehouseLocation, target: Warehouse) -> None:
    load_pages(target, range(17))
    target.close()
    with open_store(place)._open_client as client:
        client.raw_query("drop table toggl_commits")
        client.raw_query("drop view time_entry_history")
    with pytest.raises(WarehouseError, match="somebody dropped the table toggl_commits"):
        target.prepare()


def test_tables_of_a_later_version_are_refused(target: Warehouse) -> None:
    with target.transaction() as session:
        session.run("insert into schema_version select 99, applied_at from schema_version limit 1")
    target.close()
    with pytest.raises(SchemaTooNew):
        target.prepare()


def test_a_zone_that_the_server_does_not_know_is_refused(target: Warehouse) -> None:
    store = target._engine.store  # type: ignore[attr-defined]
    store.check_zone("Europe/Berlin")
    with pytest.raises(ConfigurationError, match="'Europe/Nowhere'"):
        store.check_zone("Europe/Nowhere")


# -- queries ----------------------------------------------------------------------------------------------------------


def test_views_have_what_duckdb_s_views_have_of_the_same_rows(
    place: WarehouseLocation, target: Warehouse, tmp_path: Path
) -> None:
    # Both days on which Berlin's clocks change, and a name of each kind.
    starts = ["2025-03-29T22:59:59Z", "2025-03-29T23:00:00Z", "2025-03-30T21:59:59Z", "2025-03-30T22:00:00Z"]
    starts += ["2025-10-25T21:59:59Z", "2025-10-25T22:00:00Z", "2025-10-26T22:59:59Z", "2025-10-26T23:00:00Z"]
    stamp = {"at": "2025-05-02T17:03:50+00:00"}
    batches = [
        decode("clients", {"id": 1, "wid": WORKSPACE, "name": "C", **stamp}),
        decode("projects", {"id": 20, "client_id": 1, "name": "P 'x' \\ é", **stamp}, {"id": 21, "name": "Q", **stamp}),
        decode("tasks", {"id": 5, "project_id": 20, "name": "T", **stamp}),
        decode("users", {"id": 10, "fullname": "A Person", "email": "a@b.c", **stamp}),
        tags(1, 2),
        *(
            entries(
                100 + number, start=start, stop=start, at=start, seconds=None if number == 3 else number * 1000 + 1,
                tag_ids=[[], [1], [2, 1], [9, 1]][number % 4],
                billable_amount_in_cents=[None, 29, 12345, 1][number % 4],
                project_id=[20, 21, 99, None][number % 4], task_id=[None, 5][number % 2],
            ) if number != 3 else entries(100 + number, start=start, at=start)
            for number, start in enumerate(starts)
        ),
    ]  # fmt: skip
    history = [seen for number in range(6) for seen in draw_history(random.Random(number), [number + 1], 12)]
    with build_duckdb_warehouse(tmp_path / "w.duckdb") as truth:
        for warehouse in (truth, target):
            warehouse.set_timezone("Europe/Berlin")
            warehouse.keep_history(True)
            for batch in (*batches, *history):
                warehouse.load([batch])
        for view, order in (
            ("time_entry_facts", "time_entry_id"),
            ("live_time_entries", "id"),
            ("time_entry_changes", 'time_entry_id, "step", "field", "kind"'),
            ("time_entry_history", 'time_entry_id, "step", "field", "kind"'),
            ("time_entry_versions", "id"),
        ):
            sql = f"select * from {view} order by {order}"
            wanted, found = truth.query(sql), target.query(sql)
            assert found.column_names == wanted.column_names
            assert wanted.num_rows > 5
            for name in wanted.column_names:
                assert found[name].to_pylist() == wanted[name].to_pylist(), (view, name)
        days = {str(day) for (day,) in rows(target, "select local_date from time_entry_facts")}
        assert {"2025-03-29", "2025-03-30", "2025-03-31", "2025-10-25", "2025-10-26", "2025-10-27"} <= days


def test_the_package_s_own_queries_run(target: Warehouse) -> None:
    broken = decode("tags", {"id": "one", "name": "x", "at": "2025-05-02T17:03:50+00:00"})
    target.load([entries(1, 2, tag_ids=[1]), tags(1), broken], progress(1))
    queries = EntryQueries(target, WORKSPACE)
    bounds = queries.find_bounds()
    assert bounds is not None
    begin, end = to_micros(bounds[0]), to_micros(bounds[1]) + 1
    assert queries.find_rows(begin, end).ids.tolist() == [1, 2]
    assert queries.find_neighbours(end, end).ids.tolist() == [1, 2]
    assert queries.find_outdated(begin, end).tolist() == []
    assert queries.find_live(queries.find_rows(begin, end).ids).tolist() == [1, 2]
    assert [row[:2] for row in rows(target, _FIND_PROGRESS)] == [("time_entries", "w")]
    assert (redrive_rejected(target).tried, target.counts()["tags"]) == (1, 1)


@pytest.mark.parametrize("text", ["it's", "a\\b", "tab\tline\n", "é😀", "{p0:String}", "%s", "?"])
def test_a_text_comes_back_as_the_parameter_that_it_was(target: Warehouse, text: str) -> None:
    assert rows(target, "select ? as a, '?' as b, ? as c", [text, at(0.5)]) == [(text, "?", at(0.5))]


def test_instants_of_any_precision_come_as_microseconds_in_utc(target: Warehouse) -> None:
    sql = (
        "select toDateTime('2026-01-01 00:00:00', 'Europe/Berlin') as a, toDateTime64('2026-01-01 00:00:00.1', 1) as b"
    )
    assert [str(type_) for type_ in target.query(sql).schema.types] == ["timestamp[us, tz=UTC]"] * 2


def test_a_query_that_fails_is_an_error_of_the_warehouse(target: Warehouse) -> None:
    with pytest.raises(WarehouseError, match=r"ClickHouse error 60") as error:
        target.query("select nothing from nowhere")
    assert error.value.fault is DatabaseFault.MISSING_OBJECT
