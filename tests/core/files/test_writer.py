from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from support.fakes import FakeClock

from airflow_provider_toggl.core import errors
from airflow_provider_toggl.core.extract.pages import Page
from airflow_provider_toggl.core.files.reading import list_manifests
from airflow_provider_toggl.core.files.storage import LocalStorage
from airflow_provider_toggl.core.files.writer import FileWriter

NOON = datetime(2026, 3, 10, 12, tzinfo=timezone.utc)


def page(*ids: int, cursor: str = "{}", **more: Any) -> Page:
    body = json.dumps([{"id": id_, "name": "x", "at": "2026-03-10T11:00:00Z"} for id_ in ids]).encode()
    return Page("tags", body, len(ids), NOON, None, cursor, 1, **more)


def build(folder: Path, clock: Any = None) -> FileWriter:
    writer = FileWriter(LocalStorage(folder), "tags", 7, "7", "parquet", clock or FakeClock())
    writer.find_state("tags", "7")
    return writer


def load(writer: FileWriter, one: Page) -> None:
    writer.load(one, writer.decode(one))


def test_pages_without_rows_are_published_with_the_next_one_that_has_some(tmp_path: Path) -> None:
    writer = build(tmp_path)
    load(writer, page(cursor='{"a":1}'))
    assert list_manifests(writer.storage, "tags") == []
    load(writer, page(1, 2, cursor='{"a":2}'))
    (found,) = list_manifests(writer.storage, "tags")
    assert (found.rows, found.cursor) == (2, '{"a":2}')
    state = writer.find_state("tags", "7")
    assert state is not None
    assert (state.cursor, state.requests_spent) == ('{"a":2}', 0), "files keep no count of requests"


def test_pages_without_rows_are_published_when_a_run_is_interrupted_or_ends(tmp_path: Path) -> None:
    writer = build(tmp_path)
    load(writer, page(cursor='{"a":1}', complete_at=NOON))
    writer.flush()
    writer.finish()
    (found,) = list_manifests(writer.storage, "tags")
    assert (found.files, found.cursor, found.complete_at) == ((), '{"a":1}', NOON)


def test_rows_that_an_earlier_run_read_are_left_out(tmp_path: Path) -> None:
    writer = build(tmp_path)
    load(writer, page(1, known_before=NOON - timedelta(hours=1, seconds=-1)))
    writer.flush()
    load(writer, page(2, known_before=NOON - timedelta(hours=1) + timedelta(milliseconds=900)))
    assert [one.rows for one in list_manifests(writer.storage, "tags")] == [0, 1]


def test_a_task_that_stood_still_for_too_long_publishes_nothing(tmp_path: Path) -> None:
    class Jumping:
        """A clock that is two hours ahead each time."""

        moment = NOON.timestamp()

        def now(self) -> float:
            self.moment += 7200
            return self.moment

    writer = build(tmp_path, Jumping())
    with pytest.raises(errors.FileStorageError, match="stood still"):
        load(writer, page(1))
    assert list_manifests(writer.storage, "tags") == []


def test_a_writer_that_another_one_overtook_publishes_nothing(tmp_path: Path) -> None:
    one, other = build(tmp_path), build(tmp_path)
    load(other, page(1))
    with pytest.raises(errors.FilesChanged, match="0000000001"):
        load(one, page(1))
    assert [manifest.rows for manifest in list_manifests(one.storage, "tags")] == [1]


def test_a_list_with_a_rejected_record_does_not_count_as_complete(tmp_path: Path) -> None:
    writer = build(tmp_path)
    load(writer, Page("tags", b'[{"id":1,"name":7},{"id":2,"name":"b"}]', 2, NOON, None, "{}", 1))
    load(writer, page(3, complete_at=NOON, share=1.0))
    load(writer, page(3, complete_at=NOON, share=1.0))
    found = list_manifests(writer.storage, "tags")
    assert [one.complete_at for one in found] == [None, None, NOON]
    assert [len(one.rejected) for one in found] == [1, 0, 0]
