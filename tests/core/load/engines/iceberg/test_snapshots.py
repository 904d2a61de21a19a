"""Snapshots and their manifests stay few."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from support.toggl_rows import entries
from support.warehouses import rows

pytest.importorskip("pyiceberg")

from support.iceberg_catalogs import progress

from airflow_provider_toggl.core.load.engines.iceberg import snapshots

COUNT = 'select count(*), count(distinct "id"), sum("duration") from "time_entries"'


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


def test_snapshots_that_a_branch_or_a_tag_names_or_that_are_needed_are_not_old() -> None:
    metadata = SimpleNamespace(
        snapshots=[SimpleNamespace(snapshot_id=number, sequence_number=number) for number in (5, 1, 2, 3, 4)],
        refs={"main": SimpleNamespace(snapshot_id=5), "audit": SimpleNamespace(snapshot_id=2)},
    )
    assert snapshots.find_old(SimpleNamespace(metadata=metadata), 1, 3) == [1, 4]  # type: ignore[arg-type]
