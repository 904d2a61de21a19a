"""Faults and costs in Snowflake, and its views, against an emulator by Snowflake's own connector."""

from __future__ import annotations

import itertools
import json
import signal
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest
from support.servers.snowflake import PASSWORD, SnowflakeServer, build_store, connect, running_snowflake
from support.snowflake_costs import counted, measure_loads
from support.toggl_rows import NOON, WORKSPACE, at, decode, entries, report_row, tags
from support.warehouses import WarehouseLocation, loading, rows

from airflow_provider_toggl.core.errors import ConfigurationError, DatabaseFault, WarehouseError
from airflow_provider_toggl.core.load.engines.duckdb.engine import build_duckdb_warehouse
from airflow_provider_toggl.core.load.engines.snowflake.store import MOST_LISTED_KEYS, SnowflakeStore
from airflow_provider_toggl.core.load.engines.table_store.engine import STATE_SECONDS, TableStoreEngine
from airflow_provider_toggl.core.load.tables.schemas import TABLES
from airflow_provider_toggl.core.load.values import LoadResult, Progress, Sweep
from airflow_provider_toggl.core.load.warehouse import Warehouse
from airflow_provider_toggl.core.operate.health import collect
from airflow_provider_toggl.core.reconcile.entry_queries import EntryQueries
from airflow_provider_toggl.core.sync.redrive import redrive_rejected

pytestmark = [pytest.mark.soak, pytest.mark.clouds, pytest.mark.xdist_group("snowflake")]

numbers = itertools.count(1)
PROGRESS = Progress("time_entries", "7", NOON, "1", 1, NOON)


@pytest.fixture
def schema() -> str:
    return f"STORE_{next(numbers)}"


@pytest.fixture
def server(snowflake: SnowflakeServer) -> Iterator[SnowflakeServer]:
    yield snowflake
    snowflake.fail([])


@pytest.fixture
def store(server: SnowflakeServer, schema: str) -> SnowflakeStore:
    return build_store(server.port, schema)


@pytest.fixture
def target(store: SnowflakeStore) -> Iterator[Warehouse]:
    with Warehouse(TableStoreEngine(store, lock_timeout=5)) as target:
        yield target


def test_a_load_of_any_size_costs_at_most_six_statements_and_one_without_changes_only_reads(
    server: SnowflakeServer, schema: str
) -> None:
    costs = measure_loads(server.port, schema)
    print(json.dumps(costs))  # noqa: T201 - for those who run it with -s
    few, many = costs[:3], costs[3:]
    assert [cost["statements"] for cost in few] == [
        ["select", "select", "put", "begin"],
        ["select", "select"],
        ["select", "select", "put", "begin"],
    ]
    assert [cost["statements"] for cost in many] == [
        ["select", "put", "select", "put", "begin"],
        ["select", "put", "select"],
        ["select", "put", "select", "put", "begin"],
    ]


def test_history_costs_a_page_one_statement_more(server: SnowflakeServer, schema: str) -> None:
    new, _, changed = measure_loads(server.port, schema, (1_000,), keep_history=True)
    assert new["statements"] == changed["statements"] == ["select", "select", "select", "put", "begin"]


def test_what_exists_is_found_without_a_warehouse(store: SnowflakeStore, target: Warehouse) -> None:
    target.prepare()
    with counted(store, 0) as cost:
        assert store.exists()
    assert cost.statements == ["show"]


def test_many_keys_travel_in_a_file(store: SnowflakeStore, target: Warehouse) -> None:
    ids = range(MOST_LISTED_KEYS + 2)
    target.load([entries(*ids)])
    assert target.load([entries(*ids, seconds=5, description="x")]) == LoadResult(updated=len(ids))
    assert target.load([tags(*ids)]).inserted == len(ids)


_RIGHTS = (3001, DatabaseFault.MISSING_RIGHT, "create table, view and stage")
FAULTS = [
    ("^create schema", *_RIGHTS),
    ("^create table", *_RIGHTS),
    ("^\\s*create or replace view", *_RIGHTS),
    ("^create temporary stage", *_RIGHTS),
    ("^select", 606, DatabaseFault.MISSING_OBJECT, "Name a warehouse"),
    ("^put", 253003, DatabaseFault.UNREACHABLE, "storage behind Snowflake's stages"),
    ('^insert into "TIME_ENTRIES"', *_RIGHTS),
    ('^merge into "SYNC_STATE"', *_RIGHTS),
    ('^merge into "SYNC_STATE"', 630, DatabaseFault.CANCELED, "STATEMENT_TIMEOUT_IN_SECONDS"),
    ('^merge into "SYNC_STATE"', 90073, DatabaseFault.OTHER, "raise its quota"),
    ("^commit", 625, DatabaseFault.LOCKED, "locked one of the tables"),
]


