from __future__ import annotations

import sqlite3

import pytest
from support.toggl_rows import entries

from airflow_provider_toggl.core.load.engines.dbapi import engine
from airflow_provider_toggl.core.load.engines.dbapi.engine import is_driver_error, split_rows


def test_a_batch_has_no_more_rows_or_bytes_than_an_insert_may_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "BATCH_ROWS", 4)
    table = entries(*range(9), description="x" * 1_500).table
    found = list(split_rows(table, 5_000))
    assert [id_ for batch in found for id_ in batch["id"].to_pylist()] == list(range(9))
    assert {batch.num_rows for batch in found} == {1, 2}


def test_a_drivers_error_is_known_by_the_name_that_the_standard_gives_it() -> None:
    assert is_driver_error(sqlite3.IntegrityError())
    assert not is_driver_error(ValueError())
