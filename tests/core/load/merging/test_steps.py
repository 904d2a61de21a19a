from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.toggl_rows import NOON, at, decode, entries, tags
from support.truth import live

from airflow_provider_toggl.core.load.decode.records import RejectedRecord
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


def test_a_rejected_record_is_stored_once_with_its_latest_reason(target: Warehouse) -> None:
    records = tuple(RejectedRecord("tags", 7, '{"id": 5}', f"name: missing at {n}", at(n)) for n in (1, 3, 2))
    target.load([replace(tags(1), rejected=records[:1])])
    target.load([replace(tags(1), rejected=records)])
    found = target.query("select raw, reason from rejected_records").to_pylist()
    assert found == [{"raw": '{"id": 5}', "reason": "name: missing at 3"}]


def load_organization(target: Warehouse, workspace_id: int, seconds: int, *ids: int) -> int:
    """Load a complete list of the organization's users through a workspace; return how many others it marks absent."""
    listed = ({"id": id_, "user_id": id_} for id_ in ids)
    users = decode("organization_users", *listed, seconds=seconds, workspace_id=workspace_id)
    return target.load([users], None, Sweep(workspace_id, at(seconds))).absent


@pytest.mark.parametrize("loads", [(7, 8), (8, 7), (7, 8, 8)])
def test_of_two_workspaces_of_an_organization_one_that_sees_fewer_users_marks_none_absent(
    target: Warehouse, warehouse: Path, loads: tuple[int, ...]
) -> None:
    sees = {7: (1, 2, 3), 8: (1, 2)}
    known: set[int] = set()
    for seconds, workspace_id in enumerate(loads * 2):
        known.update(sees[workspace_id])
        assert load_organization(target, workspace_id, seconds, *sees[workspace_id]) == 0
        found = live(warehouse, "organization_users")
        assert found.keys() == known
        assert {found[id_]["workspace_id"] for id_ in sees[workspace_id]} == {workspace_id}


@pytest.mark.parametrize("loads", [(7, 8), (8, 7)])
def test_a_user_who_left_the_organization_is_marked_absent_by_the_workspace_that_saw_them_last_and_once(
    target: Warehouse, warehouse: Path, loads: tuple[int, int]
) -> None:
    for seconds, workspace_id in enumerate(loads):
        load_organization(target, workspace_id, seconds, 1, 2)
    marked = [load_organization(target, loads[number % 2], 10 + number, 1) for number in range(4)]
    assert marked == [0, 1, 0, 0]
    assert live(warehouse, "organization_users").keys() == {1}
