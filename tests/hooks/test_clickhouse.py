"""Connections to ClickHouse: each field is applied as Apache's provider applies it, or refused by name."""

from __future__ import annotations

import builtins
import json
from typing import Any

import pytest
from support.servers.clickhouse import PASSWORD, USER, ClickhouseServer
from support.toggl_rows import entries

from airflow_provider_toggl.core.errors import ConfigurationError, DatabaseFault, WarehouseError
from airflow_provider_toggl.hooks import clickhouse
from airflow_provider_toggl.hooks.connections import get_connection
from airflow_provider_toggl.hooks.warehouse import open_warehouse, read_df

pytestmark = pytest.mark.airflow

SECRET = "secret-of-a-header-9d1c"


@pytest.fixture
def provider() -> None:
    """Skip where Apache's provider is not installed."""
    pytest.importorskip("airflow.providers.clickhousedb")


def set_connection(monkeypatch: pytest.MonkeyPatch, **fields: Any) -> None:
    given = {"conn_type": "clickhouse", "host": "127.0.0.1", "login": USER, "password": PASSWORD}
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(given | fields))


def client_options(monkeypatch: pytest.MonkeyPatch, **fields: Any) -> dict[str, Any]:
    """Return what the client of a connection is opened with."""
    set_connection(monkeypatch, **fields)
    given: dict[str, Any] = {}
    monkeypatch.setattr("clickhouse_connect.get_client", lambda **options: given.update(options))
    store = clickhouse.build_store(get_connection("warehouse", parameter="warehouse_conn_id"), "toggl")
    store._connect()
    return given


@pytest.mark.soak
@pytest.mark.clouds
@pytest.mark.xdist_group("clickhouse")
@pytest.mark.parametrize("extra", [{}, {"session_settings": {"max_threads": 1}, "compress": "lz4", "client_name": "x"}])
def test_rows_are_loaded_and_read_back(
    provider: None, clickhouse: ClickhouseServer, monkeypatch: pytest.MonkeyPatch, extra: dict[str, Any]
) -> None:
    set_connection(monkeypatch, port=clickhouse.port, schema="default", extra=extra)
    schema = f"by_hook_{len(extra)}"
    with open_warehouse("warehouse", schema=schema) as target:
        target.load([entries(1, 2)])
    found = read_df("select id from time_entries order by id", warehouse_conn_id="warehouse", schema=schema)
    assert found["id"].tolist() == [1, 2]


@pytest.mark.soak
@pytest.mark.clouds
@pytest.mark.xdist_group("clickhouse")
@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"password": "another"}, DatabaseFault.BAD_CREDENTIALS),
        ({"schema": "no_such_database"}, DatabaseFault.UNKNOWN_DATABASE),
    ],
)
def test_a_refused_connection_says_why_without_the_password(
    provider: None,
    clickhouse: ClickhouseServer,
    monkeypatch: pytest.MonkeyPatch,
    fields: dict[str, Any],
    fault: DatabaseFault,
) -> None:
    set_connection(monkeypatch, port=clickhouse.port, **fields)
    with pytest.raises(WarehouseError) as error:
        open_warehouse("warehouse", schema="toggl")
    assert error.value.fault is fault
    assert PASSWORD not in str(error.value)


def test_a_server_that_cannot_be_reached_is_an_error_without_the_password(
    provider: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_connection(monkeypatch, port=1)
    with pytest.raises(WarehouseError) as error:
        open_warehouse("warehouse", schema="toggl")
    assert error.value.fault is DatabaseFault.UNREACHABLE
    assert PASSWORD not in str(error.value)


def test_each_field_reaches_the_client(provider: None, monkeypatch: pytest.MonkeyPatch) -> None:
    extra = {
        "secure": "yes", "verify": False, "connect_timeout": "7", "send_receive_timeout": 60, "compress": "zstd",
        "client_name": "toggl", "session_settings": '{"max_threads": 2}',
        "client_kwargs": {"ca_cert": "/ca.pem", "headers": {"X-Token": SECRET}},
    }  # fmt: skip
    given = client_options(monkeypatch, host="ch.example:8443", schema="other", extra=extra)
    assert "(toggl)" in given.pop("client_name")
    assert given == {
        "host": "ch.example", "port": 8443, "username": USER, "password": PASSWORD, "database": "other", "secure": True,
        "verify": False, "connect_timeout": 7, "send_receive_timeout": 60, "compress": "zstd", "ca_cert": "/ca.pem",
        "headers": {"X-Token": SECRET}, "settings": {"max_threads": 2}, "autogenerate_session_id": False,
        "query_limit": 0,
    }  # fmt: skip


def test_without_fields_the_provider_s_defaults_apply(provider: None, monkeypatch: pytest.MonkeyPatch) -> None:
    given = client_options(monkeypatch, host="", login="", password="")
    expected = {"host": "localhost", "port": 8123, "username": "default", "password": "", "database": "default"}
    assert {name: given[name] for name in expected} == expected
    assert (given["secure"], given["verify"], "settings" in given) == (False, True, False)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"extra": {"database": "x"}}, "'database'"),
        ({"extra": {"secure": "perhaps"}}, "secure in the extra"),
        ({"extra": {"connect_timeout": "soon"}}, "connect_timeout in the extra"),
        ({"extra": {"session_settings": "[1]"}}, "session_settings in the extra"),
        ({"extra": {"session_settings": "{"}}, "session_settings in the extra"),
        ({"extra": {"client_kwargs": {"access_token": SECRET}}}, "'access_token'"),
        ({"extra": {"client_kwargs": {"host": "other", "session_id": "x"}}}, "'host', 'session_id'"),
        ({"extra": {"client_kwargs": f'"{SECRET}"'}}, "client_kwargs in the extra"),
        ({"extra": {"session_settings": {"readonly": 1}}}, "'readonly'"),
        ({"extra": {"session_settings": {"limit": 5, "max_threads": 1}}}, "'limit'"),
        ({"extra": {"session_settings": {"result_overflow_mode": "break"}}}, "'result_overflow_mode'"),
        ({"port": 9000}, "8123"),
        ({"host": "ch:9440"}, "8123"),
        ({"host": "http://ch"}, "is a URL"),
        ({"extra": {"secure": True}}, "8443"),
    ],
)
def test_a_field_that_must_not_be_set_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any], named: str
) -> None:
    set_connection(monkeypatch, **fields)
    with pytest.raises(ConfigurationError) as error:
        open_warehouse("warehouse", schema="toggl")
    assert named in str(error.value)
    assert "warehouse" in str(error.value)
    assert SECRET not in str(error.value)


def test_what_the_client_does_not_take_is_an_error_of_the_connection(
    provider: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_connection(
        monkeypatch, extra={"client_kwargs": {"tls_mode": 5, "client_cert": "/no/such.pem"}, "secure": True}, port=8443
    )
    with pytest.raises((ConfigurationError, WarehouseError), match="warehouse"):
        open_warehouse("warehouse", schema="toggl")


def test_a_missing_provider_leads_to_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    set_connection(monkeypatch)
    real = builtins.__import__

    def without_provider(name: str, *more: Any, **named: Any) -> Any:
        if name.startswith("airflow.providers.clickhousedb"):
            raise ImportError(name)
        return real(name, *more, **named)

    monkeypatch.setattr(builtins, "__import__", without_provider)
    with pytest.raises(ConfigurationError, match=r"pip install 'airflow-provider-toggl\[clickhouse\]'"):
        open_warehouse("warehouse", schema="toggl")
