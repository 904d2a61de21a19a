from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from support.fakes import FakeClock
from support.metrics import recording
from support.toggl_rows import NOON, decode, report_row
from support.webhook_events import entry_payload, received_event, webhook_body

from airflow_provider_toggl.core import metrics
from airflow_provider_toggl.core.errors import WarehouseError
from airflow_provider_toggl.core.events.model import NewEvent
from airflow_provider_toggl.core.events.sqlite.engine import SqliteEventStore
from airflow_provider_toggl.core.load.engines.duckdb.engine import DuckdbEngine, build_duckdb_warehouse
from airflow_provider_toggl.core.load.warehouse import Warehouse
from airflow_provider_toggl.core.sync import drain
from airflow_provider_toggl.core.sync.drain import Drain, DrainRequest, DrainSummary

REQUEST = DrainRequest(store="default", consumer="warehouse.toggl")
LATER = datetime(2100, 1, 1, tzinfo=timezone.utc)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteEventStore]:
    with open_store(tmp_path / "events.sqlite") as store:
        yield store


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Warehouse]:
    with build_duckdb_warehouse(tmp_path / "warehouse.duckdb", lock_timeout=1) as target:
        yield target


def open_store(path: Path) -> SqliteEventStore:
    store = SqliteEventStore(path)
    store.prepare()
    return store


def put(store: SqliteEventStore, *events: NewEvent | bytes) -> int:
    """Append events; return the last number."""
    return store.append([received_event(one) if isinstance(one, bytes) else one for one in events])[-1].seq


def created(first: int, last: int, **fields: Any) -> list[bytes]:
    """Return bodies of that many new entries."""
    return [webhook_body(payload=entry_payload(id_, **fields), seconds=id_) for id_ in range(first, last + 1)]


def run(store: SqliteEventStore, target: Warehouse, request: DrainRequest = REQUEST) -> DrainSummary:
    return Drain(store, target, request).run()


def ids(target: Warehouse, stream: str = "time_entries") -> list[int]:
    return list(target.query(f"select id from {stream} order by id")["id"].to_pylist())


# -- what is loaded ----------------------------------------------------------------------------------------------------


def test_everything_in_the_store_is_loaded_and_counted(store: SqliteEventStore, target: build_duckdb_warehouse) -> None:
    last = put(
        store,
        *created(1, 5),
        webhook_body("time_entry", "updated", entry_payload(5, description="New"), seconds=90),
        webhook_body("tag", "created", {"id": 3, "name": "A tag", "at": "2025-05-02T17:03:50+00:00"}, seconds=91),
        webhook_body("workspace", "updated", {"id": 7}, seconds=92),
        webhook_body("invoice", "created", {"id": 8}, seconds=93),
    )
    summary = run(store, target)
    assert summary.as_dict() == {
        "events": 9,
        "streams": {"time_entries": 6, "tags": 1},
        "inserted": 6,
        "updated": 0,
        "unchanged": 1,
        "rejected": 1,
        "skipped": 1,
        "last_seq": last,
        "restarted": False,
        "seconds": summary.seconds,
    }
    assert json.loads(json.dumps(summary.as_dict())) == summary.as_dict()
    assert (ids(target), ids(target, "tags")) == ([1, 2, 3, 4, 5], [3])
    assert target.query("select description from time_entries where id = 5")[0].to_pylist() == ["New"]
    assert target.query("select stream from rejected_records")[0].to_pylist() == ["events"]


def test_what_a_drain_does_is_measured(store: SqliteEventStore, target: Warehouse) -> None:
    put(store, *created(1, 5), webhook_body("workspace", "updated", {"id": 7}, seconds=92))
    store.commit("slow", 2)
    with recording() as recorder:
        run(store, target)
        run(store, target)
    assert recorder.of(metrics.LOADED_ROWS) == [({"by": "drain", "stream": "events", "result": "inserted"}, 5)]
    assert {tags["result"]: value for tags, value in recorder.of(metrics.DRAINED)} == {"loaded": 5, "skipped": 1}
    lags = {tags["consumer"]: value for tags, value in recorder.of(metrics.LAG)}
    assert lags == {REQUEST.reader: 0, "slow": 4}
    # The second one had nothing to load.
    assert [len(recorder.of(one)) for one in (metrics.LOAD_TIME, metrics.DRAIN_DELAY, metrics.RUN_TIME)] == [1, 1, 2]


