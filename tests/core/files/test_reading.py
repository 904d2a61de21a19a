from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from core.files.test_writer import build, load, page

from airflow_provider_toggl.core import errors
from airflow_provider_toggl.core.files.reading import list_manifests, read_rows, remove_unpublished
from airflow_provider_toggl.core.files.writer import FileWriter

LATER = datetime(2100, 1, 1, tzinfo=timezone.utc)


@pytest.fixture
def writer(tmp_path: Path) -> FileWriter:
    return build(tmp_path)


def test_a_reader_that_knows_some_manifests_lists_the_others(writer: FileWriter) -> None:
    for number in range(1, 4):
        load(writer, page(number))
    assert [one.number for one in list_manifests(writer.storage, "tags")] == [1, 2, 3]
    assert [one.number for one in list_manifests(writer.storage, "tags", after=2)] == [3]
    assert list_manifests(writer.storage, "tags", workspace_id=8) == []


def test_the_rows_of_an_empty_path_are_none(writer: FileWriter) -> None:
    assert read_rows(writer.storage, "tags").num_rows == 0
    with pytest.raises(errors.ConfigurationError, match="There is no stream 'timers'"):
        list_manifests(writer.storage, "timers")


def test_an_empty_complete_list_makes_all_rows_absent(writer: FileWriter) -> None:
    observed = page().observed_at
    load(writer, page(1, complete_at=observed, share=1.0))
    load(writer, page(complete_at=observed + timedelta(hours=1), share=1.0))
    writer.finish()
    (row,) = read_rows(writer.storage, "tags").to_pylist()
    assert row["absent_at"] == observed + timedelta(hours=1)


def test_only_old_files_of_this_package_that_no_manifest_names_are_removed(writer: FileWriter) -> None:
    load(writer, page(1))
    stray = "tags/day=2026-03-10/20260310T120000Z-" + "0" * 32 + ".parquet"
    half = "tags/_manifests/7/20260310T120000Z-" + "0" * 32 + ".tmp"
    for name in (stray, half, "tags/day=2026-03-10/of-somebody-else.parquet"):
        writer.storage.write(name, b"")
    moment = datetime(2026, 3, 11, 11, 59, tzinfo=timezone.utc)
    assert remove_unpublished(writer.storage, "tags", moment) == []
    assert remove_unpublished(writer.storage, "tags", LATER) == sorted([half, stray])
    assert read_rows(writer.storage, "tags")["id"].to_pylist() == [1]
    assert "tags/day=2026-03-10/of-somebody-else.parquet" in writer.storage.list_names("tags")


def test_young_files_cannot_be_removed(writer: FileWriter) -> None:
    with pytest.raises(errors.ConfigurationError, match="at least 2:00:00"):
        remove_unpublished(writer.storage, "tags", LATER, timedelta(hours=1))
