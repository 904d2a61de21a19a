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
from support.servers.mariadb import PASSWORD
from support.toggl_rows import NOON, entries

from airflow_provider_toggl.core.errors import ConfigurationError, WarehouseError, WarehouseLocked
from airflow_provider_toggl.hooks import settings
from airflow_provider_toggl.hooks.warehouse import open_warehouse, read_df, resolve_keep_history

pytestmark = pytest.mark.airflow


def tables(path: Path, schema: str = "toggl") -> set[str]:
    with duckdb.connect(str(path), read_only=True) as db:
        query = "SELECT table_name FROM information_schema.tables WHERE table_schema = ?"
        return {name for (name,) in db.execute(query, [schema]).fetchall()}


def test_the_file_of_a_connection_is_made_with_its_tables(connections: Connections):
    path = connections.duckdb("my_duck")
    with open_warehouse("my_duck", schema="toggl") as target:
        assert target.counts()["time_entries"] == 0
    assert {"time_entries", "projects", "sync_state", "live_time_entries", "time_entry_facts"} <= tables(path)


def test_the_schema_is_the_one_asked_for(connections: Connections):
    path = connections.duckdb()
    open_warehouse("duckdb_default", schema='time "tracking"').close()
    assert "time_entries" in tables(path, 'time "tracking"')
    assert tables(path) == set()


@pytest.mark.parametrize("form", ["duckdb:///{0}", "duckdb://{1}"])
def test_a_connection_written_as_a_uri_names_its_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, connections: Connections, form: str
):
    path = tmp_path / "w.duckdb"
    monkeypatch.setenv("AIRFLOW_CONN_MY_DUCK", form.format(str(path).lstrip("/"), str(path).replace("/", "%2F")))
    open_warehouse("my_duck", schema="toggl").close()
    assert path.exists()


def test_the_default_connection_may_be_missing(connections: Connections, tmp_path: Path):
    assert settings.warehouse_path() == Path(os.environ["AIRFLOW_HOME"], "toggl", "warehouse.duckdb")
    connections.set_option("warehouse_path", str(tmp_path / "default.duckdb"))
    open_warehouse("duckdb_default", schema="toggl").close()
    assert "time_entries" in tables(tmp_path / "default.duckdb")


def test_a_type_without_an_installed_provider_is_said(connections: Connections):
    connections.set("my_duck", conn_type="dbase")
    with pytest.raises(ConfigurationError, match=r"'my_duck' is of type 'dbase', and no hook .* not with this type"):
        open_warehouse("my_duck", schema="toggl")


def test_the_zone_of_the_facts_stays_until_another_is_given(connections: Connections):
    path = connections.duckdb()
    with pytest.raises(ConfigurationError, match="There is no time zone 'Mars/Olympus'"):
        open_warehouse("duckdb_default", schema="toggl", facts_timezone="Mars/Olympus")
    assert not path.exists()
    zones = []
    for zone in (None, "Asia/Tokyo", None, "Europe/Berlin"):
        open_warehouse("duckdb_default", schema="toggl", facts_timezone=zone).close()
        with duckdb.connect(str(path)) as db:
            zones += db.execute("SELECT value FROM toggl.settings WHERE key = 'timezone'").fetchall()
    assert zones in ([("Asia/Tokyo",), ("Asia/Tokyo",), ("Europe/Berlin",)], [("UTC",), *zones[1:]])
    assert zones[-2:] == [("Asia/Tokyo",), ("Europe/Berlin",)]


HOLD = "import sys, duckdb; db = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"


def test_how_long_others_are_waited_for_is_an_option_and_who_they_are_is_said(connections: Connections):
    path = connections.duckdb()
    open_warehouse("duckdb_default", schema="toggl").close()
    connections.set_option("warehouse_lock_timeout", "0.2")
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        try:
            assert other.stdout is not None
            assert other.stdout.readline() == b"open\n"
            for ask in (lambda: open_warehouse("duckdb_default", schema="toggl"), lambda: read_df("SELECT 1")):
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


