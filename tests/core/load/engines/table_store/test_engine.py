"""What the engine of table stores does beyond the contract of all engines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pytest
from support.fakes import FakeClock
from support.file_store import FileStore, arrow_schema
from support.toggl_rows import NOON, at, entries, tags
from support.warehouses import rows

from airflow_provider_toggl.core.errors import DatabaseFault, WarehouseError, WarehouseLocked
from airflow_provider_toggl.core.load.engines.table_store import engine
from airflow_provider_toggl.core.load.engines.table_store.contract import CommitConflict, StoredState, TableChange
from airflow_provider_toggl.core.load.engines.table_store.engine import TableStoreEngine
from airflow_provider_toggl.core.load.engines.table_store.tables import STORED_TABLES, StoredTable
from airflow_provider_toggl.core.load.values import Progress
from airflow_provider_toggl.core.load.warehouse import Warehouse


class RecordingStore(FileStore):
    """Records the calls, and lets another process commit before a commit.

    :param conflicts: before how many commits another process commits.
    """

    def __init__(self, path: Path, conflicts: int = 0) -> None:
        super().__init__(path)
        self.calls: list[str] = []
        self.conflicts = conflicts
        self.changes: Sequence[TableChange] = ()

    def read_state(self) -> StoredState:
        self.calls.append("read_state")
        return super().read_state()

    def read_rows(self, table: StoredTable, keys: pa.Array) -> pa.Table:
        self.calls.append(f"read_rows {table.name} {len(keys)}")
        return super().read_rows(table, keys)

    def commit(self, revision: int, changes: Sequence[TableChange]) -> None:
        if self.conflicts:
            self.conflicts -= 1
            revision -= 1
        super().commit(revision, changes)
        self.calls.append("commit")
        self.changes = changes


@pytest.fixture
def store(tmp_path: Path) -> RecordingStore:
    return RecordingStore(tmp_path / "warehouse.file")


@pytest.fixture
def target(store: RecordingStore, clock: FakeClock) -> Warehouse:
    warehouse = Warehouse(TableStoreEngine(store, lock_timeout=60), clock)
    warehouse.prepare()
    store.calls.clear()
    return warehouse


def test_a_load_reads_the_rows_with_its_keys_once_and_commits_once(target: Warehouse, store: RecordingStore) -> None:
    target.load([entries(1, 2), tags(5)], Progress("time_entries", "7", at(1), "1", 1, NOON))
    assert store.calls == ["read_rows time_entries 2", "read_rows tags 1", "commit"]
    store.calls.clear()
    target.load([entries(2, 3, seconds=1)])
    assert store.calls == ["read_rows time_entries 2", "commit"]


def test_a_change_has_the_rows_that_differ_and_the_keys_that_they_replace(
    target: Warehouse, store: RecordingStore
) -> None:
    target.load([entries(1, 2)])
    assert all(change.is_append for change in store.changes)
    target.load([entries(2, 3, seconds=1)])
    found = {change.table.name: change for change in store.changes}
    assert sorted(found["time_entries"].rows["id"].to_pylist()) == [2, 3]
    assert (found["time_entries"].replaced.to_pylist(), found["time_entries"].is_append) == ([2], False)
    assert found["time_entries"].rows.schema == arrow_schema(STORED_TABLES["time_entries"])


def test_a_load_that_changes_nothing_commits_nothing(target: Warehouse, store: RecordingStore) -> None:
    target.load([entries(1, 2)])
    store.calls.clear()
    target.load([entries(1, 2)])
    assert store.calls == ["read_rows time_entries 2"]


def test_a_load_is_repeated_while_others_commit_first(
    target: Warehouse, store: RecordingStore, clock: FakeClock
) -> None:
    store.conflicts = 3
    assert target.load([entries(1, 2)]).inserted == 2
    assert store.calls == [*["read_rows time_entries 2", "read_state"] * 3, "read_rows time_entries 2", "commit"]
    assert target.counts()["time_entries"] == 2
    assert clock.now() > 0


def test_a_load_that_others_always_overtake_says_so_and_stores_nothing(
    target: Warehouse, store: RecordingStore
) -> None:
    store.conflicts = 1000
    with pytest.raises(CommitConflict, match="another process committed at the same time"):
        target.load([entries(1)])
    assert issubclass(CommitConflict, WarehouseLocked)
    store.conflicts = 0
    assert target.counts()["time_entries"] == 0


def test_what_another_process_committed_is_merged_with(target: Warehouse, store: RecordingStore) -> None:
    target.load([entries(1, seconds=5)])
    other = Warehouse(TableStoreEngine(RecordingStore(Path(store.where))))
    assert other.load([entries(1, 2, seconds=9)]).updated == 0
    # The first one still has the state from before.
    assert target.load([entries(2, 3, seconds=1)]).inserted == 1
    assert rows(target, 'select count(*) from "time_entries"') == [(3,)]


def test_what_another_process_committed_is_known_once_the_own_state_is_too_old(
    target: Warehouse, store: RecordingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    progress = Progress("tags", "7", NOON, "1", 1, NOON)
    Warehouse(TableStoreEngine(RecordingStore(Path(store.where)))).load([], progress)
    monkeypatch.setattr(engine, "STATE_SECONDS", 0.0)
    assert target.find_state("tags", "7") == progress


def test_too_little_memory_is_named_as_such(target: Warehouse) -> None:
    def fill() -> None:
        with target.transaction() as session:
            session.run("set memory_limit = '10MB'")
            session.run("set max_temp_directory_size = '0KB'")
            session.run("create table t as select repeat(md5(i::varchar), 9) as x from range(300_000) s(i)")

    with pytest.raises(WarehouseError, match="in-memory DuckDB that computes loads failed: Out of Memory") as error:
        fill()
    assert error.value.fault is DatabaseFault.OUT_OF_MEMORY
    assert "own statements" not in str(error.value)


def test_statements_of_others_are_refused(target: Warehouse) -> None:
    with pytest.raises(WarehouseError, match="Only this package's own statements"), target.transaction() as session:
        session.run('insert into "my_report" values (1)')
    assert not target.runs_own_statements
