from __future__ import annotations

import sqlite3

import pytest

from airflow_provider_toggl.core.errors import WarehouseError, WarehouseLocked, WarehouseReadOnly
from airflow_provider_toggl.core.load.dbapi_engines import ENGINES, Ansi, Engine, Mysql, Sqlite, is_driver_error


class NumberedError(Exception):
    """As drivers of MySQL raise them."""


@pytest.mark.parametrize(
    ("engine", "error", "meaning", "words"),
    [
        (Sqlite, sqlite3.OperationalError("database is locked"), WarehouseLocked, "more than 5 s"),
        (Sqlite, sqlite3.OperationalError("attempt to write a readonly database"), WarehouseReadOnly, "the directory"),
        (Sqlite, sqlite3.OperationalError("unable to open database file"), WarehouseReadOnly, "needs to write"),
        (
            Sqlite,
            sqlite3.OperationalError("database or disk is full"),
            WarehouseError,
            "here: database or disk is full.",
        ),
        (Mysql, NumberedError(1205, "Lock wait timeout"), WarehouseLocked, "Nothing was lost"),
        (Mysql, NumberedError(1044, "Access denied"), WarehouseReadOnly, "all rights on the database 'toggl'"),
        (Mysql, NumberedError(1290, "--read-only"), WarehouseReadOnly, "name the primary one"),
        (Mysql, NumberedError(2013, "Lost connection"), WarehouseError, "the next run goes on"),
        (Mysql, NumberedError(1064, "Syntax"), WarehouseError, "Syntax"),
        (Ansi, sqlite3.OperationalError("no such function: md5\nLINE 1"), WarehouseError, "no dialect for this type"),
    ],
)
def test_what_a_driver_says_is_told_with_what_to_do(
    engine: type[Engine], error: Exception, meaning: type[WarehouseError], words: str
) -> None:
    told = engine("toggl", 5).translate(error, "here")
    assert type(told) is meaning
    assert words in str(told)
    assert "\n" not in str(told)


def test_a_drivers_error_is_known_by_the_name_that_the_standard_gives_it() -> None:
    assert is_driver_error(sqlite3.IntegrityError())
    assert not is_driver_error(ValueError())


def test_each_engine_has_a_dialect() -> None:
    assert {name: engine.dialect.file for name, engine in ENGINES.items()} == {name: name for name in ENGINES}
