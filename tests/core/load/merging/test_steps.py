from __future__ import annotations

from pathlib import Path
from typing import Any

from support.toggl_rows import NOON, at, entries, tags

from airflow_provider_toggl.core.load.engines.duckdb.engine import build_duckdb_warehouse
from airflow_provider_toggl.core.load.values import LoadResult, Progress, Sweep
from airflow_provider_toggl.core.load.warehouse import Warehouse


def test_a_load_leaves_no_temporary_tables_behind(target: Warehouse, warehouse: Path) -> None:
    with build_duckdb_warehouse(warehouse, hold_seconds=60) as holding:
        for seconds in (1, 2, 2):
            holding.load([entries(1, 1, 2, seconds=seconds)])
        left = holding._engine.run("select table_name from duckdb_tables() where temporary")
        views = holding._engine.run("select view_name from duckdb_views() where view_name like 'toggl%'")
    assert (left, views) == ([], [])


def test_batches_of_a_stream_that_lie_apart_are_merged_together(target: Warehouse) -> None:
    loaded = target.load([entries(1, 2), tags(1), entries(2, 3, seconds=1)])
    assert (loaded.inserted, loaded.unchanged) == (4, 1)


def test_rows_that_are_new_changed_or_absent_are_counted_for_each_stream(target: Warehouse) -> None:
    assert target.load([entries(1, 2), tags(1, 2), entries(3)]).written == {"time_entries": 3, "tags": 2}
    assert target.load([entries(3), tags(1, seconds=60)], None).written == {"time_entries": 0, "tags": 0}
    assert target.load([tags(1, seconds=60)], None, Sweep(7, at(30))).written == {"tags": 1}


def test_changed_ids_are_limited_and_returned_on_request_only(target: Warehouse) -> None:
    batch = entries(*range(2000))
    loaded = target.load([batch], collect_days=True)
    assert len(loaded.changed_ids) == 1000
    assert set(loaded.changed_ids) <= set(range(2000))
    assert target.load([entries(3000)]) == LoadResult(inserted=1)


def test_few_absent_rows_or_a_small_share_or_what_a_person_allows_are_accepted(target: Warehouse) -> None:
    cases: list[tuple[int, int, dict[str, Any]]] = [
        (100, 20, {}),
        (10, 10, {}),
        (200, 40, {}),
        (100, 60, {"limit_share": 1.0}),
        (100, 60, {"limit_rows": 60}),
    ]
    for workspace, (known, gone, limits) in enumerate(cases, start=1):
        first = 1000 * workspace
        target.load([tags(*range(first, first + known), workspace_id=workspace)])
        seen = tags(*range(first + gone, first + known), seconds=10, workspace_id=workspace)
        assert (
            target.load([seen], Progress("tags", "7", NOON, "{}", 1, NOON), Sweep(workspace, at(10), **limits)).absent
            == gone
        )
