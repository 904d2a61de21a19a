"""Data files: partitions, order, bounds and what they are found by."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, strategies

pytest.importorskip("pyiceberg")

from support.iceberg_catalogs import watched
from support.toggl_rows import entries

from airflow_provider_toggl.core.load.engines.iceberg import files as files_module
from airflow_provider_toggl.core.load.engines.iceberg.files import LiveFile, read_files, write_files
from airflow_provider_toggl.core.load.engines.iceberg.schemas import arrow_schema
from airflow_provider_toggl.core.load.engines.table_store.tables import ROW_TABLES

ENTRIES = ROW_TABLES["time_entries"]
KEYS = strategies.lists(strategies.integers(-(2**63), 2**63 - 1), unique=True)


@given(KEYS, strategies.integers(-(2**63), 2**63 - 1), strategies.integers(0, 2**32))
def test_a_file_may_hold_exactly_the_keys_between_its_bounds(keys: list[int], low: int, width: int) -> None:
    file = LiveFile(None, "", low, low + width)  # type: ignore[arg-type]
    assert file.may_hold(sorted(keys)) == sum(low <= key <= low + width for key in keys)


def test_a_file_without_bounds_may_hold_every_key() -> None:
    assert LiveFile(None, "", None, None).may_hold([1, 2, 3]) == 3  # type: ignore[arg-type]


def rows_with(*starts: datetime | None) -> pa.Table:
    names = arrow_schema(ENTRIES.columns)
    rows = [{"id": -number, "workspace_id": 7, "start": start} for number, start in enumerate(starts)]
    return pa.Table.from_pylist(rows, schema=names)


@pytest.fixture
def table(iceberg_folder) -> Any:
    _, store, target = watched(iceberg_folder)
    with target:
        target.load([entries(1)])
        yield store.load_table("time_entries")


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=timezone.utc)  # type: ignore[misc,arg-type]


def test_each_month_in_utc_has_a_file_and_so_have_rows_without_a_start(table: Any) -> None:
    rows = rows_with(utc(1969, 12, 31, 23, 59), utc(1970, 1, 1), None, utc(2025, 5, 1), utc(2025, 5, 31, 23, 59, 59))
    written = {file.partition[0]: file.record_count for file in write_files(table, rows, ENTRIES)}
    assert written == {-1: 1, 0: 1, None: 1, (2025 - 1970) * 12 + 4: 2}


def test_rows_of_a_file_are_in_order_of_their_keys_and_files_are_limited(
    table: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files_module, "MOST_ROWS", 3)
    written = list(write_files(table, rows_with(*[utc(2025, 5, 1)] * 7), ENTRIES))
    assert [file.record_count for file in written] == [3, 3, 1]
    live = [LiveFile(pa_entry(file), "", None, None) for file in written]
    assert read_files(table, live, ENTRIES, ["id"])["id"].to_pylist() == [-6, -5, -4, -3, -2, -1, 0]


def pa_entry(file: Any) -> Any:
    from pyiceberg.manifest import ManifestEntry, ManifestEntryStatus

    return ManifestEntry.from_args(status=ManifestEntryStatus.ADDED, data_file=file)


def test_nothing_is_written_for_no_rows(table: Any) -> None:
    assert list(write_files(table, rows_with(), ENTRIES)) == []
