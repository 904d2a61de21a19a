from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.fakes import FakeClock

from airflow_provider_toggl.core.errors import ConfigurationError, DatabaseFault, WarehouseError
from airflow_provider_toggl.core.load.engines.duckdb.engine import build_duckdb_warehouse
from airflow_provider_toggl.core.load.engines.duckdb.file import DuckdbFile
from airflow_provider_toggl.core.load.engines.duckdb.options import (
    OWN_SETTINGS,
    DuckdbOptions,
    configure,
    write_setting,
)


@pytest.fixture
def session() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        yield connection


def options(source: str = "connection 'c'", **fields: Any) -> DuckdbOptions:
    return DuckdbOptions(source=source, **fields)


def current(session: duckdb.DuckDBPyConnection, name: str) -> Any:
    row = session.execute(f"select current_setting('{name}')").fetchone()
    assert row is not None
    return row[0]


def test_a_warehouse_has_the_settings_of_its_connection_and_keeps_its_own(tmp_path: Path) -> None:
    given = options(settings={"threads": 2, "memory_limit": "300MB", "autoload_known_extensions": True})
    with build_duckdb_warehouse(tmp_path / "w.duckdb", options=given) as target:
        target.prepare()
        names = "current_setting('threads'), current_setting('autoload_known_extensions'), current_setting('TimeZone')"
        assert list(target.query(f"select {names}").to_pylist()[0].values()) == [2, True, "UTC"]
        memory = target.query("select current_setting('memory_limit') as memory")["memory"][0].as_py()
        assert memory.startswith("286")


def test_options_are_applied_each_time_that_the_file_is_opened(tmp_path: Path, clock: FakeClock) -> None:
    file = DuckdbFile(tmp_path / "w.duckdb", 1, clock, {}, options(settings={"threads": 2}))
    for _ in range(2):
        assert current(file.open(), "threads") == 2
        file.close()


def test_after_a_refused_setting_the_file_is_closed_for_others(tmp_path: Path, clock: FakeClock) -> None:
    path = tmp_path / "w.duckdb"
    file = DuckdbFile(path, 1, clock, {}, options(settings={"nonsense": 1}))
    with pytest.raises(ConfigurationError, match="refuses the setting 'nonsense' in the extra of connection 'c'"):
        file.open()
    assert not file.is_open
    other = DuckdbFile(path, 0, clock, {})
    other.open()
    other.close()


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("memory_limit", "much", "number"),
        ("threads", 0, "at least 1 thread"),
        ("access_mode", "read_only", "while database is running"),
        ("allow_unsigned_extensions", True, "while database is running"),
        ("s3_region", "eu-central-1", "needs that extension in extensions"),
    ],
)
def test_duckdb_s_own_words_say_why_it_refuses_a_setting(
    session: duckdb.DuckDBPyConnection, name: str, value: Any, words: str
) -> None:
    given = options(settings={"autoinstall_known_extensions": False, "autoload_known_extensions": False, name: value})
    with pytest.raises(ConfigurationError, match=words):
        configure(session, given)


@pytest.mark.parametrize("name", [*OWN_SETTINGS, "NULL_ORDER", "timezone", "schema", "search_path"])
def test_settings_that_the_statements_rely_on_are_refused(name: str) -> None:
    if name in ("autoinstall_known_extensions", "autoload_known_extensions"):
        options(settings={name: True})
        return
    with pytest.raises(ConfigurationError, match=f"The extra of connection 'c' sets '{name}', which this package sets"):
        options(settings={name: "x"})


@pytest.mark.parametrize("value", [{"a": "very-secret"}, ["very-secret", None], "very-\0secret", None])
def test_a_value_that_no_setting_has_is_refused_and_not_shown(value: Any) -> None:
    with pytest.raises(ConfigurationError, match="'http_proxy' to a value that DuckDB cannot take") as caught:
        options(settings={"http_proxy": value})
    assert "very-" not in str(caught.value)


def test_secrets_among_settings_are_not_shown(session: duckdb.DuckDBPyConnection) -> None:
    given = options(settings={"threads": "very-secret"})
    with pytest.raises(ConfigurationError, match="refuses the setting 'threads'") as caught:
        configure(session, given)
    assert "very-secret" not in f"{caught.value}{given!r}"