@pytest.mark.parametrize("fault", FAULTS, ids=[f"{pattern} {code}" for pattern, code, _, _ in FAULTS])
def test_a_statement_that_fails_is_a_typed_error_with_a_cure_and_stores_nothing(
    server: SnowflakeServer, target: Warehouse, fault: tuple[str, int, DatabaseFault, str]
) -> None:
    pattern, code, meant, cure = fault
    if "create" not in pattern:
        target.load([tags(1)])
        # The state that was read last does not count as current any longer.
        time.sleep(STATE_SECONDS + 0.1)
    server.fail([{"pattern": pattern, "code": code, "message": "as the test says"}])
    with pytest.raises(WarehouseError, match=cure) as caught:
        target.load([entries(1, 2)], PROGRESS)
    assert caught.value.fault is meant
    assert "as the test says" in str(caught.value)
    server.fail([])
    assert target.counts()["time_entries"] == 0
    assert target.find_state("time_entries", "7") is None
    assert target.load([entries(1, 2)], PROGRESS).inserted == 2
    assert target.find_state("time_entries", "7") == PROGRESS


@pytest.mark.parametrize("code", [390100, 390144, 390114])
def test_a_login_that_is_refused_is_an_error_without_the_password(
    server: SnowflakeServer, target: Warehouse, code: int
) -> None:
    server.fail([{"pattern": "login", "code": code, "message": "Incorrect username or password was specified."}])
    with pytest.raises(WarehouseError, match="login, password, key or token") as caught:
        target.prepare()
    assert caught.value.fault is DatabaseFault.BAD_CREDENTIALS
    assert PASSWORD not in f"{caught.value}{caught.value.__cause__}"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # of the connector
def test_a_server_that_dies_within_a_load_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    with running_snowflake(tmp_path) as server, build_other(server, "DIES") as target:
        target.load([tags(1)])

        def load_while_it_dies() -> None:
            with target.transaction() as session:
                session.insert(TABLES["tags"], tags(2).table)
                server.stop(signal.SIGKILL)

        begin = time.monotonic()
        with pytest.raises(WarehouseError, match="the next run continues") as caught:
            load_while_it_dies()
        assert caught.value.fault in (DatabaseFault.UNREACHABLE, DatabaseFault.CONNECTION_LOST)
        assert time.monotonic() - begin < 60


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("drop column description", "name and type back"),
        ("rename column duration to seconds", "name and type back"),
        ("alter column start type varchar", "name and type back|another type"),
    ],
)
def test_a_table_that_somebody_altered_is_an_error_that_says_so(
    server: SnowflakeServer, schema: str, target: Warehouse, change: str, words: str
) -> None:
    target.load([entries(1)], PROGRESS)
    for view in ("time_entry_history", "time_entry_changes", "time_entry_facts", "live_time_entries"):
        connect(server.port, schema).cursor().execute(f"drop view {view}")
    connect(server.port, schema).cursor().execute(f"alter table time_entries {change}")
    with pytest.raises(WarehouseError, match=words):
        target.load([entries(1, 2, seconds=5, description="x")], Progress("time_entries", "7", at(5), "2", 1, at(5)))
    assert target.find_state("time_entries", "7") == PROGRESS


def test_columns_and_views_that_are_missing_are_created(
    server: SnowflakeServer, schema: str, target: Warehouse
) -> None:
    target.load([tags(1)])
    cursor = connect(server.port, schema).cursor()
    cursor.execute("drop view time_entry_facts")
    cursor.execute("alter table tags drop column creator_id")
    store = build_store(server.port, schema)
    store.open()
    store.create()
    store.close()
    assert target.load([tags(1, 2, seconds=5)]) == LoadResult(inserted=1, unchanged=1)
    assert rows(target, "select count(creator_id) from tags") == [(0,)]
    assert rows(target, "select * from time_entry_facts") == []


def test_two_processes_create_the_tables_at_once(server: SnowflakeServer, schema: str) -> None:
    place = WarehouseLocation("snowflake", str(server.port), schema)
    with loading(place, first=0, pages=1, size=1) as one, loading(place, first=5, pages=1, size=1) as other:
        assert [process.wait(timeout=120) for process in (one, other)] == [0, 0]
    with place.open() as target:
        assert target.counts()["time_entries"] == 2
        assert rows(target, "select count(*) from toggl_commits") == [(1,)]
        assert rows(target, "select count(*) from change_counter") == [(1,)]


def test_an_unknown_zone_is_refused_and_a_failing_server_is_not_taken_for_one(
    server: SnowflakeServer, store: SnowflakeStore, target: Warehouse
) -> None:
    target.prepare()
    server.fail([{"pattern": "convert_timezone", "code": 100035, "message": "Unknown timezone"}])
    with pytest.raises(ConfigurationError, match="Snowflake knows no time zone 'Europe/Berlin'"):
        target.set_timezone("Europe/Berlin")
    server.fail([{"pattern": "convert_timezone", "code": 606, "message": "No active warehouse"}])
    with pytest.raises(WarehouseError, match="Name a warehouse"):
        target.set_timezone("Europe/Berlin")