# -- other engines -----------------------------------------------------------------------------------------------------


ENGINES = [
    pytest.param("postgres", marks=pytest.mark.xdist_group("postgres-warehouses")),
    "sqlite",
    pytest.param("mysql", marks=pytest.mark.xdist_group("mariadb")),
]


@pytest.fixture(params=ENGINES)
def other(request: pytest.FixtureRequest, connections: Connections, tmp_path: Path) -> str:
    """The name of a connection of each engine, as people set it."""
    if request.param == "postgres":
        fields: dict[str, Any] = request.getfixturevalue("postgres_fields")
    elif request.param == "mysql":
        port = request.getfixturevalue("mariadb").port
        fields = {"host": "127.0.0.1", "port": port, "login": "toggl", "password": PASSWORD}
        fields |= {"conn_type": "mysql", "extra": {"client": "mysql-connector-python"}}
    else:
        fields = {"conn_type": "sqlite", "host": str(tmp_path / "w.sqlite")}
    connections.set("other", **fields)
    return "other"


def test_rows_land_by_the_connections_of_other_engines_and_are_read_back(other: str) -> None:
    with open_warehouse(other, schema="toggl", facts_timezone="Asia/Tokyo") as target:
        target.load([entries(1, 2, start="2025-06-01T23:00:00Z")])
    frame = read_df(
        "SELECT time_entry_id, local_date, start FROM time_entry_facts WHERE start >= ? ORDER BY time_entry_id",
        warehouse_conn_id=other,
        parameters=[NOON],
    )
    assert frame["time_entry_id"].tolist() == [1, 2]
    assert str(frame["start"].dt.tz) == "UTC"
    assert {str(day)[:10] for day in frame["local_date"]} == {"2025-06-02"}
    read_df("SELECT 1 AS one", warehouse_conn_id=other, df_type="polars")


def test_a_driver_that_is_missing_is_said(connections: Connections):
    connections.set("other", conn_type="mysql", host="127.0.0.1", login="x")
    with pytest.raises(
        ConfigurationError,
        match=r"(?s)Connection 'other' of type 'mysql' cannot be opened: .*mysqlclient.*airflow toggl doctor",
    ):
        open_warehouse("other", schema="toggl")


def test_a_server_that_cannot_be_reached_is_said_without_the_password(connections: Connections):
    for type_ in ("mysql", "postgres"):
        extra = {"client": "mysql-connector-python"} if type_ == "mysql" else {}
        connections.set(
            "other", conn_type=type_, host="127.0.0.1", port=1, login="x", password="topsecret", extra=extra
        )
        with pytest.raises(WarehouseError) as caught:
            open_warehouse("other", schema="toggl")
        assert "topsecret" not in str(caught.value)


def test_without_psycopg_the_package_to_install_is_said(connections: Connections, monkeypatch: pytest.MonkeyPatch):
    connections.set("other", conn_type="postgres", host="127.0.0.1")
    monkeypatch.setitem(sys.modules, "psycopg.conninfo", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'airflow-provider-toggl\[postgres\]'"):
        open_warehouse("other", schema="toggl")


@pytest.mark.parametrize(
    ("asked", "option", "resolved"),
    [(None, None, None), (None, "False", None), (None, "True", True), (False, "True", False), (True, "False", True)],
)
def test_history_is_as_a_task_says_or_on_by_the_option(
    connections: Connections, asked: bool | None, option: str | None, resolved: bool | None
):
    if option:
        connections.set_option("keep_history", option)
    assert resolve_keep_history(asked) is resolved


def test_history_stays_as_it_was_set(connections: Connections):
    connections.duckdb()
    kept = []
    for wanted in (None, True, None, False, None):
        with open_warehouse("duckdb_default", schema="toggl", keep_history=wanted) as target:
            found = target.query('select "value" from settings where "key" = \'history\'')
            kept.append(found[0].to_pylist())
    assert kept == [[], ["on"], ["on"], ["off"], ["off"]]
