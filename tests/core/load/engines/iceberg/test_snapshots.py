"""Snapshots and their manifests stay few."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.toggl_rows import NOON, at, entries
from support.warehouses import rows

pytest.importorskip("pyiceberg")

from support.iceberg_catalogs import WatchedCatalog, watched

from airflow_provider_toggl.core.load.engines.iceberg import snapshots
from airflow_provider_toggl.core.load.engines.iceberg.store import IcebergStore
from airflow_provider_toggl.core.load.values import Progress
from airflow_provider_toggl.core.load.warehouse import Warehouse

COUNT = 'select count(*), count(distinct "id"), sum("duration") from "time_entries"'
STAGE, ROOT, PUBLISH = 1, 2, 3
"""The commits of a load of time entries, in order."""


def progress(page: int) -> Progress:
    return Progress("time_entries", "7", at(page), str(page), 1, NOON)


def cursor(target: Warehouse) -> str | None:
    found = target.find_state("time_entries", "7")
    return found.cursor if found else None


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[tuple[WatchedCatalog, IcebergStore, Warehouse]]:
    catalog, store, target = watched(tmp_path)
    with target:
        target.load([entries(*range(1, 101))], progress(1))
        yield catalog, store, target


def current_files(store: IcebergStore, table: str = "time_entries") -> set[str]:
    """Return the data files that other engines see."""
    files = store.load_table(table, again=True).inspect.files()
    return set(files["file_path"].to_pylist())


def test_old_snapshots_are_forgotten(opened: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "KEPT_SNAPSHOTS", 3)
    _, store, target = opened
    for page in range(2, 14):
        target.load([entries(100 + page)], progress(page))
    for name in ("time_entries", "toggl_state"):
        assert len(store.load_table(name, again=True).metadata.snapshots) <= 8
    assert rows(target, COUNT)[0][0] == 112


def test_many_manifests_become_one(opened: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "_MOST_MANIFESTS", 3)
    _, store, target = opened
    for page in range(2, 9):
        target.load([entries(100 + page)], progress(page))
    table = store.load_table("time_entries", again=True)
    assert len(table.current_snapshot().manifests(table.io)) <= 3
    assert table.scan().to_arrow().num_rows == rows(target, COUNT)[0][0] == 107
