from __future__ import annotations

import threading
from pathlib import Path

import duckdb
import pytest
from support.fakes import FakeClock
from support.toggl_rows import entries, query, tags

from airflow_provider_toggl.core.errors import (
    WarehouseError,
)
from airflow_provider_toggl.core.load.engines.duckdb.engine import build_duckdb_warehouse
from airflow_provider_toggl.core.load.tables import migrations
from airflow_provider_toggl.core.load.tables.migrations import MIGRATIONS
from airflow_provider_toggl.core.load.warehouse import Warehouse


def test_preparing_again_writes_nothing(target: Warehouse, warehouse: Path) -> None:
    target.prepare()
    before = warehouse.read_bytes()
    target.prepare()
    assert warehouse.read_bytes() == before


def test_a_migration_that_fails_leaves_the_version_before_it(
    target: Warehouse, warehouse: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target.prepare()
    with monkeypatch.context() as patch:
        patch.setattr(migrations, "MIGRATIONS", (*MIGRATIONS, lambda _: ["create table half (a int)", "nonsense"]))
        with pytest.raises(WarehouseError):
            target.prepare()
    assert target.counts()["tags"] == 0
    assert query(warehouse, "select count(*) from information_schema.tables where table_name = 'half'") == [(0,)]


@pytest.mark.parametrize("schema", ["toggl", "Mein Schema", 'quoted "twice"', "main"])
@pytest.mark.parametrize("name", ["toggl.duckdb", "a.b c.db"])
def test_schema_and_file_may_have_any_name_even_the_same(tmp_path: Path, schema: str, name: str) -> None:
    with build_duckdb_warehouse(tmp_path / "new" / "folder" / name, schema=schema, hold_seconds=0) as target:
        assert target.load([entries(1, 2)]).inserted == 2
        assert target.counts()["time_entries"] == 2


def test_two_schemas_in_one_file_do_not_know_each_other(warehouse: Path) -> None:
    with build_duckdb_warehouse(warehouse, schema="one") as one, build_duckdb_warehouse(warehouse, schema="two") as two:
        one.load([entries(1)])
        one.close()
        assert two.counts()["time_entries"] == 0


def test_views_read_the_tables_beside_them_also_after_the_file_was_renamed(warehouse: Path) -> None:
    with build_duckdb_warehouse(warehouse) as target:
        target.load([entries(1)])
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute("create table main.time_entries (id int)").fetchall()
    renamed = warehouse.rename(warehouse.with_name("toggl2.duckdb"))
    assert query(renamed, "select time_entry_id from toggl.time_entry_facts") == [(1,)]


def test_the_file_is_kept_open_over_calls_and_then_closed(warehouse: Path, clock: FakeClock) -> None:
    with build_duckdb_warehouse(warehouse, clock=clock, hold_seconds=2) as target:
        target.load([tags(1)])
        assert target._engine.is_open
        clock.sleep(1.9)
        target.release()
        assert target._engine.is_open
        clock.sleep(0.2)
        target.release()
        assert not target._engine.is_open
        target.load([tags(2)])
        target.release(force=True)
        assert not target._engine.is_open
        assert target.counts()["tags"] == 2


def test_threads_each_with_a_warehouse_of_their_own_take_turns(warehouse: Path) -> None:
    def load(first: int) -> None:
        with build_duckdb_warehouse(warehouse, hold_seconds=0.05, lock_timeout=60) as target:
            for number in range(5):
                target.load([entries(first + number)])
                target.release()

    threads = [threading.Thread(target=load, args=(100 * n,)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert query(warehouse, "select count(*) from time_entries") == [(15,)]
