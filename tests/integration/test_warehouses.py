"""The example DAGs in a real Airflow, with each warehouse that a connection can name."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests
from support.airflow_home import AirflowHome, connect_sandbox
from support.repository import ROOT
from support.servers.bigquery import PROJECT, BigQueryServer
from support.servers.clickhouse import PASSWORD, USER, ClickhouseServer
from support.servers.moto import MotoServer
from support.servers.snowflake import DATABASE, SnowflakeServer
from support.truth import differences
from support.webhook_events import received_event, webhook_body

from airflow_provider_toggl.core.events.sqlite.engine import SqliteEventStore
from airflow_provider_toggl.hooks.warehouse import open_warehouse

pytestmark = [pytest.mark.airflow, pytest.mark.newest, pytest.mark.timeout(600)]

Connect = Callable[..., dict[str, Any]]


def iceberg_on_disk(folder: Path) -> dict[str, Any]:
    pytest.importorskip("airflow.providers.apache.iceberg")
    catalog = {"type": "sql", "uri": f"sqlite:///{folder}/catalog.db", "warehouse": f"file://{folder}/tables"}
    return {"conn_type": "iceberg", "extra": catalog}


def iceberg_in_s3(folder: Path, moto: MotoServer) -> dict[str, Any]:
    fields = iceberg_on_disk(folder)
    return fields | {"extra": fields["extra"] | moto.properties("integration")}


def snowflake_emulator(
    _: Path, snowflake: SnowflakeServer, airflow: AirflowHome, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    pytest.importorskip("airflow.providers.snowflake")
    from snowflake import connector

    # The provider has no field for it, and the emulator has no certificate. Airflow runs this file in each process.
    (airflow.path / "config" / "airflow_local_settings.py").write_text(WITHOUT_TLS)
    monkeypatch.setattr(connector, "connect", partial(connector.connect, protocol="http"))
    extra = {"account": "emulator", "database": DATABASE, "host": "127.0.0.1", "port": snowflake.port}
    return {"conn_type": "snowflake", "login": "toggl", "password": "secret", "extra": extra}


def bigquery_emulator(
    _: Path, bigquery: BigQueryServer, airflow: AirflowHome, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    pytest.importorskip("airflow.providers.google")
    airflow.env["BIGQUERY_EMULATOR_HOST"] = f"http://127.0.0.1:{bigquery.port}"
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", airflow.env["BIGQUERY_EMULATOR_HOST"])
    return {"conn_type": "gcpbigquery", "extra": {"project": PROJECT, "is_anonymous": True}}


def clickhouse_library(_: Path, clickhouse: ClickhouseServer) -> dict[str, Any]:
    pytest.importorskip("airflow.providers.clickhousedb")
    return {
        "conn_type": "clickhouse",
        "host": "127.0.0.1",
        "port": clickhouse.port,
        "login": USER,
        "password": PASSWORD,
        "schema": "default",
    }


WITHOUT_TLS = """
from functools import partial
import snowflake.connector as connector
connector.connect = partial(connector.connect, protocol="http")
"""
CLOUDS = (pytest.mark.soak, pytest.mark.clouds)
# Each returns the fields of a connection to an empty warehouse, or skips. Further parameters are fixtures.
WAREHOUSES = [
    pytest.param(iceberg_on_disk, id="iceberg", marks=pytest.mark.soak),
    pytest.param(iceberg_in_s3, id="iceberg in s3", marks=CLOUDS),
    pytest.param(snowflake_emulator, id="snowflake", marks=(*CLOUDS, pytest.mark.xdist_group("snowflake"))),
    pytest.param(bigquery_emulator, id="bigquery", marks=(*CLOUDS, pytest.mark.xdist_group("bigquery"))),
    pytest.param(clickhouse_library, id="clickhouse", marks=(*CLOUDS, pytest.mark.xdist_group("clickhouse"))),
]


@pytest.fixture
def airflow(tmp_path: Path) -> Any:
    with AirflowHome(tmp_path / "airflow", dags=ROOT / "dags") as home:
        yield home


@pytest.mark.parametrize("connect", WAREHOUSES)
def test_the_example_dags_load_what_toggl_has(
    request: pytest.FixtureRequest, sandbox, airflow: AirflowHome, tmp_path: Path, connect: Connect
):
    needed = list(inspect.signature(connect).parameters)[1:]
    fields = connect(tmp_path, *map(request.getfixturevalue, needed))
    toggl = sandbox("--entries", "600", "--seed", "5", "--plan", "starter")
    unused = connect_sandbox(airflow, toggl)
    airflow.set_connection("warehouse", fields)
    airflow.env |= {"TOGGL_WAREHOUSE_CONN_ID": "warehouse", "TOGGL_WORKSPACE_ID": str(toggl.workspace_id)}
    request.getfixturevalue("monkeypatch").setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(fields))

    def read(sql: str) -> list[dict[str, Any]]:
        with open_warehouse("warehouse", schema="toggl") as target:
            return list(target.query(sql.replace('"toggl".', "")).to_pylist())

    airflow.cli("dags", "test", "toggl_sync_to_duckdb", timeout=300)
    assert differences(read, toggl.url) == []
    toggl.mutate(seed=5, n=12, kinds=["delete_entry", "delete_tag", "late_edit"])
    airflow.cli("dags", "test", "toggl_reconcile", timeout=300)
    assert differences(read, toggl.url) == []
    receive_edit(airflow, toggl)
    airflow.cli("dags", "test", "toggl_on_change", timeout=300)
    assert differences(read, toggl.url) == []
    assert not unused.exists()


def receive_edit(airflow: AirflowHome, toggl: Any) -> None:
    """Edit an entry in Toggl, and store its event as the receiver does."""
    entry = next(row for row in toggl.truth("time_entries") if not row["deleted_at"] and not row["running"])
    url = f"{toggl.url}/api/v9/workspaces/{toggl.workspace_id}/time_entries/{entry['id']}"
    answer = requests.put(
        url, json={"description": "edited in the afternoon"}, auth=(toggl.token, "api_token"), timeout=30
    )
    answer.raise_for_status()
    body = webhook_body(
        "time_entry",
        "updated",
        answer.json(),
        created_at=datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        metadata={"workspace_id": str(toggl.workspace_id)},
    )
    with SqliteEventStore(airflow.path / "toggl" / "events.sqlite") as store:
        store.prepare()
        store.append([received_event(body)])
