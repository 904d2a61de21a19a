from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from airflow_provider_toggl.core.errors import ConfigurationError
from airflow_provider_toggl.core.load.engines.dbapi.ansi import AnsiEngine
from airflow_provider_toggl.core.load.engines.dbapi.engine import DbApi
from airflow_provider_toggl.core.load.warehouse import Warehouse


def test_an_engine_that_cannot_do_what_is_needed_says_so(tmp_path: Path) -> None:
    api = DbApi(lambda: sqlite3.connect(tmp_path / "w.db"), "?", "an unknown one")
    with (
        Warehouse(AnsiEngine(api)) as target,
        pytest.raises(ConfigurationError, match="No way is known to make 'toggl'"),
    ):
        target.prepare()


def test_an_error_of_an_unknown_engine_says_what_is_needed() -> None:
    error = AnsiEngine(DbApi(lambda: None, "?", "here")).translate(sqlite3.OperationalError("no such function: md5"))
    assert "no dialect for this type" in str(error)
