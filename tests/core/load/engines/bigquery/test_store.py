"""The store on an emulator: what the contract of warehouses does not ask of every engine."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

pytest.importorskip("google.cloud.bigquery")

from support.entry_histories import draw_history
from support.servers.bigquery import BigQueryServer, build_store, connect, measure_loads
from support.toggl_rows import NOON, WORKSPACE, decode, entries, report_row, tags
from support.warehouses import rows

from airflow_provider_toggl.core.errors import DatabaseFault, WarehouseError
from airflow_provider_toggl.core.load.engines.bigquery import statements
from airflow_provider_toggl.core.load.engines.bigquery.values import build_parts
from airflow_provider_toggl.core.load.engines.duckdb.engine import build_duckdb_warehouse
from airflow_provider_toggl.core.load.engines.table_store.contract import CommitConflict, TableChange
from airflow_provider_toggl.core.load.engines.table_store.engine import TableStoreEngine
from airflow_provider_toggl.core.load.engines.table_store.tables import STATE_TABLES
from airflow_provider_toggl.core.load.merging import rule
from airflow_provider_toggl.core.load.tables.schemas import TABLES
from airflow_provider_toggl.core.load.values import Progress
from airflow_provider_toggl.core.load.warehouse import Warehouse
from airflow_provider_toggl.core.operate.health import collect
from airflow_provider_toggl.core.reconcile.entry_queries import EntryQueries
from airflow_provider_toggl.core.sync.redrive import redrive_rejected

if TYPE_CHECKING:
    from airflow_provider_toggl.core.load.engines.bigquery.store import BigQueryStore

pytestmark = [pytest.mark.soak, pytest.mark.clouds, pytest.mark.xdist_group("bigquery")]

numbers = itertools.count(1)
COUNTER = STATE_TABLES["change_counter"]
NONE = pa.array([], pa.int64())
COUNTED = TableChange(COUNTER, pa.table({"seq": [5]}), NONE, NONE)
PROGRESS = Progress("time_entries", "7", NOON, "1", 1, NOON)


@pytest.fixture
def dataset() -> str:
    return f"store_{next(numbers)}"


@pytest.fixture
def store(bigquery: BigQueryServer, dataset: str) -> BigQueryStore:
    return build_store(bigquery.port, dataset)


@pytest.fixture
def target(store: BigQueryStore) -> Iterator[Warehouse]:
    with Warehouse(TableStoreEngine(store, lock_timeout=60)) as target:
        yield target


def run(bigquery: BigQueryServer, sql: str) -> None:
    with connect(bigquery.port) as client:
        client.query(sql).result()


def test_a_commit_with_an_outdated_revision_stores_nothing(store: BigQueryStore, target: Warehouse) -> None:
    target.load([tags(1)], PROGRESS)
    revision = store.read_state().revision
    target.load([tags(2)], PROGRESS)
    with pytest.raises(Exception, match=statements.CONFLICT) as raised:
        store.commit(revision, [COUNTED])
    assert isinstance(store.translate(raised.value), CommitConflict)
    assert store.read_state().revision == revision + 1


def test_the_server_goes_away_between_upload_and_script_and_nothing_is_stored(
    monkeypatch: pytest.MonkeyPatch, dataset: str
) -> None:
    server = BigQueryServer()
    store = build_store(server.port, dataset, retry_seconds=20)
    upload = store._upload

    def upload_and_lose_the_server(content: bytes) -> str:
        name = upload(content)
        server.stop()
        return name

    with Warehouse(TableStoreEngine(store)) as target:
        target.prepare()
        monkeypatch.setattr(store, "_upload", upload_and_lose_the_server)
        with pytest.raises(WarehouseError, match="no answer") as raised:
            target.load([entries(1)], PROGRESS)
    assert raised.value.fault is DatabaseFault.UNREACHABLE


def test_a_script_that_fails_in_the_middle_stores_nothing_and_its_upload_expires(
    bigquery: BigQueryServer, store: BigQueryStore, target: Warehouse, dataset: str
) -> None:
    target.load([tags(1)], PROGRESS)
    run(bigquery, f"drop table {dataset}.time_entries")
    with pytest.raises(WarehouseError) as raised:
        # Of the tables that it changes, this one comes after those of the state.
        target.load([entries(1), tags(2)], Progress("time_entries", "7", NOON, "2", 1, NOON))
    assert raised.value.fault is DatabaseFault.MISSING_OBJECT
    state = target.find_state("time_entries", "7")
    assert state is not None
    assert state.cursor == "1"
    assert rows(target, 'select "id" from "tags"') == [(1,)]


def test_an_upload_has_a_time_at_which_bigquery_deletes_it(
    monkeypatch: pytest.MonkeyPatch, store: BigQueryStore, target: Warehouse
) -> None:
    target.prepare()
    store.open()
    made: list[Any] = []
    create = store.client.create_table
    monkeypatch.setattr(store.client, "create_table", lambda table, **more: made.append(table) or create(table, **more))
    store._upload(build_parts([COUNTED]))
    assert timedelta(hours=23) < made[0].expires - datetime.now(timezone.utc) < timedelta(hours=25)


@pytest.mark.parametrize(
    "change",
    [
        "alter table {0}.tags drop column name",
        "create or replace table {0}.settings as select 1 as key",
        "drop table {0}.sync_state",
    ],
)
def test_a_table_that_somebody_altered_is_an_error_with_a_cure(
    bigquery: BigQueryServer, target: Warehouse, dataset: str, change: str
) -> None:
    target.load([tags(1)], PROGRESS)
    run(bigquery, change.format(dataset))
    target.close()
    with pytest.raises(WarehouseError, match=r"altered it: put it back") as raised:
        target.load([tags(1, 2, seconds=1)], PROGRESS)
    assert raised.value.fault is DatabaseFault.MISSING_OBJECT


def test_tables_columns_and_views_that_are_missing_are_added(
    bigquery: BigQueryServer, target: Warehouse, dataset: str
) -> None:
    run(bigquery, f"create schema {dataset}")
    run(bigquery, f"create table {dataset}.projects (id int64, workspace_id int64, name string)")
    target.load([decode("projects", {"id": 1, "name": "P", "currency": "EUR"})])
    assert rows(target, 'select "name", "currency" from "projects"') == [("P", "EUR")]
    assert rows(target, 'select * from "time_entry_facts"') == []


def test_a_revision_that_somebody_deleted_is_said(bigquery: BigQueryServer, target: Warehouse, dataset: str) -> None:
    target.prepare()
    run(bigquery, f"delete from {dataset}.{statements.REVISION} where true")
    target.close()
    with pytest.raises(WarehouseError, match="must have exactly one row"):
        target.load([tags(1)])


# -- what it costs ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1_000, 100_000])
def test_a_load_takes_four_jobs_however_many_rows_it_has(bigquery: BigQueryServer, dataset: str, count: int) -> None:
    new, again, changed = measure_loads(bigquery.port, dataset, count)
    assert (new["jobs"], again["jobs"], changed["jobs"]) == (4, 2, 4)


def test_a_run_without_changes_writes_nothing(store: BigQueryStore, target: Warehouse) -> None:
    target.load([tags(1)], PROGRESS)
    revision = store.read_state().revision
    target.load([tags(1)])
    target.prepare()
    assert store.read_state().revision == revision


# -- queries and views ------------------------------------------------------------------------------------------------


def test_each_query_of_the_package_runs(target: Warehouse) -> None:
    target.load([entries(1, tag_ids=[5]), tags(5), decode("tags", {"id": 6})], PROGRESS)
    queries = EntryQueries(target, WORKSPACE)
    day = int(datetime(2025, 5, 1, tzinfo=timezone.utc).timestamp()) * 1_000_000
    begin, end = day, day + 86_400_000_000
    assert queries.find_rows(begin, end).ids.tolist() == [1]
    assert queries.find_neighbours(end, end).ids.tolist() == [1]
    assert queries.find_live(queries.find_rows(begin, end).ids).tolist() == [1]
    assert queries.find_bounds() is not None
    assert queries.find_outdated(begin, end).tolist() == []
    assert target.query(collect._FIND_PROGRESS)["stream"].to_pylist() == ["time_entries"]
    assert redrive_rejected(target).tried == 1
    for table in TABLES.values():
        assert target.query(rule.count_rows(table)).num_rows == 1


DST_STARTS = ["2025-03-29T23:30:00Z", "2025-03-30T21:59:59Z", "2025-10-25T22:00:00Z", "2025-10-26T22:59:59.5Z"]


def test_views_show_what_they_show_in_duckdb(target: Warehouse, tmp_path: Path) -> None:
    history = draw_history(random.Random(5), [1, 2, 3], 40)
    facts = [report_row(900 + n, start=start, tag_ids=[2, 1]) for n, start in enumerate(DST_STARTS)]
    batches = [
        *history,
        tags(1, 2),
        decode("time_entries", *facts, report_row(950, billable_amount_in_cents=1999, task_id=4)),
        decode("users", {"id": 10, "fullname": "Ada"}),
        decode("projects", {"id": 20, "name": "P", "client_id": 3}),
        decode("clients", {"id": 3, "name": "C"}),
    ]
    with build_duckdb_warehouse(tmp_path / "w.duckdb") as duckdb:
        found = {}
        for place in (target, duckdb):
            place.prepare("Europe/Berlin")
            place.keep_history(True)
            for begin in range(0, len(batches), 15):
                place.load(batches[begin : begin + 15])
            found[place] = {view: _comparable(place, view) for view in VIEWS}
    for view in VIEWS:
        assert found[target][view], view
        assert found[target][view] == found[duckdb][view]


VIEWS = {
    "live_time_entries": '"id"',
    "time_entry_facts": '"time_entry_id"',
    "time_entry_changes": '"time_entry_id", "step", "kind", "field"',
    "time_entry_history": '"time_entry_id", "step", "kind", "field"',
}


def _comparable(place: Warehouse, view: str) -> list[dict[str, Any]]:
    found = place.query(f'select * from "{view}" order by {VIEWS[view]}').to_pylist()
    return [{name: _plain(name, value) for name, value in row.items()} for row in found]


def _plain(name: str, value: Any) -> Any:
    # Lists are texts, and an array cannot be null.
    if name == "tag_ids" and isinstance(value, list):
        return str(value).replace(" ", "")
    return None if value == [] else float(value) if name in ("hours", "amount") and value is not None else value


# -- sudden ends ------------------------------------------------------------------------------------------------------


def wait_for_a_page(read: Callable[[], str]) -> None:
    assert read().strip() == "0"
