"""Connections of Apache's Snowflake provider."""

from __future__ import annotations

import builtins
import json
from typing import Any

import pytest
from support.servers.snowflake import SnowflakeServer
from support.toggl_rows import entries

from airflow_provider_toggl.core.errors import ConfigurationError, DatabaseFault, WarehouseError
from airflow_provider_toggl.hooks import snowflake as module
from airflow_provider_toggl.hooks.connections import get_connection
from airflow_provider_toggl.hooks.warehouse import build_warehouse, open_warehouse, read_df

pytestmark = pytest.mark.airflow

PASSWORD = "pass'word-of-toggl"
EXTRA = {"account": "myorg-myaccount", "database": "ANALYTICS", "warehouse": "LOADING", "role": "TOGGL_LOADER"}


def set_connection(monkeypatch: pytest.MonkeyPatch, extra: dict[str, Any] | None = None, **fields: Any) -> None:
    given = {"conn_type": "snowflake", "login": "toggl", "password": PASSWORD, "extra": EXTRA | (extra or {})}
    monkeypatch.setenv("AIRFLOW_CONN_SNOW", json.dumps(given | fields))


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the provider's hook gives to the connector, which connects to nothing."""
    pytest.importorskip("airflow.providers.snowflake")
    connector = pytest.importorskip("snowflake.connector")
    calls: list[dict[str, Any]] = []

    def connect(**given: Any) -> None:
        calls.append(given)
        raise connector.errors.DatabaseError(msg="Incorrect username or password was specified.", errno=390100)

    monkeypatch.setattr(connector, "connect", connect)
    return calls


def fail_to_open() -> WarehouseError:
    with pytest.raises(WarehouseError) as caught:
        open_warehouse("snow", schema="toggl")
    return caught.value


def test_the_provider_s_hook_gets_all_fields(monkeypatch: pytest.MonkeyPatch, connected: list[dict[str, Any]]) -> None:
    more = {
        "region": "eu-west-1",
        "host": "proxy.internal",
        "port": 8443,
        "proxy_host": "p",
        "proxy_port": "8080",
        "ocsp_fail_open": "false",
        "session_parameters": {"query_tag": "mine", "STATEMENT_TIMEOUT_IN_SECONDS": 60},
    }
    set_connection(monkeypatch, more, schema="PUBLIC")
    error = fail_to_open()
    assert error.fault is DatabaseFault.BAD_CREDENTIALS
    assert PASSWORD not in str(error)
    assert str(error).startswith("Snowflake account myorg-myaccount, schema ANALYTICS.TOGGL: 390100")
    (given,) = connected
    assert {name: given[name] for name in (*EXTRA, "region", "host", "port", "proxy_host", "proxy_port")} == {
        **EXTRA,
        "region": "eu-west-1",
        "host": "proxy.internal",
        "port": 8443,
        "proxy_host": "p",
        "proxy_port": 8080,
    }
    assert (given["user"], given["password"], given["schema"], given["ocsp_fail_open"]) == (
        *("toggl", PASSWORD, "TOGGL"),
        False,
    )
    assert given["network_timeout"] == module.NETWORK_TIMEOUT
    session = given["session_parameters"]
    assert (session["QUERY_TAG"], session["STATEMENT_TIMEOUT_IN_SECONDS"]) == ("mine", 60)
    assert (session["TIMEZONE"], session["LOCK_TIMEOUT"]) == ("UTC", 300)


def test_statements_are_tagged_with_the_task(monkeypatch: pytest.MonkeyPatch, connected: list[dict[str, Any]]) -> None:
    set_connection(monkeypatch)
    fail_to_open()
    assert json.loads(connected[0]["session_parameters"]["QUERY_TAG"]) == {"application": "airflow-provider-toggl"}
    task = {"AIRFLOW_CTX_DAG_ID": "toggl", "AIRFLOW_CTX_TASK_ID": "entries", "AIRFLOW_CTX_TRY_NUMBER": "2"}
    assert json.loads(module.build_tag(task)) == {
        "application": "airflow-provider-toggl",
        "dag_id": "toggl",
        "task_id": "entries",
        "try_number": "2",
    }
    assert len(module.build_tag({"AIRFLOW_CTX_DAG_ID": "x" * 5000})) == 2000


