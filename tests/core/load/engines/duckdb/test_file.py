from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest
from support.fakes import FakeClock

from airflow_provider_toggl.core.clock import SystemClock
from airflow_provider_toggl.core.errors import DatabaseFault, WarehouseError, WarehouseLocked, WarehouseReadOnly
from airflow_provider_toggl.core.load.engines.duckdb.engine import build_duckdb_warehouse
from airflow_provider_toggl.core.load.engines.duckdb.file import DuckdbFile, translate_error

SETTINGS: dict[str, str | int | bool] = {"threads": 1}

ANALYST = """
import duckdb, sys
connection = duckdb.connect(sys.argv[1], read_only=sys.argv[2] == "True")
print("open", flush=True)
sys.stdin.readline()
"""


@contextmanager
def analyst(path: Path, read_only: bool = False) -> Iterator[subprocess.Popen[str]]:
    """Have the file open in another process until the end of the block."""
    command = [sys.executable, "-c", ANALYST, str(path), str(read_only)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        yield process
        process.kill()


@pytest.fixture
def made(warehouse: Path) -> Path:
    duckdb.connect(str(warehouse)).close()
    return warehouse


@pytest.mark.parametrize("read_only", [False, True])
def test_an_open_session_of_somebody_else_is_named_when_waiting_was_not_enough(
    made: Path, clock: FakeClock, read_only: bool
) -> None:
    start = clock.now()
    file = DuckdbFile(made, 20, clock, SETTINGS)
    with analyst(made, read_only) as process, pytest.raises(WarehouseLocked) as caught:
        file.open()
    assert f"PID {process.pid}" in str(caught.value)
    assert "within 20 s" in str(caught.value)
    assert "Close that session" in str(caught.value)
    assert clock.now() - start >= 20
    assert not file.is_open
    file.open()
    file.close()


def test_a_session_that_ends_in_time_is_waited_for(made: Path) -> None:
    class Impatient(SystemClock):
        """Ends the session while it is waited for."""

        def sleep(self, seconds: float) -> None:
            process.kill()
            process.wait()

    with analyst(made) as process:
        file = DuckdbFile(made, 60, Impatient(), SETTINGS)
        assert file.open().execute("select 1").fetchall() == [(1,)]
        file.close()


def test_another_load_is_named_when_waiting_was_not_enough(made: Path, clock: FakeClock) -> None:
    first, second = (DuckdbFile(made, 5, clock, SETTINGS) for _ in range(2))
    first.open()
    with pytest.raises(WarehouseLocked, match=rf"held by PID {os.getpid()} by user .*another load"):
        second.open()
    first.close()
    second.open()
    second.close()


def test_a_connection_of_the_same_process_with_other_settings_is_not_waited_for(made: Path, clock: FakeClock) -> None:
    with duckdb.connect(str(made), read_only=True):
        slept = len(clock.slept)
        with pytest.raises(WarehouseLocked, match="this process"):
            build_duckdb_warehouse(made, clock=clock).prepare()
        assert len(clock.slept) == slept


def test_a_connection_of_the_same_process_with_usual_settings_is_no_hindrance(made: Path, clock: FakeClock) -> None:
    with duckdb.connect(str(made)):
        file = DuckdbFile(made, 5, clock, SETTINGS)
        assert file.open().execute("select 1").fetchall() == [(1,)]
        file.close()


def test_opening_again_gives_the_same_connection(made: Path, clock: FakeClock) -> None:
    file = DuckdbFile(made, 5, clock, SETTINGS)
    assert file.open() is file.open()
    clock.sleep(3)
    assert file.held_seconds == 3
    file.close()
    assert file.held_seconds == 0
    file.close()


def test_a_file_that_is_no_database_raises_an_error(tmp_path: Path, clock: FakeClock) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database " * 100)
    with pytest.raises(WarehouseError, match=r"notes\.txt: .*not a valid DuckDB database"):
        build_duckdb_warehouse(path, clock=clock).prepare()


OPENS_AS_NOBODY = """
import os, sys
from pathlib import Path
from airflow_provider_toggl.core.errors import WarehouseReadOnly
from airflow_provider_toggl.core.load.engines.duckdb.engine import build_duckdb_warehouse
if os.getuid() == 0:
    os.setuid(65534)
try:
    build_duckdb_warehouse(Path(sys.argv[1]), lock_timeout=0).prepare()
except WarehouseReadOnly as error:
    print(error)
"""


@pytest.mark.parametrize("what", ["folder", "file", "missing folder"])
def test_a_file_or_folder_that_cannot_be_written_is_named(what: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "warehouse.duckdb"
        duckdb.connect(str(path)).close()
        path.chmod(0o444)
        folder.chmod(0o777 if what == "file" else 0o555)
        if what == "missing folder":
            path = folder / "deeper" / "warehouse.duckdb"
        try:
            command = [sys.executable, "-c", OPENS_AS_NOBODY, str(path)]
            env = {"PYTHONPATH": ":".join(sys.path)}
            done = subprocess.run(command, capture_output=True, text=True, check=True, env=env)
        finally:
            folder.chmod(0o777)
    assert "cannot be written" in done.stdout
    assert "denied" in done.stdout
    assert WarehouseReadOnly.__mro__[1] is WarehouseError


@pytest.mark.parametrize(
    ("words", "kind", "fault", "cure"),
    [
        ("IO Error: Could not write file: No space left on device", WarehouseError, DatabaseFault.DISK_FULL, "Free"),
        ("Out of Memory Error: could not allocate", WarehouseError, DatabaseFault.OUT_OF_MEMORY, "more memory"),
        ("Catalog Error: Table with name tags does not", WarehouseError, DatabaseFault.MISSING_OBJECT, "put it back"),
        ("IO Error: not a valid DuckDB database file!", WarehouseError, DatabaseFault.CORRUPT, "damage"),
        ("INTERRUPT Error: Interrupted!", WarehouseError, DatabaseFault.CANCELED, "canceled"),
        ("TransactionContext Error: Conflict on update!", WarehouseLocked, DatabaseFault.LOCKED, "try again"),
        ("IO Error: Could not set lock on file", WarehouseLocked, DatabaseFault.LOCKED, ""),
        (
            "Connection Error: different configuration",
            WarehouseLocked,
            DatabaseFault.LOCKED,
            "close that connection first",
        ),
        ("IO Error: Permission denied", WarehouseReadOnly, DatabaseFault.READ_ONLY, "needs to write"),
        ("attached in read-only mode", WarehouseReadOnly, DatabaseFault.READ_ONLY, "needs to write"),
        ("Conversion Error: no", WarehouseError, DatabaseFault.OTHER, ""),
    ],
)
def test_an_error_of_duckdb_has_its_fault_and_cure(
    tmp_path: Path, words: str, kind: type[WarehouseError], fault: DatabaseFault, cure: str
) -> None:
    error = translate_error(tmp_path, duckdb.Error(words))
    assert (type(error), error.fault) == (kind, fault)
    assert words in str(error)
    assert cure in str(error)