@pytest.mark.parametrize("name", ["a b", "a;b", "1a", "", "x'"])
def test_names_are_written_into_statements_only_if_they_are_names(name: str) -> None:
    for fields in ({"settings": {name: 1}}, {"extensions": (name,)}):
        with pytest.raises(ConfigurationError, match="have only letters, digits and underscores"):
            options(**fields)


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_any_text_can_be_a_value(text: str) -> None:
    with duckdb.connect() as session:
        session.execute(write_setting("http_proxy_username", text))
        assert current(session, "http_proxy_username") == text


def test_a_list_is_one_value(session: duckdb.DuckDBPyConnection) -> None:
    configure(session, options(settings={"allowed_directories": ["/a's", "/b"]}))
    assert [str(path).rstrip("/") for path in current(session, "allowed_directories")] == ["/a's", "/b"]


def test_no_setting_is_lost_when_the_configuration_is_locked(session: duckdb.DuckDBPyConnection) -> None:
    configure(session, options(settings={"lock_configuration": True, "threads": 2}))
    assert (current(session, "lock_configuration"), current(session, "threads")) == (True, 2)


def test_a_warehouse_is_loaded_with_a_locked_configuration_and_without_other_files(tmp_path: Path) -> None:
    given = options(settings={"lock_configuration": True, "enable_external_access": False})
    for _ in range(2):
        with build_duckdb_warehouse(tmp_path / "w.duckdb", options=given, hold_seconds=0) as target:
            target.prepare()
            target.release()
            assert target.counts()["tags"] == 0


# -- extensions --------------------------------------------------------------------------------------------------------


def test_an_extension_that_is_there_is_loaded(session: duckdb.DuckDBPyConnection) -> None:
    configure(session, options(extensions=("json", "icu")))


def test_a_missing_extension_is_named_with_its_folder_and_the_ways_to_have_it(
    session: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        configure(session, options(extensions=("spatial",), settings={"extension_directory": str(tmp_path)}))
    said = str(caught.value)
    assert "cannot load the extension 'spatial', which the extra of connection 'c' names" in said
    assert str(tmp_path) in said
    assert "`install spatial`" in said
    assert "set autoinstall_extensions to true" in said


def test_an_extension_that_cannot_be_downloaded_may_be_tried_again(
    session: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    places = {"extension_directory": str(tmp_path / "in"), "custom_extension_repository": str(tmp_path / "nothing")}
    with pytest.raises(WarehouseError, match="DuckDB cannot download the extension 'spatial'") as caught:
        configure(session, options(extensions=("spatial",), may_install=True, settings=places))
    assert caught.value.fault is DatabaseFault.UNREACHABLE


def test_a_file_that_is_no_extension_is_refused(session: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    platform = session.execute("pragma platform").fetchone()
    assert platform is not None
    folder = tmp_path / f"v{duckdb.__version__}" / platform[0]
    folder.mkdir(parents=True)
    (folder / "spatial.duckdb_extension").write_bytes(b"x" * 1000)
    for may_install in (False, True):
        given = options(
            extensions=("spatial",), may_install=may_install, settings={"extension_directory": str(tmp_path)}
        )
        with pytest.raises(ConfigurationError, match="not a DuckDB extension"):
            configure(session, given)


def test_files_that_share_a_temporary_directory_do_not_share_what_is_in_it(tmp_path: Path) -> None:
    given = options(settings={"temp_directory": str(tmp_path / "not" / "there"), "memory_limit": "20MB", "threads": 1})
    warehouses = [tmp_path / name / "w.duckdb" for name in ("one", "other")]
    opened = [DuckdbFile(path, 1, FakeClock(), dict(OWN_SETTINGS), given) for path in warehouses]
    for number, file in enumerate(opened):
        file.open().execute(
            f"create temporary table t as select '{number}' || repeat(md5(i::varchar), 4) as x from range(300_000) s(i)"
        )
    assert len(list((tmp_path / "not" / "there").iterdir())) == 2
    opened[1].close()
    found = opened[0].open().execute("select min(left(x, 1)), max(left(x, 1)), sum(length(x)) from t").fetchone()
    assert found == ("0", "0", 300_000 * 129)
    opened[0].close()
