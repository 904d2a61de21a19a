from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from airflow_provider_toggl.core.load.engines.duckdb.memory import open_in_memory


def fill(connection: duckdb.DuckDBPyConnection, letter: str) -> None:
    """Create a table that does not fit into memory."""
    connection.execute("set memory_limit = '20MB'")
    connection.execute("set threads = 1")
    connection.execute(
        f"create table t as select '{letter}' || repeat(md5(i::varchar), 4) as x from range(300_000) s(i)"
    )


def test_two_of_them_do_not_share_the_files_of_what_does_not_fit_into_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with open_in_memory() as one:
        fill(one, "a")
        with open_in_memory() as other:
            fill(other, "b")
            assert len(list(tmp_path.iterdir())) == 2
        found = one.execute("select count(*), min(left(x, 1)), max(left(x, 1)), sum(length(x)) from t").fetchone()
        assert found == (300_000, "a", "a", 300_000 * 129)
    assert list(tmp_path.iterdir()) == []