# The night with 23 hours and the one with 25, and entries at their edges.
STARTS = [
    *("2025-03-29T22:59:59Z", "2025-03-29T23:00:00Z", "2025-03-30T00:59:59Z", "2025-03-30T21:59:59Z"),
    *("2025-03-30T22:00:00Z", "2025-10-25T21:59:59Z", "2025-10-25T22:00:00Z", "2025-10-26T01:00:00Z"),
    *("2025-10-26T22:59:59Z", "2025-10-26T23:00:00Z"),
]
VIEWS = {
    "time_entry_facts": "time_entry_id",
    "live_time_entries": "id",
    "time_entry_changes": "time_entry_id, step, kind, field",
    "time_entry_history": "time_entry_id, step, kind, field",
}


def test_the_views_return_the_same_as_in_duckdb(target: Warehouse, tmp_path: Path) -> None:
    with build_duckdb_warehouse(tmp_path / "other.duckdb") as other:
        for one in (target, other):
            one.set_timezone("Europe/Berlin")
            one.keep_history(True)
            one.load([tags(5, 6)])
            one.load([decode("projects", {"id": 20, "name": "P"}), decode("users", {"id": 10, "fullname": "A Person"})])
            for seconds, text in ((0, "Work"), (5, "Other")):
                lists = ([], [6, 5], [5, 99, 6])
                found = [
                    report_row(
                        n, start=start, tag_ids=lists[n % 3], description=text, billable_amount_in_cents=n,
                        billable=bool(n % 2), at=at(seconds).isoformat(),
                    )
                    for n, start in enumerate(STARTS)
                ]  # fmt: skip
                one.load([decode("time_entries", *found, seconds=seconds)])
            one.load([decode("time_entries", *found[1:], seconds=60)], None, Sweep(WORKSPACE, at(60)))
        for view, order in VIEWS.items():
            sql = f"select * from {view} order by {order}"
            here, there = target.query(sql), other.query(sql)
            assert here.column_names == there.column_names
            plain = [plain_of(row) for row in there.to_pylist()]
            assert [plain_of(row) for row in here.to_pylist()] == plain
            assert plain


def plain_of(row: dict[str, object]) -> dict[str, object]:
    """Return a row with its lists read and its decimals as numbers."""
    found = dict(row)
    for name in ("tag_ids", "tag_names"):
        if isinstance(found.get(name), str) and str(found[name]).startswith("["):
            found[name] = json.loads(str(found[name]))
    if found.get("amount") is not None:
        found["amount"] = float(str(found["amount"]))
    return found


def test_the_package_s_own_queries_run(target: Warehouse) -> None:
    starts = [report_row(n, start=f"2025-05-0{n}T08:00:00Z", tag_ids=[5], task_id=3) for n in (1, 2, 3)]
    target.load([decode("time_entries", *starts), tags(6)], PROGRESS)
    target.load([decode("tags", {"id": 7, "colour": "x"}, {"id": 8, "name": "y"})])
    target.load([tags(6, seconds=9)], Progress("tags", "7", at(9), "", 1, at(9)), Sweep(WORKSPACE, at(9)))
    queries = EntryQueries(target, WORKSPACE)
    first, last = (int(datetime(2025, 5, n, tzinfo=timezone.utc).timestamp()) * 1_000_000 for n in (2, 3))
    assert queries.find_rows(first, last).ids.tolist() == [2]
    assert sorted(queries.find_neighbours(first, last).ids.tolist()) == [1, 3]
    assert queries.find_live(queries.find_rows(0, 2**53).ids).tolist() == [1, 2, 3]
    bounds = queries.find_bounds()
    assert bounds is not None
    assert [moment.day for moment in bounds] == [1, 3]
    assert queries.find_outdated(first, last).tolist() == [2]
    progress = target.query(collect._FIND_PROGRESS)
    assert progress["stream"].to_pylist() == ["tags", "time_entries"]
    assert (redrive_rejected(target).tried, target.counts()["time_entries"]) == (1, 3)


def test_a_commit_that_lost_the_race_is_repeated(server: SnowflakeServer, schema: str, target: Warehouse) -> None:
    target.load([tags(1)])
    with build_other(server, schema) as other:
        other.load([tags(2)])
        assert target.load([tags(3)]).inserted == 1
    assert target.counts()["tags"] == 3


def build_other(server: SnowflakeServer, schema: str) -> Warehouse:
    return Warehouse(TableStoreEngine(build_store(server.port, schema)))
