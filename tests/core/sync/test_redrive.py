from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest
from support.deliveries import STARTED_ENTRY

from airflow_provider_toggl.core.load.decode.columns import ARROW_SCHEMAS
from airflow_provider_toggl.core.load.decode.records import RecordBatch, RejectedRecord
from airflow_provider_toggl.core.load.engines.duckdb.engine import build_duckdb_warehouse
from airflow_provider_toggl.core.load.warehouse import Warehouse
from airflow_provider_toggl.core.sync import redrive
from airflow_provider_toggl.core.sync.redrive import RedriveResult, redrive_rejected

SEEN = datetime(2026, 3, 10, 12, tzinfo=timezone.utc)
TAG = {"id": 5, "name": "a tag", "workspace_id": 1, "at": "2026-03-01T00:00:00Z"}


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Warehouse]:
    with build_duckdb_warehouse(tmp_path / "warehouse.duckdb", schema="toggl") as target:
        target.prepare()
        yield target


def reject(target: Warehouse, *records: tuple[str, str]) -> None:
    """Keep records as an earlier version would have that could not read them."""
    rejected = tuple(RejectedRecord(stream, 1, raw, "unreadable then", SEEN) for stream, raw in records)
    target.load([RecordBatch("tags", ARROW_SCHEMAS["tags"].empty_table(), rejected)])


def left(target: Warehouse) -> list[str]:
    return list(target.query('select "raw" from "rejected_records"')["raw"].to_pylist())


def test_rows_and_events_that_are_readable_now_are_loaded_and_removed(target: build_duckdb_warehouse) -> None:
    reject(target, ("tags", json.dumps(TAG)), ("time_entries", STARTED_ENTRY.decode()))
    assert redrive_rejected(target) == RedriveResult(2, 2)
    assert (target.counts()["tags"], target.counts()["time_entries"], left(target)) == (1, 1, [])
    assert redrive_rejected(target) == RedriveResult(0, 0)


def test_what_still_cannot_be_read_stays(target: Warehouse) -> None:
    bad = [("tags", '{"id": "x"}'), ("events", '{"no": "event"}'), ("tags", "not JSON")]
    reject(target, *bad, ("tags", json.dumps(TAG)))
    assert redrive_rejected(target) == RedriveResult(4, 1)
    assert sorted(left(target)) == sorted(raw for _, raw in bad)


def test_what_can_never_be_read_does_not_keep_the_rest_from_being_tried(
    target: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redrive, "MAX_RECORDS", 2)
    tags = [json.dumps(TAG | {"id": number}) for number in range(1, 6)]
    reject(target, *(("tags", f"not JSON {number}") for number in range(5)), *(("tags", tag) for tag in tags))
    assert redrive_rejected(target) == RedriveResult(10, 5)
    assert target.counts()["tags"] == 5
    assert len(left(target)) == 5


def test_what_is_known_better_is_not_changed(target: Warehouse) -> None:
    reject(target, ("tags", json.dumps(TAG | {"name": "older", "at": "2026-02-01T00:00:00Z"})))
    reject(target, ("tags", json.dumps(TAG)))
    assert redrive_rejected(target) == RedriveResult(2, 2)
    assert target.query('select "name" from "tags"')["name"].to_pylist() == ["a tag"]
