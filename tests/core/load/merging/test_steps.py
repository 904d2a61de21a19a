from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
from support.observations import entries, query, tags

from airflow_provider_toggl.core.errors import WarehouseError
from airflow_provider_toggl.core.load.engines.duckdb.engine import build_duckdb_warehouse
from airflow_provider_toggl.core.load.engines.duckdb.file import run
from airflow_provider_toggl.core.load.warehouse import LoadResult, Warehouse


def test_a_failure_at_the_last_step_takes_back_all_steps(
    target: Warehouse, warehouse: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target.load([entries(1)])

    def fail(*_: object) -> None:
        raise duckdb.IOException("No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("airflow_provider_toggl.core.load.merging.steps.store_rejected", fail)
        with pytest.raises(WarehouseError, match="No space left on device"):
            target.load([entries(1, 2, seconds=5), tags(1)])
    assert query(warehouse, "select id, second(seen_at) from time_entries") == [(1, 0)]
    assert target.counts()["tags"] == 0
    assert target.load([entries(1, 2, seconds=5)]) == LoadResult(inserted=1, unchanged=1)


def test_a_landing_leaves_no_temporary_tables_behind(target: Warehouse, warehouse: Path) -> None:
    with build_duckdb_warehouse(warehouse, hold_seconds=60) as holding:
        for seconds in (1, 2, 2):
            holding.load([entries(1, 1, 2, seconds=seconds)])
        left = run(holding._engine.connection, "select table_name from duckdb_tables() where temporary")
        views = run(holding._engine.connection, "select view_name from duckdb_views() where view_name like 'toggl%'")
    assert (left, views) == ([], [])


def test_batches_of_a_stream_that_lie_apart_are_merged_together(target: Warehouse) -> None:
    landed = target.load([entries(1, 2), tags(1), entries(2, 3, seconds=1)])
    assert (landed.inserted, landed.unchanged) == (4, 1)
