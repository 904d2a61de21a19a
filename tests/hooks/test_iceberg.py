"""Connections of type ``iceberg``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from support.toggl_rows import entries

from airflow_provider_toggl.core.errors import ConfigurationError, DatabaseFault, WarehouseError
from airflow_provider_toggl.hooks.warehouse import open_warehouse, read_df

pytestmark = pytest.mark.airflow

SECRET = "a-client-secret"


def set_connection(monkeypatch: pytest.MonkeyPatch, **fields: Any) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps({"conn_type": "iceberg", **fields}))


def on_disk(folder: Path, **extra: Any) -> dict[str, Any]:
    catalog = {"type": "sql", "uri": f"sqlite:///{folder}/catalog.db", "warehouse": f"file://{folder}/tables"}
    return {**catalog, **extra}


@pytest.fixture
def provider() -> None:
    """Skip where Apache's provider and pyiceberg are not installed."""
    pytest.importorskip("airflow.providers.apache.iceberg")
    pytest.importorskip("pyiceberg")


@pytest.mark.usefixtures("provider")
def test_rows_are_loaded_and_read_back(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    set_connection(monkeypatch, extra=on_disk(tmp_path))
    with open_warehouse("warehouse", schema="toggl") as target:
        target.load([entries(1, 2)])
    found = read_df("select id from time_entries order by id", warehouse_conn_id="warehouse", schema="toggl")
    assert found["id"].tolist() == [1, 2]


@pytest.mark.usefixtures("provider")
def test_the_host_is_the_catalog_s_address(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    extra = on_disk(tmp_path)
    set_connection(monkeypatch, host=extra.pop("uri"), extra=extra)
    with open_warehouse("warehouse", schema="a.b") as target:
        assert target.counts()["time_entries"] == 0
    assert (tmp_path / "catalog.db").exists()


REFUSED = [
    ({"host": "http://c", "port": 8181}, "has a port"),
    ({"host": "http://c", "schema": "toggl"}, "has a schema"),
    ({"host": "http://c", "login": "id"}, "only one of login and password"),
    ({"host": "x", "login": "id", "password": SECRET, "extra": {"type": "glue"}}, "belong to REST catalogs only"),
    ({}, "has no host"),
    ({"extra": {"type": "sql"}}, "has no host"),
    ({"host": "http://c", "extra": {"uri": "http://d"}}, "name the same thing"),
    ({"host": "http://c", "extra": {"s3": {"region": "eu"}}}, "s3 in its extra must be a text, number or boolean"),
]


@pytest.mark.parametrize(("fields", "words"), REFUSED, ids=[words for _, words in REFUSED])
def test_a_field_that_would_be_ignored_is_named(
    monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any], words: str
) -> None:
    set_connection(monkeypatch, **fields)
    with pytest.raises(ConfigurationError, match=words) as error:
        open_warehouse("warehouse", schema="toggl")
    assert SECRET not in str(error.value)


def test_a_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "airflow.providers.apache.iceberg.hooks.iceberg", None)
    set_connection(monkeypatch, host="http://127.0.0.1:1")
    with pytest.raises(ConfigurationError, match=r"pip install 'airflow-provider-toggl\[iceberg\]'"):
        open_warehouse("warehouse", schema="toggl")


@pytest.mark.usefixtures("provider")
@pytest.mark.parametrize("extra", [{"type": "no such"}, {"py-io-impl": "no.such.Class"}])
def test_a_property_that_pyiceberg_does_not_know_is_a_configuration_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, extra: dict[str, str]
) -> None:
    set_connection(monkeypatch, extra=on_disk(tmp_path, **extra))
    with pytest.raises(ConfigurationError, match="Connection 'warehouse'"):
        open_warehouse("warehouse", schema="toggl")


@pytest.mark.usefixtures("provider")
def test_a_catalog_that_cannot_be_reached_is_an_error_without_the_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    extra = {"oauth2-server-uri": "http://127.0.0.1:1/tokens"}
    set_connection(monkeypatch, host="http://127.0.0.1:1", login="me", password=SECRET, extra=extra)
    with pytest.raises(WarehouseError) as error:
        open_warehouse("warehouse", schema="toggl")
    assert error.value.fault is DatabaseFault.UNREACHABLE
    assert SECRET not in str(error.value)
