"""What the Iceberg store promises beyond the suite of all engines."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.servers.moto import MotoServer, running_moto
from support.toggl_rows import entries
from support.warehouses import WarehouseLocation, rows

pytest.importorskip("pyiceberg")

from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
from support.iceberg_catalogs import (
    PUBLISH,
    ROOT,
    STAGE,
    Killed,
    current_files,
    cursor,
    measure_load,
    progress,
    watched,
)
from support.servers.iceberg_rest import RestCatalog, running_rest_catalog

from airflow_provider_toggl.core.errors import DatabaseFault, WarehouseError
from airflow_provider_toggl.core.load.engines.iceberg import store as store_module
from airflow_provider_toggl.core.load.engines.table_store.contract import CommitConflict
from airflow_provider_toggl.core.load.engines.table_store.tables import ROW_TABLES

COUNT = 'select count(*), count(distinct "id"), sum("duration") from "time_entries"'


# A load that ends at any moment


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("commit", [STAGE, ROOT, PUBLISH])
def test_a_load_that_ends_at_a_commit_is_stored_wholly_or_not_at_all(
    opened: Any, iceberg_folder: Path, commit: int, late: bool
) -> None:
    catalog, _, target = opened
    catalog.fail_at(commit, Killed(), late=late)
    with pytest.raises(Killed):
        target.load([entries(*range(51, 151), seconds=5)], progress(2))
    is_stored = (commit, late) >= (ROOT, True)
    _, store, after = watched(iceberg_folder)
    with after:
        assert rows(after, COUNT)[0][:2] == ((150, 150) if is_stored else (100, 100))
        assert cursor(after) == ("2" if is_stored else "1")
        # Other engines see the same, as soon as anybody has opened the warehouse.
        assert store.load_table("time_entries", again=True).scan().to_arrow().num_rows == (150 if is_stored else 100)
        after.load([entries(*range(51, 151), seconds=5)], progress(2))
        assert rows(after, COUNT)[0][:2] == (150, 150)
        assert cursor(after) == "2"


def test_a_load_is_stored_although_its_snapshot_cannot_become_current(
    opened: Any, caplog: pytest.LogCaptureFixture
) -> None:
    catalog, store, target = opened
    catalog.fail_at(PUBLISH, OSError("gone"))
    target.load([entries(101)], progress(2))
    assert "The load is stored, but other engines see it only after the next load" in caplog.text
    assert rows(target, COUNT)[0][0] == 101
    assert store.load_table("time_entries", again=True).scan().to_arrow().num_rows == 100
    target.load([entries(102)], progress(3))
    assert store.load_table("time_entries", again=True).scan().to_arrow().num_rows == 102


# Several writers


def test_a_commit_of_another_process_is_a_conflict_and_stores_nothing(opened: Any, iceberg_folder: Path) -> None:
    _, store, target = opened
    _, _, other = watched(iceberg_folder)
    revision = store.read_state().revision
    with other:
        other.load([entries(500)], progress(2))
    with pytest.raises(CommitConflict):
        store.commit(revision, [])
    target.load([entries(501)], progress(3))
    assert rows(target, COUNT)[0][:2] == (102, 102)


def test_rows_that_another_engine_deleted_stay_deleted(opened: Any) -> None:
    _, store, target = opened
    target.load([entries(*range(101, 201))], progress(2))
    store.load_table("time_entries", again=True).delete("id > 100")
    target.load([entries(201)], progress(3))
    assert rows(target, COUNT)[0][0] == 101
    target.load([entries(150, seconds=9)], progress(4))
    assert rows(target, COUNT)[0][0] == 102


# Reading and writing no more than needed


def test_a_load_of_greater_keys_reads_no_rows(opened: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    _, store, target = opened
    target.load([entries(101)])
    read: list[str] = []
    monkeypatch.setattr(store_module, "read_files", lambda table, files, *_: read.append(table.name()))
    target.load([entries(*range(102, 140))], progress(2))
    assert read == []
    assert store.list_live_files(ROW_TABLES["time_entries"])


def test_only_files_with_a_changed_row_are_written_again(opened: Any) -> None:
    _, store, target = opened
    target.load([entries(*range(1001, 1101))], progress(2))
    before = current_files(store)
    target.load([entries(50, seconds=9)], progress(3))
    after = current_files(store)
    assert len(before) == len(after) == 2
    assert len(before & after) == 1


def test_a_load_without_changes_commits_nothing(opened: Any) -> None:
    catalog, _, target = opened
    catalog.counts.clear()
    target.load([entries(*range(1, 101))])
    assert catalog.counts["commit_table"] == 0


def test_files_that_were_read_are_not_kept_in_memory_for_ever(opened: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "HELD_ROWS", 150)
    _, store, target = opened
    for begin in range(1000, 2000, 100):
        target.load([entries(*range(begin, begin + 100))])
    for begin in range(1000, 2000, 100):
        target.load([entries(*range(begin, begin + 100))])
    assert sum(rows.num_rows for rows in store._held.values()) <= 300


@pytest.mark.parametrize("size", [1_000, pytest.param(100_000, marks=pytest.mark.soak)])
def test_a_load_costs_few_calls_whatever_its_size(size: int) -> None:
    measured = measure_load(size)
    assert sum(measured["calls"].values()) <= 6
    assert measured["calls"]["commit_table"] == 3


# Faults


def test_a_snapshot_that_was_expired_before_it_became_current_is_an_error(opened: Any) -> None:
    catalog, store, target = opened
    catalog.fail_at(PUBLISH, OSError("gone"))
    target.load([entries(101)], progress(2))
    table = store.load_table("time_entries", again=True)
    staged = max(table.metadata.snapshots, key=lambda one: one.sequence_number or 0).snapshot_id
    table.maintenance.expire_snapshots().by_id(staged).commit()
    target.close()
    with pytest.raises(WarehouseError, match="its rows are lost") as error:
        target.load([entries(102)], progress(3))
    assert error.value.fault is DatabaseFault.CORRUPT


def test_a_column_that_somebody_removed_is_named(opened: Any) -> None:
    _, store, target = opened
    with store.load_table("time_entries", again=True).update_schema() as update:
        update.delete_column("description")
    target.close()
    with pytest.raises(WarehouseError, match="'time_entries' lacks column 'description'") as error:
        target.load([entries(101)], progress(2))
    assert error.value.fault is DatabaseFault.MISSING_OBJECT


def test_a_column_of_another_type_is_named(opened: Any) -> None:
    from pyiceberg.types import StringType

    catalog, _, target = opened
    with catalog.load_table("toggl.time_entries").update_schema() as update:
        update.delete_column("duration")
    with catalog.load_table("toggl.time_entries").update_schema() as update:
        update.add_column("duration", StringType())
    target.close()
    with pytest.raises(WarehouseError, match=r"column 'duration' .* string instead of long"):
        target.load([entries(101)], progress(2))


def test_creating_again_adds_what_is_missing_and_keeps_the_rows(opened: Any) -> None:
    catalog, store, target = opened
    with catalog.load_table("toggl.time_entries").update_schema() as update:
        update.delete_column("currency")
    catalog.drop_table("toggl.projects")
    target.close()
    store.open()
    store.create()
    assert "currency" in catalog.load_table("toggl.time_entries").schema().column_names
    target.load([entries(101)], progress(2))
    assert rows(target, COUNT)[0][0] == 101


def test_columns_of_somebody_else_are_left_alone(opened: Any) -> None:
    from pyiceberg.types import StringType

    _, store, target = opened
    with store.load_table("time_entries", again=True).update_schema() as update:
        update.add_column("note", StringType())
    target.close()
    target.load([entries(101)], progress(2))
    assert rows(target, COUNT)[0][0] == 101


def test_a_missing_data_file_is_an_error_that_says_so(opened: Any) -> None:
    _, store, target = opened
    for path in current_files(store):
        Path(path.removeprefix("file://")).unlink()
    with pytest.raises(WarehouseError, match="A file that a table needs is missing") as error:
        target.load([entries(50, seconds=9)], progress(2))
    assert error.value.fault is DatabaseFault.CORRUPT


def test_a_table_that_somebody_dropped_is_an_error_that_says_so(opened: Any) -> None:
    catalog, _, target = opened
    catalog.drop_table("toggl.projects")
    target.close()
    with pytest.raises(WarehouseError, match="A table, namespace or bucket is missing") as error:
        target.counts()
    assert error.value.fault is DatabaseFault.MISSING_OBJECT


def test_rows_read_by_key_are_those_with_the_keys(opened: Any) -> None:
    _, store, _ = opened
    found = store.read_rows(ROW_TABLES["time_entries"], pa.array([5, 99, 100, 101, -3], pa.int64()))
    assert sorted(found["id"].to_pylist()) == [5, 99, 100]


def test_a_workspace_is_read_without_the_rows_that_files_of_another_engine_delete(
    opened: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, store, _ = opened
    table = ROW_TABLES["time_entries"]
    (file,) = store.list_live_files(table)
    path = tmp_path / "deletes.parquet"
    pq.write_table(pa.table({"file_path": [file.path] * 2, "pos": pa.array([0, 9], pa.int64())}), path)
    deletes = DataFile.from_args(
        content=DataFileContent.POSITION_DELETES, file_path=f"file://{path}", file_format=FileFormat.PARQUET
    )
    monkeypatch.setattr(store, "_list_files", lambda _: [replace(file, deletes=frozenset({deletes}))])
    for workspace_id, ids in ((7, {*range(1, 101)} - {1, 10}), (None, {*range(1, 101)} - {1, 10}), (8, set[int]())):
        assert set(store.read_workspace(table, workspace_id)["id"].to_pylist()) == ids


# Other storages, catalogs and readers


@pytest.fixture
def rest(tmp_path: Path) -> Iterator[RestCatalog]:
    with running_rest_catalog(tmp_path) as catalog:
        yield catalog


def in_rest(catalog: RestCatalog, folder: Path) -> WarehouseLocation:
    return WarehouseLocation("iceberg", f"{folder}#{json.dumps({'type': 'rest', 'uri': catalog.url})}")


def test_a_rest_catalog_keeps_the_same_promises(rest: RestCatalog, tmp_path: Path) -> None:
    place = in_rest(rest, tmp_path)
    with place.open() as one, place.open() as other:
        one.load([entries(*range(1, 101))], progress(1))
        other.load([entries(*range(51, 151), seconds=5)], progress(2))
        one.load([entries(*range(140, 161), seconds=9)], progress(3))
        assert rows(other, COUNT)[0][:2] == (160, 160)
        assert cursor(one) == "3"


def test_a_number_that_another_process_took_is_a_conflict(rest: RestCatalog, tmp_path: Path) -> None:
    place = in_rest(rest, tmp_path)
    with place.open(lock_timeout=0.0) as one, place.open() as other:
        one.load([entries(1)], progress(1))
        other.prepare()
        one.load([entries(2)], progress(2))
        # The other has the older state for two seconds; its commit is refused and repeated.
        other.load([entries(3)], progress(3))
        assert rows(one, COUNT)[0][:2] == (3, 3)


REFUSALS = [
    (403, DatabaseFault.MISSING_RIGHT),
    pytest.param(401, DatabaseFault.BAD_CREDENTIALS, marks=pytest.mark.soak),
    pytest.param(419, DatabaseFault.BAD_CREDENTIALS, marks=pytest.mark.soak),
    pytest.param(429, DatabaseFault.TOO_MANY_CONNECTIONS, marks=pytest.mark.soak),
    pytest.param(503, DatabaseFault.UNREACHABLE, marks=pytest.mark.soak),
]
STEPS = {
    "create the namespace": lambda method, path: method == "POST" and path.endswith("/namespaces"),
    "create a table": lambda method, path: method == "POST" and path.endswith("/tables"),
    "load a table": lambda method, path: method == "GET" and "/tables/" in path,
    "commit rows": lambda method, path: method == "POST" and path.endswith("/tables/time_entries"),
    "commit progress": lambda method, path: method == "POST" and path.endswith("/tables/toggl_state"),
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(("status", "fault"), REFUSALS)
def test_a_refused_request_is_an_error_and_the_repeated_load_is_stored(
    rest: RestCatalog, tmp_path: Path, step: str, status: int, fault: DatabaseFault
) -> None:
    rest.refuse = lambda method, path: status if STEPS[step](method, path) else None
    with in_rest(rest, tmp_path).open() as target:
        with pytest.raises(WarehouseError) as error:
            target.load([entries(1)], progress(1))
        assert error.value.fault is fault
        rest.refuse = lambda method, path: None
        target.load([entries(1)], progress(1))
        assert rows(target, COUNT)[0][:2] == (1, 1)
        assert cursor(target) == "1"


@pytest.mark.parametrize("table", ["time_entries", "toggl_state"])
def test_a_commit_without_an_answer_stores_the_load_once(rest: RestCatalog, tmp_path: Path, table: str) -> None:
    with in_rest(rest, tmp_path).open() as target:
        target.load([entries(1)], progress(1))
        answer = rest.answer

        def answer_and_fail(method: str, path: str, body: bytes) -> tuple[int, Any]:
            status, content = answer(method, path, body)
            if method == "POST" and path.endswith(table):
                rest.answer = answer  # type: ignore[method-assign]
                return 504, {"error": {"message": "x", "type": "x", "code": 504}}
            return status, content

        rest.answer = answer_and_fail  # type: ignore[method-assign]
        with pytest.raises(WarehouseError) as error:
            target.load([entries(2)], progress(2))
        assert error.value.fault is DatabaseFault.CONNECTION_LOST
        target.load([entries(2)], progress(2))
        assert rows(target, COUNT)[0][:2] == (2, 2)
        assert cursor(target) == "2"


@pytest.mark.soak
@pytest.mark.clouds
def test_a_glue_catalog_keeps_the_same_promises(moto: MotoServer, tmp_path: Path) -> None:
    pytest.importorskip("boto3")
    properties = json.dumps({**moto.properties(tmp_path.name), "type": "glue"})
    place = WarehouseLocation("iceberg", f"{tmp_path}#{properties}", f"glue_{tmp_path.name}"[:40].lower())
    with place.open() as one, place.open() as other:
        one.load([entries(*range(1, 101))], progress(1))
        other.load([entries(*range(51, 151), seconds=5)], progress(2))
        one.load([entries(*range(140, 161), seconds=9)], progress(3))
        assert rows(other, COUNT)[0][:2] == (160, 160)
        assert cursor(one) == "3"


@pytest.mark.soak
@pytest.mark.clouds
def test_a_storage_that_disappears_is_an_error_and_the_load_is_stored_by_its_repetition(tmp_path: Path) -> None:
    with running_moto() as server:
        storage = json.dumps({**server.properties("gone"), "s3.connect-timeout": "1", "s3.request-timeout": "1"})
        target = WarehouseLocation("iceberg", f"{tmp_path}#{storage}").open()
        target.load([entries(1)], progress(1))
    with pytest.raises(WarehouseError) as error:
        target.load([entries(2)], progress(2))
    assert error.value.fault is DatabaseFault.UNREACHABLE
    target.close()


@pytest.mark.soak
def test_polars_reads_what_was_stored(opened: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    # Polars reads the files by itself; only its plan is pyiceberg's.
    monkeypatch.setenv("POLARS_ICEBERG_PLANNER", "pyiceberg")
    polars = pytest.importorskip("polars")
    _, store, target = opened
    target.load([entries(*range(51, 151), seconds=5, tag_ids=[3, 4])], progress(2))
    expected = target.query('select * from "time_entries" order by "id"')
    table = store.load_table("time_entries", again=True)
    found = polars.scan_iceberg(table).sort("id").collect().to_arrow()
    assert found.select(expected.column_names).to_pylist() == expected.to_pylist()


SAIL = """
import json, os, sys
from pysail.spark import SparkConnectServer
from pyspark.sql import SparkSession
server = SparkConnectServer()
server.start()
session = SparkSession.builder.remote(f"sc://localhost:{server.listening_address[1]}").getOrCreate()
rows = session.read.format("iceberg").load(sys.argv[1]).select("id", "duration", "tag_ids").toArrow().to_pylist()
print(json.dumps(sorted(list(row.values()) for row in rows)), flush=True)
os._exit(0)  # stopping the server waits for the session
"""


@pytest.mark.soak
@pytest.mark.clouds
def test_sail_reads_what_was_stored(opened: Any, iceberg_folder: Path, tmp_path: Path) -> None:
    """Sail is an engine in Rust with Spark's API, with code of its own for Iceberg."""
    for package in ("pysail", "pyspark", "grpc"):
        pytest.importorskip(package)
    _, _, target = opened
    target.load([entries(*range(51, 151), seconds=5, tag_ids=[3, 4])], progress(2))
    folder = iceberg_folder / "toggl" / "time_entries"
    script = tmp_path / "read.py"
    script.write_text(SAIL)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(script), str(folder)],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    wanted = rows(target, 'select "id", "duration", "tag_ids" from "time_entries" order by "id"')
    assert [tuple(row) for row in json.loads(done.stdout)] == wanted
