from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.toggl_rows import NOON, WORKSPACE, decode, entries, tags
from support.warehouses import WarehouseLocation

from airflow_provider_toggl.core.extract.windows import DAY
from airflow_provider_toggl.core.load.values import Sweep
from airflow_provider_toggl.core.load.warehouse import Warehouse
from airflow_provider_toggl.core.reconcile.compare import as_ids, to_micros
from airflow_provider_toggl.core.reconcile.entry_queries import EntryQueries

BEGIN, END = to_micros(NOON), to_micros(NOON + DAY)
MINUTES = DAY / 1440


@pytest.fixture(params=["duckdb", "sqlite"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Warehouse]:
    """A warehouse with lists of tags, and one that keeps them as JSON."""
    path = tmp_path / f"warehouse.{request.param}"
    if request.param == "sqlite":
        sqlite3.connect(path).close()
    with WarehouseLocation(request.param, str(path)).open() as target:
        yield target


def starting(*minutes: int) -> list[dict[str, object]]:
    """Return entries that start so many minutes after noon, with the minutes plus 100 as their ids."""
    return [{"id_": 100 + each, "start": (NOON + each * MINUTES).isoformat()} for each in minutes]


def test_rows_of_a_range_and_their_neighbours_are_found(target: Warehouse) -> None:
    early, late = range(-30, 0), range(1440, 1470)
    batches = [entries(one.pop("id_"), **one) for one in starting(*early, 0, 1439, *late)]
    target.load(batches)
    queries = EntryQueries(target, WORKSPACE)
    assert sorted(queries.find_rows(BEGIN, END).ids) == [100, 1539]
    assert sorted(queries.find_neighbours(BEGIN, END).ids) == [*range(80, 100), *range(1540, 1560)]
    assert queries.find_bounds() == (NOON - 30 * MINUTES, NOON + 1469 * MINUTES)
    other = EntryQueries(target, WORKSPACE + 1)
    assert (other.find_bounds(), len(other.find_rows(BEGIN, END))) == (None, 0)


def test_live_ids_are_found_however_many_are_asked_for(target: Warehouse) -> None:
    target.load([entries(1, 500, 501, 1001)])
    queries = EntryQueries(target, WORKSPACE)
    assert sorted(queries.find_live(as_ids(range(1, 1002)))) == [1, 500, 501, 1001]
    assert queries.find_live(as_ids(())).tolist() == []


def test_entries_with_a_tag_or_task_that_was_deleted_are_outdated(target: Warehouse) -> None:
    day = {"start": NOON.isoformat()}
    target.load([entries(1, tag_ids=[5, 6], **day), entries(2, tag_ids=[5], **day), entries(3, task_id=8, **day)])
    target.load([entries(4, **day), entries(5, tag_ids=[6, 7], **day), entries(6, tag_ids=[7])])
    assert EntryQueries(target, WORKSPACE).find_outdated(BEGIN, END).tolist() == []
    deleted = {"at": "2025-05-03T00:00:00+00:00", "server_deleted_at": "2025-05-03T00:00:00+00:00"}
    target.load([tags(5), decode("tags", {"id": 6, "name": "gone", **deleted})])
    assert EntryQueries(target, WORKSPACE).find_outdated(BEGIN, END).tolist() == [1, 5]
    task = {"id": 9, "name": "listed", "project_id": 20, "at": "2025-05-02T17:03:50+00:00"}
    target.load([decode("tasks", task)], sweep=Sweep(WORKSPACE, NOON))
    assert EntryQueries(target, WORKSPACE).find_outdated(BEGIN, END).tolist() == [1, 3, 5]
    target.load([tags(5, 7, seconds=1)], sweep=Sweep(WORKSPACE, NOON))
    assert EntryQueries(target, WORKSPACE).find_outdated(BEGIN, END).tolist() == [1, 3, 5]
    assert EntryQueries(target, WORKSPACE).find_outdated(END, END + 1).tolist() == []
