from __future__ import annotations

import sqlite3
from pathlib import Path

import psycopg
import pytest

from airflow_provider_toggl.core.databases import faults
from airflow_provider_toggl.core.errors import DatabaseFault


class OperationalError(Exception):
    """As drivers name what is not the caller's fault."""


class ProgrammingError(Exception):
    """As drivers name what is the caller's fault."""


def test_each_sqlstate_is_one_that_psycopg_knows_or_a_class_of_them() -> None:
    for state in faults.POSTGRES:
        if len(state) == 5:
            psycopg.errors.lookup(state)


@pytest.mark.parametrize(
    ("state", "fault"),
    [
        ("57014", DatabaseFault.CANCELED),
        ("55P03", DatabaseFault.LOCKED),
        ("08P01", DatabaseFault.CONNECTION_LOST),
        ("57P05", DatabaseFault.CONNECTION_LOST),
        ("XX002", DatabaseFault.CORRUPT),
        ("23505", DatabaseFault.OTHER),
        ("", DatabaseFault.OTHER),
    ],
)
def test_a_sqlstate_goes_before_its_class(state: str, fault: DatabaseFault) -> None:
    assert faults.find_postgres_fault(state) is fault


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (OperationalError(2013, "Lost connection"), DatabaseFault.CONNECTION_LOST),
        (OperationalError(4031, "disconnected because of inactivity"), DatabaseFault.CONNECTION_LOST),
        (OperationalError(-1, "MySQL Connection not available"), DatabaseFault.CONNECTION_LOST),
        (ProgrammingError(-1, "Not enough parameters"), DatabaseFault.OTHER),
        (OperationalError(1969, "max_statement_time exceeded"), DatabaseFault.CANCELED),
        (ProgrammingError(1064, "Syntax"), DatabaseFault.OTHER),
        (OperationalError(1290, "running with the --read-only option"), DatabaseFault.READ_ONLY),
        (OperationalError(1290, "running with the --super-read-only option"), DatabaseFault.READ_ONLY),
        (OperationalError(1290, "running with the read_only option"), DatabaseFault.READ_ONLY),
        (OperationalError(1290, "running with the NO_ENGINE_SUBSTITUTION option"), DatabaseFault.OTHER),
        (OperationalError(1290, "running with the --secure-file-priv option"), DatabaseFault.OTHER),
        (OperationalError("words alone"), DatabaseFault.OTHER),
    ],
)
def test_a_driver_of_mysql_is_understood_by_number_and_class(error: Exception, fault: DatabaseFault) -> None:
    assert faults.find_mysql_fault(error) is fault


def test_sqlite_is_understood_by_its_code_and_without_one_by_its_text(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"not a database, but long enough to be taken for the header of one" * 20)
    with pytest.raises(sqlite3.DatabaseError) as caught, sqlite3.connect(path) as db:
        db.execute("select * from sqlite_master")
    assert faults.find_sqlite_fault(caught.value) is DatabaseFault.CORRUPT
    with pytest.raises(sqlite3.OperationalError) as missing, sqlite3.connect(":memory:") as db:
        db.execute("select * from nowhere")
    assert faults.find_sqlite_fault(missing.value) is DatabaseFault.MISSING_OBJECT
    for text, fault in (
        ("database is locked", DatabaseFault.LOCKED),
        ("database table is locked: x", DatabaseFault.LOCKED),
        ("database or disk is full", DatabaseFault.DISK_FULL),
        ("attempt to write a readonly database", DatabaseFault.READ_ONLY),
        ("database disk image is malformed", DatabaseFault.CORRUPT),
        ("disk I/O error", DatabaseFault.OTHER),
    ):
        assert faults.find_sqlite_fault(sqlite3.OperationalError(text)) is fault
    assert faults.find_sqlite_fault(MemoryError()) is DatabaseFault.OUT_OF_MEMORY


def test_only_the_first_line_of_an_error_is_reported() -> None:
    assert faults.first_line("It  failed.\nDETAIL: a row") == "It failed."