def test_an_empty_store_is_no_trouble(store: SqliteEventStore, target: Warehouse) -> None:
    summary = run(store, target)
    assert (summary.events, summary.last_seq, summary.restarted) == (0, 0, False)


def test_the_next_drain_loads_only_what_came_since(store: SqliteEventStore, target: build_duckdb_warehouse) -> None:
    put(store, *created(1, 5))
    run(store, target)
    assert run(store, target).events == 0
    last = put(store, *created(6, 7))
    summary = run(store, target)
    assert (summary.events, summary.inserted, summary.last_seq) == (2, 2, last)


def test_what_comes_meanwhile_is_for_the_next_one(tmp_path: Path, target: Warehouse) -> None:
    class Busy(SqliteEventStore):
        def last_seq(self) -> int:
            seq = super().last_seq()
            put(self, *created(10, 12))
            return seq

    with Busy(tmp_path / "busy.sqlite") as store:
        store.prepare()
        put(store, *created(1, 4))
        assert run(store, target).events == 4
    with open_store(tmp_path / "busy.sqlite") as store:
        assert run(store, target).events == 3


def test_the_cursor_moves_with_the_rows_of_all_streams(store: SqliteEventStore, target: Warehouse) -> None:
    last = put(store, *created(1, 3), webhook_body("tag", "created", {"id": 3, "name": "A tag"}, seconds=50))
    run(store, target)
    state = target.find_state("events", "default")
    assert state is not None
    assert json.loads(state.cursor)["seq"] == last
    assert (state.watermark, state.requests_spent) == (None, 0)


