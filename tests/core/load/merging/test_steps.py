from __future__ import annotations

from pathlib import Path

from support.toggl_rows import entries, tags

from airflow_provider_toggl.core.load.engines.duckdb.engine import build_duckdb_warehouse
from airflow_provider_toggl.core.load.engines.duckdb.file import run
from airflow_provider_toggl.core.load.warehouse import Warehouse


def test_a_load_leaves_no_temporary_tables_behind(target: Warehouse, warehouse: Path) -> None:
    with build_duckdb_warehouse(warehouse, hold_seconds=60) as holding:
        for seconds in (1, 2, 2):
            holding.load([entries(1, 1, 2, seconds=seconds)])
        left = run(holding._engine.connection, "select table_name from duckdb_tables() where temporary")
        views = run(holding._engine.connection, "select view_name from duckdb_views() where view_name like 'toggl%'")
    assert (left, views) == ([], [])


def test_batches_of_a_stream_that_lie_apart_are_merged_together(target: Warehouse) -> None:
    loaded = target.load([entries(1, 2), tags(1), entries(2, 3, seconds=1)])
    assert (loaded.inserted, loaded.unchanged) == (4, 1)
