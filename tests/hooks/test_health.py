from __future__ import annotations

import json
from datetime import datetime, timezone

import pytest
from airflow.models.connection import Connection
from airflow.utils.session import create_session
from support.connections import Connections

from airflow_provider_toggl.hooks.activity import record_declaration, record_load
from airflow_provider_toggl.hooks.health import (
    find_declaration,
    list_toggl_connections,
    read_charts,
    read_from_warehouse,
    read_health,
)
from airflow_provider_toggl.hooks.toggl import TogglHook
from airflow_provider_toggl.hooks.warehouse import open_target
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


def test_a_connection_that_is_not_there_is_said_and_no_error(connections: Connections) -> None:
    (finding,) = read_health("nowhere").findings()
    assert finding.level == "attention"
    assert "There is no connection 'nowhere'" in finding.text
    assert read_charts("nowhere") == []


def test_the_quota_is_what_this_host_was_told(sandbox: RunningSandbox, connections: Connections) -> None:
    connections.toggl(sandbox)
    assert read_health(CONN_ID).lanes == ()
    TogglHook(CONN_ID).get_conn().read_quota()
    lanes = {lane.lane: lane for lane in read_health(CONN_ID).lanes}
    assert lanes["user"].total == 30
    (requests,) = [chart for chart in read_charts(CONN_ID) if chart.key == "requests"]
    assert requests.columns[0].values[-1] == 1


def test_a_connection_that_only_workers_have_is_listed_by_what_they_noted(
    connections: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    connections.set(CONN_ID, conn_type="toggl", password="t" * 32, extra={"workspace_id": 1})
    mark = datetime.now(timezone.utc).isoformat()
    record_load(CONN_ID, workspace_id=1, stream="tags", watermark=mark, warehouse="duckdb_default.toggl")
    monkeypatch.delenv("AIRFLOW_CONN_TOGGL_DEFAULT")
    assert list_toggl_connections() == (CONN_ID,)
    assert read_health(CONN_ID).level == "good"


def test_charts_have_what_was_landed_lately(connections: Connections) -> None:
    connections.set(CONN_ID, conn_type="toggl", password="t" * 32)
    mark = datetime.now(timezone.utc).isoformat()
    record_load(CONN_ID, workspace_id=1, stream="tags", watermark=mark, warehouse="duckdb_default.toggl")
    charts = {chart.key: chart for chart in read_charts(CONN_ID)}
    assert [column.name for column in charts["freshness"].columns] == ["tags"]
    assert charts["deliveries"].is_empty


def test_the_warehouse_is_asked_and_one_that_cannot_be_read_is_unknown(
    connections: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    connections.set(CONN_ID, conn_type="toggl", password="t" * 32)
    path = connections.duckdb()
    open_target("duckdb_default", schema="toggl").close()
    assert read_from_warehouse(read_health(CONN_ID), "duckdb_default", "toggl").streams == ()
    path.write_bytes(b"no database" * 1000)
    health = read_from_warehouse(read_health(CONN_ID), "duckdb_default", "toggl")
    assert ("freshness", "unknown") in [(one.part, one.level) for one in health.findings()]
    assert json.loads(json.dumps(health.as_dict()))["unknown"]["freshness"]


def test_the_subscription_that_a_task_declared_is_remembered(connections: Connections) -> None:
    connections.set(CONN_ID, conn_type="toggl", password="t" * 32)
    assert find_declaration(CONN_ID) == {}
    record_declaration(CONN_ID, {"description": "airflow", "filters": ["*:*"]})
    assert find_declaration(CONN_ID) == {"description": "airflow", "filters": ["*:*"]}
