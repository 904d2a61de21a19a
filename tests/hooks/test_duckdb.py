from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import Connection
from support.connections import Connections

from airflow_provider_toggl.core.errors import ConfigurationError
from airflow_provider_toggl.hooks.duckdb import parse_duckdb
from airflow_provider_toggl.hooks.warehouse import open_warehouse

pytestmark = pytest.mark.airflow

HOST = "/data/w.duckdb"


def connection(**fields: Any) -> Connection:
    extra = fields.pop("extra", None)
    return Connection(conn_id="duck", conn_type="duckdb", extra=extra and json.dumps(extra), **fields)


def test_without_an_extra_nothing_is_set() -> None:
    path, options = parse_duckdb(connection(host=HOST))
    assert path == Path(HOST)
    assert (options.settings, options.extensions, options.may_install) == ({}, (), False)


@pytest.mark.parametrize(
    ("extra", "settings"),
    [
        ({"memory_limit": "2GB", "threads": 4}, {"memory_limit": "2GB", "threads": 4}),
        ({"threads": "4"}, {"threads": 4}),
        ({"temp_directory": "~/spill"}, {"temp_directory": "{home}/spill"}),
        ({"extension_directory": "/ext"}, {"extension_directory": "/ext"}),
        ({"autoload_extensions": "yes"}, {"autoload_known_extensions": True}),
        ({"autoinstall_extensions": False}, {"autoinstall_known_extensions": False}),
        ({"allow_community_extensions": False}, {"allow_community_extensions": False}),
        ({"allow_community_extensions": True}, {}),
        ({"settings": {"checkpoint_threshold": "1MB", "s3_region": None}}, {"checkpoint_threshold": "1MB"}),
        ({"threads": 4, "settings": {"threads": 2}}, {"threads": 2}),
        ({"threads": None, "memory_limit": "", "read_only": False}, {}),
        ({"dialect": "duckdb", "placeholder": "?", "insert_statement_format": "x"}, {}),
    ],
)
def test_the_extra_becomes_settings_of_duckdb(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, extra: dict[str, Any], settings: dict[str, Any]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    path, options = parse_duckdb(connection(host=HOST, extra=extra))
    assert path == Path(HOST)
    wanted = {n: v.format(home=tmp_path) if isinstance(v, str) else v for n, v in settings.items()}
    assert options.settings == wanted
    assert options.source == "connection 'duck'"


@pytest.mark.parametrize("value", [["httpfs", "icu", "httpfs"], "httpfs, icu", '["httpfs", "icu"]'])
def test_extensions_are_loaded_in_order_and_once(value: Any) -> None:
    _, options = parse_duckdb(connection(host=HOST, extra={"extensions": value}))
    assert options.extensions == ("httpfs", "icu")
    assert not options.may_install
    assert options.settings == {"allow_community_extensions": False}


def test_only_its_own_field_allows_the_download_of_extensions() -> None:
    extra = {"extensions": ["httpfs"], "settings": {"autoinstall_known_extensions": "false"}}
    assert not parse_duckdb(connection(host=HOST, extra=extra))[1].may_install


def test_extensions_may_be_downloaded_if_the_connection_says_so() -> None:
    extra = {"extensions": ["h3"], "autoinstall_extensions": True, "allow_community_extensions": True}
    _, options = parse_duckdb(connection(host=HOST, extra=extra))
    assert options.may_install
    assert options.settings == {"autoinstall_known_extensions": True}


def test_database_in_the_extra_comes_before_the_host() -> None:
    path, _ = parse_duckdb(connection(host=HOST, extra={"database": "/other/w.duckdb"}))
    assert path == Path("/other/w.duckdb")
    assert parse_duckdb(connection(extra={"database": "/other/w.duckdb"}))[0] == path


MOTHERDUCK: dict[str, tuple[dict[str, Any], str]] = {
    "password": ({"password": "very-secret", "schema": "mine"}, "password"),
    "password_beside_a_file": ({"password": "very-secret", "host": HOST}, "password"),
    "token": ({"extra": {"motherduck_token": "very-secret"}}, "motherduck_token in the extra"),
    "host": ({"host": "MD:mine?motherduck_token=very-secret"}, "host"),
    "long_prefix": ({"host": "motherduck:mine?motherduck_token=very-secret"}, "host"),
    "schema": ({"schema": "md:mine"}, "schema"),
    "database": ({"host": HOST, "extra": {"database": "md:?motherduck_token=very-secret"}}, "database in the extra"),
}


@pytest.mark.parametrize("case", MOTHERDUCK)
def test_a_connection_to_motherduck_is_refused_with_the_reason_and_what_to_use(case: str) -> None:
    fields, reason = MOTHERDUCK[case]
    with pytest.raises(ConfigurationError) as caught:
        parse_duckdb(connection(**fields))
    said = str(caught.value)
    assert said.startswith(f"Connection 'duck' is one to MotherDuck, by its {reason}. It cannot be loaded into: loads")
    assert "path of a DuckDB file" in said
    assert "very-secret" not in said


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "login": ({"host": HOST, "login": "me"}, "'duck' has a login, which a DuckDB file does not have"),
    "port": ({"host": HOST, "port": 5432}, "'duck' has a port, which a DuckDB file does not have"),
    "schema": ({"host": HOST, "schema": "main"}, "has the schema 'main' beside the path .* parameter schema"),
    "uri_with_two_slashes": ({"host": "data", "schema": "w.duckdb"}, "three slashes: duckdb:///folder"),
    "nothing": ({}, "names no file"),
    "memory": ({"host": ":memory:"}, "in memory is lost when the task ends"),
    "memory_in_the_extra": ({"extra": {"database": ":memory:"}}, "database in the extra .* in memory is lost"),
    "folder": ({"extra": {"database": "/tmp/"}}, "database in the extra of connection 'duck' is the folder"),
    "read_only": (
        {"host": HOST, "extra": {"read_only": True}},
        "has read_only in its extra, and a warehouse is",
    ),
    "no_flag": (
        {"host": HOST, "extra": {"read_only": "perhaps"}},
        "read_only in the extra of connection 'duck' is",
    ),
    "threads": ({"host": HOST, "extra": {"threads": 0}}, "threads in the extra of connection 'duck' is 0"),
    "directory": ({"host": HOST, "extra": {"temp_directory": "s3://x"}}, "temp_directory .* begins with 's3:'"),
    "extension": ({"host": HOST, "extra": {"extensions": ["a;b"]}}, "of connection 'duck' has 'a;b'"),
    "extensions": ({"host": HOST, "extra": {"extensions": {"a": 1}}}, "extensions in the extra of connection 'duck'"),
    "unknown": ({"host": HOST, "extra": {"memory": "very-secret"}}, "has 'memory', which a DuckDB connection does not"),
    "settings": ({"host": HOST, "extra": {"settings": "very-secret"}}, "settings in the extra .* must be an object"),
    "own_setting": ({"host": HOST, "extra": {"settings": {"TimeZone": "Asia/Tokyo"}}}, "sets 'TimeZone', which this"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_applied_is_refused_by_its_name(case: str) -> None:
    fields, words = REFUSED[case]
    with pytest.raises(ConfigurationError, match=words) as caught:
        parse_duckdb(connection(**fields))
    assert "very-secret" not in str(caught.value)


def test_a_warehouse_is_opened_as_its_connection_says(connections: Connections, tmp_path: Path) -> None:
    extra = {"memory_limit": "300MB", "threads": 2, "extensions": ["json"], "settings": {"http_proxy": "proxy:8080"}}
    connections.set("duck", conn_type="duckdb", host=str(tmp_path / "w.duckdb"), extra=extra)
    settings = "select current_setting('threads') as threads, current_setting('http_proxy') as proxy"
    with open_warehouse("duck", schema="toggl") as target:
        assert target.query(settings).to_pylist() == [{"threads": 2, "proxy": "proxy:8080"}]


def test_a_warehouse_has_little_memory_and_one_thread_where_its_connection_says_nothing(
    connections: Connections,
) -> None:
    connections.duckdb()
    settings = "select current_setting('threads') as threads, current_setting('memory_limit') as memory"
    with open_warehouse("duckdb_default", schema="toggl") as target:
        assert target.query(settings).to_pylist() == [{"threads": 1, "memory": "152.5 MiB"}]


def test_a_setting_that_duckdb_refuses_leaves_no_file_locked(connections: Connections, tmp_path: Path) -> None:
    path = tmp_path / "w.duckdb"
    connections.set("bad", conn_type="duckdb", host=str(path), extra={"memory_limit": "much"})
    connections.duckdb("good", path)
    with pytest.raises(ConfigurationError, match="refuses the setting 'memory_limit' in the extra of connection 'bad'"):
        open_warehouse("bad", schema="toggl")
    open_warehouse("good", schema="toggl", lock_timeout=0).close()
