"""MySQL and MariaDB where Apache's provider of that connection type is not installed."""

from __future__ import annotations

import builtins
import json
from typing import Any

import pytest
from support.servers.mariadb import PASSWORD, MariadbServer
from support.toggl_rows import entries

from airflow_provider_toggl.core.errors import ConfigurationError, WarehouseError
from airflow_provider_toggl.hooks import mysql
from airflow_provider_toggl.hooks.warehouse import open_warehouse, read_df

pytestmark = pytest.mark.airflow


@pytest.fixture(autouse=True)
def no_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mysql, "is_provider_installed", lambda connection_type: False)


def set_connection(monkeypatch: pytest.MonkeyPatch, **fields: Any) -> None:
    given = {"conn_type": "mysql", "host": "127.0.0.1", "login": "toggl", "password": PASSWORD}
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(given | fields))


@pytest.mark.xdist_group("mariadb")
@pytest.mark.parametrize("connection_type", mysql.CONNECTION_TYPES)
@pytest.mark.parametrize("extra", [{}, {"client": "mysql-connector-python", "connection_timeout": 5, "charset": ""}])
def test_rows_are_loaded_and_read_back(
    mariadb: MariadbServer, monkeypatch: pytest.MonkeyPatch, connection_type: str, extra: dict[str, Any]
) -> None:
    set_connection(monkeypatch, conn_type=connection_type, port=mariadb.port, extra=extra)
    with open_warehouse("warehouse", schema="without_provider") as target:
        target.load([entries(1, 2)])
    query = "select id from time_entries order by id"
    found = read_df(query, warehouse_conn_id="warehouse", schema="without_provider")
    assert found["id"].tolist() == [1, 2]


def test_an_unknown_option_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    set_connection(monkeypatch, port=1, extra={"ssl_mode": "REQUIRED"})
    with pytest.raises(ConfigurationError, match=r"(?s)extra of connection 'warehouse'.*ssl_mode"):
        open_warehouse("warehouse", schema="toggl")


def test_the_client_of_apache_s_provider_leads_to_that_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    set_connection(monkeypatch, extra={"client": "mysqlclient"})
    with pytest.raises(ConfigurationError, match="'mysqlclient', which comes with apache-airflow-providers-mysql"):
        open_warehouse("warehouse", schema="toggl")


def test_a_server_that_cannot_be_reached_is_an_error_without_the_password(monkeypatch: pytest.MonkeyPatch) -> None:
    set_connection(monkeypatch, port=1)
    with pytest.raises(WarehouseError) as error:
        open_warehouse("warehouse", schema="toggl")
    assert PASSWORD not in str(error.value)


def test_a_missing_driver_leads_to_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    set_connection(monkeypatch)
    real = builtins.__import__

    def without_driver(name: str, *more: Any, **named: Any) -> Any:
        if name.startswith("mysql"):
            raise ImportError(name)
        return real(name, *more, **named)

    monkeypatch.setattr(builtins, "__import__", without_driver)
    with pytest.raises(ConfigurationError, match=r"pip install 'airflow-provider-toggl\[mysql\]'"):
        open_warehouse("warehouse", schema="toggl")


@pytest.mark.parametrize(("connection_type", "installed"), [("mysql", True), ("nosuchtype", False)])
def test_whether_a_provider_is_installed_is_seen(
    monkeypatch: pytest.MonkeyPatch, connection_type: str, installed: bool
) -> None:
    monkeypatch.undo()
    assert mysql.is_provider_installed(connection_type) is installed
