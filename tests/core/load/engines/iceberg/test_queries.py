"""Queries by DuckDB, which read only what they name."""

from __future__ import annotations

from datetime import date, datetime, timezone
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from support.toggl_rows import NOON, WORKSPACE, decode, entries, tags
from support.warehouses import WarehouseLocation

from airflow_provider_toggl.core.extract.windows import DAY
from airflow_provider_toggl.core.load.engines.duckdb.engine import DUCKDB
from airflow_provider_toggl.core.load.engines.iceberg import queries
from airflow_provider_toggl.core.load.engines.table_store.tables import STORED_TABLES
from airflow_provider_toggl.core.load.engines.table_store.views import build_views
from airflow_provider_toggl.core.load.tables.reads import VIEWS
from airflow_provider_toggl.core.load.values import Progress
from airflow_provider_toggl.core.load.warehouse import Warehouse
from airflow_provider_toggl.core.operate.health.collect import read_streams
from airflow_provider_toggl.core.operate.health.facts import Health
from airflow_provider_toggl.core.reconcile.compare import as_ids, to_micros
from airflow_provider_toggl.core.reconcile.entry_queries import EntryQueries
from airflow_provider_toggl.core.sync.redrive import redrive_rejected
from airflow_provider_toggl.report.weeks import build_report

# One process makes the rows for all of them.
pytestmark = pytest.mark.xdist_group("iceberg-queries")


def read_in(sql: str) -> set[str]:
    """Return the tables that a query reads."""
    named: set[str] = set()

    def read(name: str) -> Any:
        named.add(name)
        return pa.table({"id": [1]})

    queries.run(sql, [], read)
    return named


def test_only_tables_that_are_named_are_read() -> None:
    assert read_in('select 1 from "projects"') == {"projects"}
    assert read_in("select 1 from Projects as p") == {"projects"}
    assert read_in("select 1") == set()


def test_a_view_reads_its_tables(tmp_path: Path) -> None:
    wanted = queries._find_named('select * from "time_entry_facts"', build_views(DUCKDB))
    assert {"time_entries", "users", "projects", "clients", "tasks", "tags", "settings"} <= wanted
    assert "time_entry_versions" not in wanted


@pytest.fixture(scope="module")
def warehouses(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The same rows in Iceberg tables and in a DuckDB file: both days of a year on which the clock changes."""
    pytest.importorskip("pyiceberg")
    folder: Path = tmp_path_factory.mktemp("queries")
    places = [
        WarehouseLocation("iceberg", str(folder / "i")),
        WarehouseLocation("duckdb", str(folder / "d.duckdb")),
    ]
    opened = [place.open() for place in places]
    for target in opened:
        target.set_timezone("Europe/Berlin")
        target.keep_history(True)
        moments = [
            datetime(2025, month, day, hour, minute, tzinfo=timezone.utc).isoformat()
            for month, day in ((3, 30), (10, 26))
            for hour in (0, 1, 2, 21, 22, 23)
            for minute in (0, 59)
        ]
        target.load([entries(n, start=moment, stop=moment, tag_ids=[1, 2]) for n, moment in enumerate(moments)])
        edited = {"description": "edited", "at": "2025-12-01T00:00:00+00:00", "billable_amount_in_cents": 1}
        target.load([entries(3, seconds=50, **edited), tags(1)])
    yield opened
    for target in opened:
        target.close()


def test_views_have_the_rows_that_they_have_in_duckdb(warehouses: list[Warehouse]) -> None:
    for view in VIEWS:
        one, other = (target.query(f'select * from "{view}" order by all').to_pylist() for target in warehouses)
        assert one == other, view
        assert one or view == "time_entry_changes"


def test_every_table_and_view_can_be_queried_by_name(warehouses: list[Warehouse]) -> None:
    for name in (*STORED_TABLES, *VIEWS):
        assert warehouses[0].query(f'select count(*) from "{name}"').num_rows == 1


def test_parameters_may_be_instants_and_lists(warehouses: list[Warehouse]) -> None:
    moment = datetime(2025, 6, 1, tzinfo=timezone.utc)
    found = warehouses[0].query('select count(*) as n from "time_entries" where "start" < ? and "id" > ?', [moment, 2])
    assert found.to_pylist() == [{"n": 9}]


def test_the_package_s_own_queries_find_what_they_find_in_duckdb(warehouses: list[Warehouse]) -> None:
    begin, end = to_micros(NOON - 365 * DAY), to_micros(NOON + 365 * DAY)

    def ask(target: Warehouse) -> list[Any]:
        target.load([decode("time_entries", {"id": "no number"})], Progress("time_entries", "7", NOON, "c", 1, NOON))
        found = EntryQueries(target, WORKSPACE)
        return [
            sorted(found.find_rows(begin, end).ids.tolist()),
            sorted(found.find_neighbours(end, end + 1).ids.tolist()),
            sorted(found.find_live(as_ids(range(1000))).tolist()),
            found.find_bounds(),
            sorted(found.find_outdated(begin, end).tolist()),
            target.counts(),
            read_streams(target, Health("x", NOON), "w").streams,
            redrive_rejected(target),
            build_report(target, WORKSPACE, last=date(2025, 4, 1)),
        ]

    one, other = map(ask, warehouses)
    assert one == other
    assert len(one[0]) == 24
