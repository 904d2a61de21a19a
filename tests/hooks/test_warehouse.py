from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from support.connections import Connections

from airflow_provider_toggl.core.errors import ConfigurationError, WarehouseLocked
from airflow_provider_toggl.hooks.warehouse import default_path, open_target, read_df

pytestmark = pytest.mark.airflow


def tables(path: Path, schema: str = "toggl") -> set[str]:
    with duckdb.connect(str(path), read_only=True) as db:
        query = "SELECT table_name FROM information_schema.tables WHERE table_schema = ?"
        return {name for (name,) in db.execute(query, [schema]).fetchall()}


def test_the_file_of_a_connection_is_made_with_its_tables(connections: Connections):
    path = connections.duckdb("my_duck")
    with open_target("my_duck", schema="toggl") as target:
        assert target.counts()["time_entries"] == 0
    assert {"time_entries", "projects", "sync_state", "live_time_entries", "time_entry_facts"} <= tables(path)


def test_folders_above_the_file_are_made(connections: Connections, tmp_path: Path):
    path = connections.duckdb(path=tmp_path / "new" / "folder" / "w.duckdb")
    open_target("duckdb_default", schema="toggl").close()
    assert path.exists()


def test_the_schema_is_the_one_asked_for(connections: Connections):
    path = connections.duckdb()
    open_target("duckdb_default", schema='time "tracking"').close()
    assert "time_entries" in tables(path, 'time "tracking"')
    assert tables(path) == set()


@pytest.mark.parametrize("form", ["duckdb:///{0}", "duckdb://{1}"])
def test_a_connection_written_as_a_uri_names_its_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, connections: Connections, form: str
):
    path = tmp_path / "w.duckdb"
    monkeypatch.setenv("AIRFLOW_CONN_MY_DUCK", form.format(str(path).lstrip("/"), str(path).replace("/", "%2F")))
    open_target("my_duck", schema="toggl").close()
    assert path.exists()


def test_the_default_connection_may_be_missing(connections: Connections, tmp_path: Path):
    connections.set_option("warehouse_path", str(tmp_path / "default.duckdb"))
    open_target("duckdb_default", schema="toggl").close()
    assert "time_entries" in tables(tmp_path / "default.duckdb")


def test_without_a_path_the_default_file_is_below_airflows_home():
    assert default_path() == Path(os.environ["AIRFLOW_HOME"], "toggl", "warehouse.duckdb")


def test_any_other_connection_must_exist(connections: Connections):
    with pytest.raises(ConfigurationError, match=r"There is no connection 'nowhere_at_all' to land in\."):
        open_target("nowhere_at_all", schema="toggl")


BAD: list[tuple[dict[str, Any], str]] = [
    ({"conn_type": "mysql", "host": "db"}, "Connection 'my_duck' is of type 'mysql'; rows can land in duckdb"),
    ({"conn_type": "duckdb"}, "Connection 'my_duck' names no file: put the path of the DuckDB file into its host."),
    ({"conn_type": "duckdb", "schema": "main"}, "names no file"),
]


@pytest.mark.parametrize(("fields", "words"), BAD)
def test_a_connection_that_names_no_duckdb_file_is_said(connections: Connections, fields: dict[str, Any], words: str):
    connections.set("my_duck", **fields)
    with pytest.raises(ConfigurationError, match=words):
        open_target("my_duck", schema="toggl")


def test_a_zone_of_the_facts_that_does_not_exist_is_said_and_the_file_is_let_go(connections: Connections):
    path = connections.duckdb()
    with pytest.raises(ConfigurationError, match="There is no time zone 'Mars/Olympus'"):
        open_target("duckdb_default", schema="toggl", facts_timezone="Mars/Olympus")
    assert tables(path)


def test_the_zone_of_the_facts_stays_until_another_is_given(connections: Connections):
    path = connections.duckdb()
    zones = []
    for zone in (None, "Asia/Tokyo", None, "Europe/Berlin"):
        open_target("duckdb_default", schema="toggl", facts_timezone=zone).close()
        with duckdb.connect(str(path)) as db:
            zones += db.execute("SELECT value FROM toggl.settings WHERE key = 'timezone'").fetchall()
    assert zones in ([("Asia/Tokyo",), ("Asia/Tokyo",), ("Europe/Berlin",)], [("UTC",), *zones[1:]])
    assert zones[-2:] == [("Asia/Tokyo",), ("Europe/Berlin",)]


HOLD = "import sys, duckdb; db = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"


def test_how_long_others_are_waited_for_is_an_option_and_who_they_are_is_said(connections: Connections):
    path = connections.duckdb()
    open_target("duckdb_default", schema="toggl").close()
    connections.set_option("warehouse_lock_timeout", "0.2")
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        try:
            assert other.stdout is not None
            assert other.stdout.readline() == b"open\n"
            for ask in (lambda: open_target("duckdb_default", schema="toggl"), lambda: read_df("SELECT 1")):
                with pytest.raises(WarehouseLocked, match=rf"within 0\.2 s: .*PID {other.pid}"):
                    ask()
        finally:
            other.kill()


# -- reading -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("df_type", ["pandas", "polars", "arrow"])
def test_a_query_gives_a_frame(connections: Connections, df_type: Any):
    connections.duckdb()
    frame = read_df(
        "SELECT ? AS id, NULL::BIGINT AS project_id, TIMESTAMPTZ '2026-01-01T00:00:00Z' AS start",
        parameters=[7],
        df_type=df_type,
    )
    assert len(frame) == 1
    if df_type == "pandas":
        assert (str(frame["project_id"].dtype), str(frame["start"].dt.tz)) == ("Int64", "UTC")
    else:
        assert frame["id"].to_list() == [7] if df_type == "polars" else frame["id"].to_pylist() == [7]


def test_a_query_finds_the_tables_of_the_schema_without_naming_it(connections: Connections):
    connections.duckdb()
    assert isinstance(read_df("SELECT * FROM time_entry_facts", df_type="arrow"), pa.Table)
    assert len(read_df("SELECT * FROM live_time_entries", schema="another")) == 0


def test_the_file_is_let_go_after_a_query(connections: Connections):
    path = connections.duckdb()
    read_df("SELECT 1 AS one")
    assert tables(path)
