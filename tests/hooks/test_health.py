from __future__ import annotations

import json
from datetime import datetime, timezone

import pytest
from airflow.models.connection import Connection
from airflow.utils.session import create_session
from support.connections import Connections

from airflow_provider_toggl.core.operate.findings import CheckStatus, worst_status
from airflow_provider_toggl.core.operate.health.diagnosis import diagnose
from airflow_provider_toggl.hooks.activity import record_declaration, record_load
from airflow_provider_toggl.hooks.health import (
    find_declaration,
    list_toggl_connections,
    read_charts,
    read_from_warehouse,
    read_health,
)
from airflow_provider_toggl.hooks.toggl import TogglHook
from airflow_provider_toggl.hooks.warehouse import open_warehouse
from airflow_provider_toggl.sandbox.server import RunningSandbox

pytestmark = pytest.mark.airflow

CONN_ID = "toggl_default"


def test_connections_are_those_of_the_environment_the_database_and_the_receiver(
    connections: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    connections.set("by_json", conn_type="toggl")
    connections.set("another", conn_type="postgres")
    monkeypatch.setenv("AIRFLOW_CONN_BY_URI", "toggl://:token@")
    monkeypatch.setenv("AIRFLOW_CONN_BROKEN", "{")
    connections.set_option("receiver_connections", "received, by_json")
    with create_session() as session:
        session.add(Connection(conn_id="stored", conn_type="toggl"))
    try:
        assert list_toggl_connections() == ("by_json", "by_uri", "received", "stored")
        connections.set(CONN_ID, conn_type="toggl")
        assert CONN_ID in list_toggl_connections()
    finally:
        with create_session() as session:
            session.query(Connection).filter(Connection.conn_id == "stored").delete()


def test_a_missing_connection_is_a_finding_and_not_an_error(connections: Connections) -> None:
    (finding,) = diagnose(read_health("nowhere"))
    assert finding.status is CheckStatus.FAULT
    assert "There is no connection 'nowhere'" in finding.text
    assert read_charts("nowhere") == []


def test_the_quota_is_the_one_reported_to_this_host(sandbox: RunningSandbox, connections: Connections) -> None:
    connections.toggl(sandbox)
    assert read_health(CONN_ID).lanes == ()
    TogglHook(CONN_ID).get_conn().read_quota()
    lanes = {lane.lane: lane for lane in read_health(CONN_ID).lanes}
    assert lanes["user"].total == 30
    (requests,) = [chart for chart in read_charts(CONN_ID) if chart.key == "requests"]
    assert requests.columns[0].values[-1] == 1


def test_a_connection_that_only_workers_have_is_listed_by_its_records(
    connections: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    connections.set(CONN_ID, conn_type="toggl", password="t" * 32, extra={"workspace_id": 1})
    mark = datetime.now(timezone.utc).isoformat()
    record_load(CONN_ID, workspace_id=1, stream="tags", watermark=mark, warehouse="duckdb_default.toggl")
    monkeypatch.delenv("AIRFLOW_CONN_TOGGL_DEFAULT")
    assert list_toggl_connections() == (CONN_ID,)
    assert worst_status(diagnose(read_health(CONN_ID))) is CheckStatus.OK


def test_charts_have_recent_loads(connections: Connections) -> None:
    connections.set(CONN_ID, conn_type="toggl", password="t" * 32)
    mark = datetime.now(timezone.utc).isoformat()
    record_load(CONN_ID, workspace_id=1, stream="tags", watermark=mark, warehouse="duckdb_default.toggl")
    charts = {chart.key: chart for chart in read_charts(CONN_ID)}
    assert [column.name for column in charts["freshness"].columns] == ["tags"]
    assert charts["deliveries"].is_empty


def test_freshness_is_read_from_the_warehouse_and_unknown_if_that_fails(
    connections: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    connections.set(CONN_ID, conn_type="toggl", password="t" * 32)
    path = connections.duckdb()
    open_warehouse("duckdb_default", schema="toggl").close()
    assert read_from_warehouse(read_health(CONN_ID), "duckdb_default", "toggl").streams == ()
    path.write_bytes(b"no database" * 1000)
    health = read_from_warehouse(read_health(CONN_ID), "duckdb_default", "toggl")
    assert ("freshness", CheckStatus.UNKNOWN) in [(one.check, one.status) for one in diagnose(health)]
    assert json.loads(json.dumps(health.as_dict()))["unknown"]["freshness"]


def test_the_declared_subscription_is_recorded(connections: Connections) -> None:
    connections.set(CONN_ID, conn_type="toggl", password="t" * 32)
    assert find_declaration(CONN_ID) == {}
    record_declaration(CONN_ID, {"description": "airflow", "filters": ["*:*"]})
    assert find_declaration(CONN_ID) == {"description": "airflow", "filters": ["*:*"]}