def test_a_failed_load_leaves_the_cursor_unchanged(
    store: SqliteEventStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Failing(Warehouse):
        def load(self, *arguments: Any, **options: Any) -> Any:
            if len(loads) == 2:
                raise WarehouseError("the disk is full")
            loads.append(arguments)
            return super().load(*arguments, **options)

    loads: list[Any] = []
    monkeypatch.setattr(drain, "BATCH_EVENTS", 10)
    monkeypatch.setattr(drain, "CHUNK", 10)
    last = put(store, *created(1, 50))
    path = tmp_path / "warehouse.duckdb"
    with Failing(DuckdbEngine(path)) as failing:
        doomed = Drain(store, failing, REQUEST)
        with pytest.raises(WarehouseError, match="disk is full"):
            doomed.run()
    assert doomed.summary.events == 20
    with build_duckdb_warehouse(path) as target:
        summary = run(store, target)
        assert (summary.events, summary.inserted, summary.last_seq) == (30, 30, last)
        assert ids(target) == list(range(1, 51))


def test_many_or_large_events_are_loaded_in_batches(
    store: SqliteEventStore, target: build_duckdb_warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drain, "CHUNK", 4)
    monkeypatch.setattr(drain, "BATCH_EVENTS", 8)
    put(store, *created(1, 20))
    sizes = [len(batch) for batch in Drain(store, target, REQUEST)._batches(0, store.last_seq())]
    assert sizes == [8, 8, 4]
    monkeypatch.setattr(drain, "BATCH_BYTES", 1)
    sizes = [len(batch) for batch in Drain(store, target, REQUEST)._batches(0, store.last_seq())]
    assert sizes == [4, 4, 4, 4, 4]


def test_max_events_ends_a_drain_early(store: SqliteEventStore, target: build_duckdb_warehouse) -> None:
    put(store, *created(1, 10))
    few = DrainRequest("default", "warehouse.toggl", max_events=4)
    assert [run(store, target, few).events for _ in range(4)] == [4, 4, 2, 0]
    assert ids(target) == list(range(1, 11))


# -- some of the events ------------------------------------------------------------------------------------------------


def test_a_drain_may_load_only_events_of_a_connection_or_workspace(
    store: SqliteEventStore, target: build_duckdb_warehouse
) -> None:
    ours = [received_event(raw, conn_id="ours") for raw in created(1, 2)]
    theirs = [received_event(raw, conn_id="theirs") for raw in created(3, 4, workspace_id=8, wid=8)]
    last = put(store, *theirs, *ours)
    by_connection = DrainRequest("default", "w", conn_id="ours")
    summary = run(store, target, by_connection)
    assert (summary.events, summary.last_seq, ids(target)) == (2, last, [1, 2])
    by_workspace = DrainRequest("default", "w", workspace_id=8)
    assert run(store, target, by_workspace).events == 2
    assert ids(target) == [1, 2, 3, 4]
    # Each has its own cursor, and its own name in the store.
    assert run(store, target).events == 4
    scopes = target.query("select scope from sync_state order by scope")[0].to_pylist()
    assert scopes == ["default", "default?conn_id=ours", "default?workspace_id=8"]
    assert [consumer.name for consumer in store.consumers()] == ["w?conn_id=ours", "w?workspace_id=8", REQUEST.consumer]


# -- the store's side --------------------------------------------------------------------------------------------------


def test_retention_keeps_what_is_not_loaded_yet(store: SqliteEventStore, target: build_duckdb_warehouse) -> None:
    last = put(store, *created(1, 3))
    run(store, target)
    put(store, *created(4, 5))
    store.prune(LATER)
    assert store.find_consumer(REQUEST.consumer).seq == last
    assert [stored.event.entity_id for stored in store.read(0)] == [4, 5]
    assert run(store, target).inserted == 2


def test_retention_waits_for_a_first_drain_that_could_not_load_anything(
    store: SqliteEventStore, target: build_duckdb_warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store, *created(1, 3))
    with monkeypatch.context() as patch:
        patch.setattr(target, "load", _refuse)
        with pytest.raises(WarehouseError):
            run(store, target)
    assert store.prune(LATER) == 0
    assert run(store, target).inserted == 3


def _refuse(*args: Any, **more: Any) -> None:
    raise WarehouseError("the disk is full")


def test_the_next_drain_moves_the_cursor_of_a_store_that_missed_the_last_one(
    store: SqliteEventStore, target: build_duckdb_warehouse
) -> None:
    last = put(store, *created(1, 3))
    run(store, target)
    store.forget_consumer(REQUEST.consumer)
    run(store, target)
    assert store.find_consumer(REQUEST.consumer).seq == last


def test_a_cursor_whose_event_was_removed_is_still_right(store: SqliteEventStore, target: Warehouse) -> None:
    put(store, *created(1, 3))
    run(store, target)
    store.prune(LATER)
    put(store, *created(4, 4))
    summary = run(store, target)
    assert (summary.events, summary.restarted) == (1, False)


@pytest.mark.parametrize("size", [1, 3, 5], ids=["shorter", "as long", "longer"])
def test_another_store_in_the_place_of_the_known_one_is_loaded_from_its_beginning(
    store: SqliteEventStore, target: build_duckdb_warehouse, tmp_path: Path, size: int, caplog: pytest.LogCaptureFixture
) -> None:
    put(store, *created(1, 3))
    run(store, target)
    with open_store(tmp_path / "another.sqlite") as another:
        put(another, *created(11, 10 + size))
        summary = run(another, target)
        assert (summary.events, summary.restarted) == (size, True)
        assert "was replaced, or restored from a copy" in caplog.text
        assert run(another, target).restarted is False
    assert ids(target) == [1, 2, 3, *range(11, 11 + size)]


# -- together with what was pulled -------------------------------------------------------------------------------------


def test_an_old_event_that_is_drained_late_takes_nothing_back(store: SqliteEventStore, target: Warehouse) -> None:
    changed = NOON + timedelta(seconds=20)
    pulled = report_row(1, description="Newest", at=changed.isoformat(), billable_amount_in_cents=5)
    target.load([decode("time_entries", pulled, seconds=60)])
    put(store, webhook_body("time_entry", "updated", entry_payload(1, description="Old"), seconds=10))
    assert run(store, target).unchanged == 1
    query = "select description, billable_amount_cents from time_entries"
    assert target.query(query).to_pylist() == [{"description": "Newest", "billable_amount_cents": 5}]


def test_changes_are_collected_if_requested(store: SqliteEventStore, target: build_duckdb_warehouse) -> None:
    put(store, *created(1, 2))
    quiet = Drain(store, target, REQUEST)
    quiet.run()
    assert quiet.changes.report(7, "time_entries")["observations"] == 0
    moved = entry_payload(1, start="2025-04-01T08:00:00Z", stop="2025-04-01T08:45:00Z", at="2025-05-03T00:00:00Z")
    put(store, webhook_body("time_entry", "updated", moved, seconds=50))
    noting = Drain(store, target, DrainRequest("default", "warehouse.toggl", collect_changes=True))
    noting.run()
    assert noting.changes.report(7, "time_entries") == {
        "observations": 1,
        "ids": [1],
        "days": ["2025-04-01", "2025-05-01"],
        "is_complete": True,
    }


# -- what is rejected --------------------------------------------------------------------------------------------------


def test_each_of_two_rejected_events_with_the_same_body_is_recorded_by_its_own_seq(
    store: SqliteEventStore, target: build_duckdb_warehouse
) -> None:
    put(store, *created(1, 2))
    wrong = received_event(webhook_body(payload=entry_payload(3, start="soon"), seconds=50))
    first = put(store, wrong)
    put(store, *created(4, 5))
    again = store.append([replace(wrong, copy_of=first)])[-1].seq
    assert again != first
    run(store, target)
    refused = store.activity_log.list_refusals("toggl_default")
    assert sorted(one.refused.seq or 0 for one in refused) == [first, again]
    assert ids(target) == [1, 2, 4, 5]


def test_an_event_that_cannot_be_loaded_blocks_no_other_in_any_of_its_fields(
    store: SqliteEventStore, target: build_duckdb_warehouse
) -> None:
    wrong = [
        webhook_body(
            "project", "created", {"id": 70 + number, "name": "P", "start_date": day, "workspace_id": 7}, seconds=number
        )
        for number, day in enumerate(["", "20260101", "2026-W01-1", "0000-00-00", "0000-01-01", 20260101])
    ]
    put(store, *wrong, webhook_body("tag", "created", {"id": 99, "name": "behind it"}, seconds=9))
    summary = run(store, target)
    assert (summary.inserted, summary.rejected) == (2, 5)
    assert run(store, target).events == 0


# -- the log -----------------------------------------------------------------------------------------------------------


def test_the_log_says_how_far_it_is_what_was_rejected_and_nothing_of_what_people_wrote(
    store: SqliteEventStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class SlowWarehouse(Warehouse):
        def load(self, *arguments: Any, **options: Any) -> Any:
            clock.sleep(11)
            return super().load(*arguments, **options)

    clock = FakeClock()
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(drain, "BATCH_EVENTS", 10)
    monkeypatch.setattr(drain, "CHUNK", 10)
    put(
        store,
        *created(1, 20, description="Confidential"),
        webhook_body(payload={"description": "Confidential"}, seconds=99),
    )
    with SlowWarehouse(DuckdbEngine(tmp_path / "slow.duckdb")) as target:
        Drain(store, target, REQUEST, clock=clock).run()
    assert "Events up to seq 10 of 21: 10 loaded, 0 rejected; about 12 s left." in caplog.text
    assert "1 event up to seq 21 rejected, see rejected_records. The first one: payload." in caplog.text
    assert "21 events up to 21 in 33.0 s (20 of time_entries): 20 rows inserted" in caplog.text
    assert "Confidential" not in caplog.text
