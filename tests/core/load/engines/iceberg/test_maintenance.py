"""Maintenance of Iceberg tables, and the table of facts."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from support.servers.moto import MotoServer
from support.toggl_rows import entries
from support.warehouses import WarehouseLocation, rows

pytest.importorskip("pyiceberg")

from support.iceberg_catalogs import progress, watched

from airflow_provider_toggl.core.errors import WarehouseError
from airflow_provider_toggl.core.load.engines.iceberg import maintenance
from airflow_provider_toggl.core.load.engines.iceberg.maintenance import MaintenanceSummary, maintain
from airflow_provider_toggl.core.load.engines.iceberg.schemas import FACTS_TABLE
from airflow_provider_toggl.core.load.engines.iceberg.store import IcebergStore
from airflow_provider_toggl.core.load.engines.table_store.contract import CommitConflict

COUNT = 'select count(*), count(distinct "id") from "time_entries"'
FACTS = ", ".join(f'"{column.name}"' for column in FACTS_TABLE.columns)
LATER = datetime.now(timezone.utc) + timedelta(hours=1)


def maintain_all(store: IcebergStore, **options: Any) -> MaintenanceSummary:
    """Maintain as if everything were old."""
    return maintain(store, LATER, keep_snapshots=timedelta(0), keep_orphans=timedelta(0), **options)


def test_small_files_become_one_and_the_rows_stay(opened_with_pages: Any) -> None:
    _, store, target = opened_with_pages
    summary = maintain_all(store)
    assert (summary.rewritten_files, summary.written_files) == (5, 1)
    table = store.load_table("time_entries", again=True)
    assert table.inspect.files().num_rows == 1
    assert table.scan().to_arrow().num_rows == 100
    target.load([entries(50, seconds=9)], progress(9))
    assert rows(target, COUNT) == [(100, 100)]


def test_a_second_maintenance_finds_nothing_to_do(opened_with_pages: Any) -> None:
    _, store, _ = opened_with_pages
    maintain_all(store)
    maintain_all(store)
    assert maintain_all(store).as_dict() == MaintenanceSummary().as_dict()


def test_files_of_a_load_that_failed_are_counted_and_then_deleted(opened_with_pages: Any) -> None:
    catalog, store, target = opened_with_pages
    maintain_all(store)
    maintain_all(store)
    catalog.fail_at(1, OSError("the catalog is down"))
    with pytest.raises(WarehouseError):
        target.load([entries(500)], progress(9))
    catalog.before = lambda name, number: None
    target.prepare()
    counted = maintain_all(store, delete_orphans=False)
    assert counted.orphan_files == 3  # rows, manifest and list of manifests
    assert counted.orphan_bytes > 0
    assert maintain_all(store).orphan_files == 3
    assert maintain_all(store).orphan_files == 0
    assert rows(target, COUNT) == [(100, 100)]


def test_files_that_are_younger_than_a_load_can_take_stay(opened_with_pages: Any) -> None:
    _, store, target = opened_with_pages
    summary = maintain(store, datetime.now(timezone.utc), keep_snapshots=timedelta(0), keep_orphans=timedelta(hours=1))
    assert summary.orphan_files == 0
    assert summary.expired_snapshots > 0
    assert rows(target, COUNT) == [(100, 100)]


def test_loads_go_on_during_a_maintenance(
    opened_with_pages: Any, iceberg_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, store, target = opened_with_pages
    _, _, other = watched(iceberg_folder)
    with other:
        write, stopped = maintenance.write_files, []

        def write_while_another_loads(*arguments: Any) -> Any:
            yield from write(*arguments)
            if not stopped:
                stopped.append(True)
                # One that appends, and one that replaces a row in a file that is being rewritten.
                other.load([entries(900)], progress(20))
                other.load([entries(5, seconds=7)], progress(21))

        monkeypatch.setattr(maintenance, "write_files", write_while_another_loads)
        maintain_all(store)
        assert rows(other, COUNT) == [(101, 101)]
        assert rows(other, 'select "duration" from "time_entries" where "id" = 5') == rows(
            target, 'select "duration" from "time_entries" where "id" = 5'
        )
        assert other.find_state("time_entries", "7").cursor == "21"  # type: ignore[union-attr]


@pytest.mark.soak
@pytest.mark.clouds
def test_files_in_s3_are_rewritten_and_deleted(moto: MotoServer, tmp_path: Path) -> None:
    place = WarehouseLocation("iceberg", f"{tmp_path}#{json.dumps(moto.properties(tmp_path.name))}")
    with place.open() as target:
        for page in range(3):
            target.load([entries(*range(page * 20, page * 20 + 20))], progress(page))
        store = target._engine.store  # type: ignore[attr-defined]
        summary = maintain_all(store)
        assert (summary.rewritten_files, summary.written_files) == (3, 1)
        assert summary.orphan_files > 5
        target.load([entries(50, seconds=9)], progress(9))
        assert rows(target, COUNT) == [(60, 60)]
        assert store.load_table("time_entries", again=True).scan().to_arrow().num_rows == 60


def test_files_that_could_not_be_replaced_are_named(
    opened_with_pages: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _, store, _ = opened_with_pages

    def overtaken(*_: Any) -> None:
        raise CommitConflict("elsewhere")

    monkeypatch.setattr(store, "replace_files", overtaken)
    assert maintain_all(store).rewritten_files == 0
    assert "The small files of table time_entries were not replaced: loads committed first, 10 times." in caplog.text