@pytest.mark.parametrize(
    ("extra", "fields", "words"),
    [
        ({"acount": "x"}, {}, "'acount' in its extra"),
        ({"account": ""}, {}, "lacks account"),
        ({"database": None, "account": None}, {}, "lacks account and database"),
        ({}, {"host": "myorg.snowflakecomputing.com"}, "has a host or a port"),
        ({}, {"port": 443}, "has a host or a port"),
        ({"authenticator": "ExternalBrowser"}, {}, "logs in by a browser"),
        ({"session_parameters": "x"}, {}, "must be a JSON object"),
        ({"session_parameters": {"timezone": "Europe/Berlin"}}, {}, "sets the session parameter TIMEZONE"),
        ({"private_key_file": "/no/such/key.p8"}, {}, "cannot be opened: The private_key_file path"),
        ({"private_key_content": "bm8ga2V5"}, {}, "cannot be opened"),
        ({"authenticator": "oauth", "grant_type": "magic"}, {}, "grant_type"),
        ({"account": "evil.example/x?"}, {}, "cannot be opened|Incorrect"),
    ],
)
def test_a_field_that_cannot_be_used_is_named(
    monkeypatch: pytest.MonkeyPatch,
    connected: list[dict[str, Any]],
    extra: dict[str, Any],
    fields: dict[str, Any],
    words: str,
) -> None:
    set_connection(monkeypatch, extra, **fields)
    with pytest.raises((ConfigurationError, WarehouseError), match=words) as caught:
        open_warehouse("snow", schema="toggl")
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize("schema", ["my schema", "1st", 'a"b', "größe", "a.b", ""])
def test_a_schema_that_would_need_quotes_is_refused(schema: str) -> None:
    with pytest.raises(ConfigurationError, match="in Snowflake it must begin with"):
        module.check_schema(schema)


def test_a_schema_is_in_upper_case() -> None:
    assert module.check_schema("toggl_2$") == "TOGGL_2$"


def test_fields_may_have_their_old_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    old = {f"extra__snowflake__{name}": value for name, value in EXTRA.items()}
    monkeypatch.setenv("AIRFLOW_CONN_SNOW", json.dumps({"conn_type": "snowflake", "extra": old}))
    assert module.check_fields(get_connection("snow", parameter="warehouse_conn_id")) == EXTRA


def test_a_token_that_is_not_issued_is_an_error_without_the_request(
    monkeypatch: pytest.MonkeyPatch, connected: list[dict[str, Any]]
) -> None:
    import requests

    def post(*_: Any, **given: Any) -> requests.Response:
        answer = requests.Response()
        answer.status_code, answer.url = 400, f"https://x/?secret={PASSWORD}"
        return answer

    monkeypatch.setattr("airflow.providers.snowflake.hooks.snowflake.requests.post", post)
    set_connection(monkeypatch, {"authenticator": "oauth", "grant_type": "client_credentials"})
    error = fail_to_open()
    assert error.fault is DatabaseFault.BAD_CREDENTIALS
    assert "HTTPError, status 400" in str(error)
    assert PASSWORD not in f"{error}{error.__cause__}"
    assert connected == []


@pytest.mark.soak
@pytest.mark.clouds
@pytest.mark.xdist_group("snowflake")
def test_rows_are_loaded_and_read_back_through_the_provider_s_hook(
    snowflake: SnowflakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("airflow.providers.snowflake")
    connector = pytest.importorskip("snowflake.connector")
    connect = connector.connect
    # The provider has no field for it, and the emulator has no certificate.
    monkeypatch.setattr(connector, "connect", lambda **given: connect(**given, protocol="http"))
    set_connection(monkeypatch, {"host": "127.0.0.1", "port": snowflake.port})
    with open_warehouse("snow", schema="through_the_hook", facts_timezone="Europe/Berlin") as target:
        target.load([entries(1, 2)])
    query = "select time_entry_id, local_date from time_entry_facts order by 1"
    found = read_df(query, warehouse_conn_id="snow", schema="through_the_hook", df_type="arrow")
    assert found["time_entry_id"].to_pylist() == [1, 2]


def test_a_missing_provider_leads_to_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    set_connection(monkeypatch)
    real = builtins.__import__

    def without_provider(name: str, *more: Any, **named: Any) -> Any:
        if name.startswith(("airflow.providers.snowflake", "snowflake")):
            raise ImportError(name)
        return real(name, *more, **named)

    monkeypatch.setattr(builtins, "__import__", without_provider)
    with pytest.raises(ConfigurationError, match=r"pip install 'airflow-provider-toggl\[snowflake\]'"):
        build_warehouse("snow", "toggl", 1)
