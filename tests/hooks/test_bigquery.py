"""Connections to Google Cloud as stores; nothing here needs BigQuery, and most of it no provider of it."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from support.connections import Connections

from airflow_provider_toggl.core.errors import ConfigurationError, DatabaseFault, WarehouseError
from airflow_provider_toggl.hooks.bigquery import build_store, read_extra, read_options
from airflow_provider_toggl.hooks.connections import get_connection
from airflow_provider_toggl.hooks.warehouse import open_warehouse

pytestmark = pytest.mark.airflow

PROVIDER = "airflow.providers.google.cloud.hooks.bigquery"


def google(connections: Connections, extra: dict[str, Any], **fields: Any) -> Any:
    connections.set("my_google", **{"conn_type": "gcpbigquery", "extra": extra, **fields})
    return get_connection("my_google", parameter="warehouse_conn_id")


@pytest.mark.parametrize("field", ["host", "login", "password", "schema"])
def test_a_field_that_the_type_does_not_use_is_refused_by_name(connections: Connections, field: str) -> None:
    connection = google(connections, {"project": "mine"}, **{field: "a-secret"})
    with pytest.raises(ConfigurationError, match=f"has a {field}, which connections of type 'gcpbigquery'") as raised:
        read_extra(connection)
    assert "a-secret" not in str(raised.value)


@pytest.mark.parametrize(
    ("extra", "reason"),
    [
        ({"use_legacy_sql": True}, "this package writes GoogleSQL"),
        ({"use_legacy_sql": "True"}, "this package writes GoogleSQL"),
        ({"api_resource_configs": {"query": {"maximumBytesBilled": 1}}}, "configures its jobs itself"),
        ({"extra__google_cloud_platform__idp_extra_parameters": "{}x"}, "reads 'idp_extra_params'"),
        ({"projct": "mine"}, "neither Airflow's Google provider nor this package knows"),
    ],
)
def test_an_extra_that_would_have_no_effect_is_refused_by_name(
    connections: Connections, extra: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        read_extra(google(connections, extra))


def test_what_the_providers_form_stores_when_nothing_is_filled_in_is_taken(connections: Connections) -> None:
    empty = {"use_legacy_sql": False, "api_resource_configs": "", "labels": None, "num_retries": 5, "priority": ""}
    connection = google(connections, {**empty, "extra__google_cloud_platform__project": "mine"})
    assert read_extra(connection) == {"num_retries": 5, "project": "mine"}


def test_options_of_jobs_are_taken_from_the_extra(connections: Connections) -> None:
    given = {"location": "EU", "priority": "BATCH", "labels": '{"team": "time"}', "num_retries": "2"}
    connection = google(connections, given)
    assert read_options(read_extra(connection)) == {
        "location": "EU",
        "priority": "BATCH",
        "labels": {"team": "time"},
        "upload_retries": 2,
    }
    assert read_options({}) == {
        "location": None,
        "priority": "INTERACTIVE",
        "labels": {},
        "upload_retries": 5,
    }


@pytest.mark.parametrize("extra", [{"priority": "LOW"}, {"labels": "[1]"}, {"num_retries": "many"}])
def test_an_option_that_is_invalid_is_named(extra: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(extra))):
        read_options(extra)


def test_without_the_provider_the_extra_to_install_is_named(
    connections: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, PROVIDER, None)
    google(connections, {})
    with pytest.raises(ConfigurationError, match=r"pip install 'airflow-provider-toggl\[bigquery\]'"):
        open_warehouse("my_google", schema="toggl")


# -- with Airflow's Google provider -----------------------------------------------------------------------------------


@pytest.mark.parametrize("type_", ["gcpbigquery", "google_cloud_platform"])
def test_the_providers_hook_makes_the_client_for_both_types(connections: Connections, type_: str) -> None:
    pytest.importorskip(PROVIDER)
    extra = {"is_anonymous": True, "project": "mine", "location": "EU"}
    store = build_store(google(connections, extra, conn_type=type_), "toggl")
    store.open()
    assert (store.client.project, store.client.location) == ("mine", "EU")
    assert store.where == "BigQuery dataset mine.toggl"
    store.close()


def test_a_dataset_name_that_cannot_be_one_is_refused(connections: Connections) -> None:
    pytest.importorskip(PROVIDER)
    with pytest.raises(ConfigurationError, match="only letters, digits and underscores"):
        build_store(google(connections, {"is_anonymous": True, "project": "mine"}), "my-time")


def test_a_key_that_cannot_be_used_is_said_without_showing_it(connections: Connections) -> None:
    pytest.importorskip(PROVIDER)
    key = {"type": "service_account", "client_email": "a@b", "token_uri": "https://t", "private_key": "a-secret-key"}
    for given in (json.dumps(key), "{not json a-secret-key"):
        google(connections, {"project": "mine", "keyfile_dict": given})
        with pytest.raises((ConfigurationError, WarehouseError)) as raised:
            open_warehouse("my_google", schema="toggl")
        assert "a-secret-key" not in str(raised.value)


def test_a_missing_key_file_is_named(connections: Connections) -> None:
    pytest.importorskip(PROVIDER)
    google(connections, {"project": "mine", "key_path": "/nowhere/key.json"})
    with pytest.raises(ConfigurationError, match=r"/nowhere/key\.json"):
        open_warehouse("my_google", schema="toggl")


def test_without_any_credentials_the_cure_is_named(
    connections: Connections, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    pytest.importorskip(PROVIDER)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    google(connections, {"project": "mine"})
    with pytest.raises(WarehouseError, match="Check the key file, the account or the impersonation") as raised:
        open_warehouse("my_google", schema="toggl")
    assert raised.value.fault is DatabaseFault.BAD_CREDENTIALS
