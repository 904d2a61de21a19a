from __future__ import annotations

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import Connection
from airflow.sdk.execution_time.context import set_current_context
from airflow.sdk.lineage import HookLineageCollector
from support.connections import Connections
from support.sandboxes import HostedSandbox
from support.toggl_rows import entries

from airflow_provider_toggl.core.errors import ConfigurationError
from airflow_provider_toggl.core.lineage import parse_uri
from airflow_provider_toggl.hooks.days import compute_changed_days, find_changed_days
from airflow_provider_toggl.hooks.lineage import NAMINGS, name_table
from airflow_provider_toggl.hooks.toggl import TogglHook
from airflow_provider_toggl.hooks.warehouse import name_tables, open_warehouse, read_df

pytestmark = pytest.mark.airflow


def name(conn_type: str, **fields: Any) -> tuple[str, str] | None:
    extra = json.dumps(fields.pop("extra", {}))
    connection = Connection(conn_id="warehouse", conn_type=conn_type, extra=extra, **fields)
    return name_table(connection, "toggl", "time_entries")


POSTGRES = {"host": "db", "schema": "analytics"}
KEY = {"project_id": "acme", "private_key": "secret"}
CASES: list[tuple[str, dict[str, Any], str, str]] = [
    ("duckdb", {"host": "/data/warehouse.duckdb"}, "duckdb:///data/warehouse.duckdb", "warehouse.toggl.time_entries"),
    ("duckdb", {"schema": "data/w.duckdb"}, "duckdb:///data/w.duckdb", "w.toggl.time_entries"),
    ("duckdb", {"extra": {"database": "/data/w.duckdb"}}, "duckdb:///data/w.duckdb", "w.toggl.time_entries"),
    ("sqlite", {"host": "/data/warehouse.sqlite"}, "file:///data/warehouse.sqlite", "time_entries"),
    ("postgres", POSTGRES, "postgres://db:5432", "analytics.toggl.time_entries"),
    ("postgresql", {**POSTGRES, "port": 5433}, "postgres://db:5433", "analytics.toggl.time_entries"),
    ("postgres", {**POSTGRES, "host": "db:5434"}, "postgres://db:5434", "analytics.toggl.time_entries"),
    ("postgres", {**POSTGRES, "host": "::1"}, "postgres://[::1]:5432", "analytics.toggl.time_entries"),
    ("postgres", {**POSTGRES, "host": "one:1,two:2"}, "postgres://one:1", "analytics.toggl.time_entries"),
    ("postgres", {**POSTGRES, "host": "/run/pg"}, "postgres://localhost:5432", "analytics.toggl.time_entries"),
    ("postgres", {"login": "etl", "password": "secret"}, "postgres://localhost:5432", "etl.toggl.time_entries"),
    (
        "postgres",
        {**POSTGRES, "extra": {"host": "other", "port": "6000", "dbname": "prod"}},
        "postgres://other:6000",
        "prod.toggl.time_entries",
    ),
    ("mysql", {"host": "db", "schema": "unused"}, "mysql://db:3306", "toggl.time_entries"),
    ("mariadb", {"host": "db", "port": 3307}, "mysql://db:3307", "toggl.time_entries"),
    ("clickhouse", {"host": "ch"}, "clickhouse://ch:8123", "toggl.time_entries"),
    ("clickhouse", {"host": "ch", "extra": {"secure": True}}, "clickhouse://ch:8443", "toggl.time_entries"),
    ("clickhouse", {"host": "ch", "port": 9000}, "clickhouse://ch:9000", "toggl.time_entries"),
    (
        "snowflake",
        {"extra": {"account": "acme-eu", "database": "analytics", "region": "eu-west-1"}},
        "snowflake://acme-eu",
        "ANALYTICS.TOGGL.TIME_ENTRIES",
    ),
    (
        "snowflake",
        {"extra": {"account": "xy12345", "database": "a"}},
        "snowflake://xy12345.us-west-1.aws",
        "A.TOGGL.TIME_ENTRIES",
    ),
    (
        "snowflake",
        {"extra": {"account": "xy12345", "database": "a", "region": "eu-west-1"}},
        "snowflake://xy12345.eu-west-1.aws",
        "A.TOGGL.TIME_ENTRIES",
    ),
    (
        "snowflake",
        {"extra": {"account": "xy12345.west-europe.azure", "database": "a"}},
        "snowflake://xy12345.west-europe.azure",
        "A.TOGGL.TIME_ENTRIES",
    ),
    ("gcpbigquery", {"extra": {"project": "acme"}}, "bigquery", "acme.toggl.time_entries"),
    (
        "google_cloud_platform",
        {"extra": {"extra__google_cloud_platform__project": "acme"}},
        "bigquery",
        "acme.toggl.time_entries",
    ),
    ("gcpbigquery", {"extra": {"keyfile_dict": KEY}}, "bigquery", "acme.toggl.time_entries"),
    ("gcpbigquery", {"extra": {"keyfile_dict": json.dumps(KEY)}}, "bigquery", "acme.toggl.time_entries"),
    ("iceberg", {"extra": {"type": "sql", "warehouse": "s3a://lake/wh/"}}, "s3://lake", "wh/toggl/time_entries"),
    ("iceberg", {"extra": {"type": "glue", "warehouse": "s3://k:secret@lake"}}, "s3://lake", "toggl.db/time_entries"),
    (
        "iceberg",
        {"extra": {"type": "hive", "warehouse": "abfss://box@acme.dfs.core.windows.net/wh"}},
        "abfss://box@acme.dfs.core.windows.net",
        "wh/toggl.db/time_entries",
    ),
    ("iceberg", {"extra": {"type": "sql", "warehouse": "file:///data/wh"}}, "file", "/data/wh/toggl/time_entries"),
    (
        "iceberg",
        {"host": "https://user:secret@catalog:8181/v1/?token=secret", "extra": {"warehouse": "s3://lake"}},
        "https://catalog:8181/v1",
        "toggl.time_entries",
    ),
    ("iceberg", {"extra": {"uri": "http://catalog:8181"}}, "http://catalog:8181", "toggl.time_entries"),
    (
        "iceberg",
        {"host": "postgresql+psycopg2://etl:secret@db/catalog", "extra": {"type": "sql"}},
        "postgresql+psycopg2://db/catalog",
        "toggl.time_entries",
    ),
]


@pytest.mark.parametrize(("conn_type", "fields", "namespace", "table"), CASES)
def test_a_table_has_the_name_that_openlineage_has_for_its_engine(
    conn_type: str, fields: dict[str, Any], namespace: str, table: str
):
    assert name(conn_type, **fields) == (namespace, table)


def test_every_naming_is_tested():
    assert {conn_type for conn_type, *_ in CASES} == set(NAMINGS)


@pytest.mark.parametrize(
    ("conn_type", "fields"),
    [
        ("trino", {"host": "db"}),
        ("postgres", {"host": "db"}),
        ("snowflake", {"extra": {"database": "a"}}),
        ("snowflake", {"extra": {"account": "acme-eu"}}),
        ("gcpbigquery", {"extra": {"keyfile_dict": "no JSON"}}),
        ("iceberg", {}),
        ("iceberg", {"host": "user:secret@catalog"}),
        ("iceberg", {"host": "http://[catalog"}),
        ("iceberg", {"host": "sqlite:////data/catalog.db", "extra": {"type": "sql"}}),
    ],
)
def test_what_a_connection_does_not_say_has_no_name(conn_type: str, fields: dict[str, Any]):
    assert name(conn_type, **fields) is None


def test_the_error_for_an_invalid_host_shows_no_password():
    with pytest.raises(ConfigurationError, match="is a URL") as caught:
        name("mysql", host="mysql://user:secret@db")
    assert "secret" not in str(caught.value)


def test_the_names_are_those_of_the_openlineage_client():
    naming = pytest.importorskip("openlineage.client.naming.dataset")
    pairs = [
        (name("postgres", **POSTGRES), naming.Postgres("db", "5432", "analytics", "toggl", "time_entries")),
        (name("mysql", host="db"), naming.MySQL("db", "3306", "toggl", "time_entries")),
        (name("gcpbigquery", extra={"project": "acme"}), naming.BigQuery("acme", "toggl", "time_entries")),
        (
            name("snowflake", extra={"account": "acme-eu", "database": "A"}),
            naming.Snowflake("acme", "eu", "A", "TOGGL", "TIME_ENTRIES"),
        ),
    ]
    assert [ours for ours, _ in pairs] == [(theirs.get_namespace(), theirs.get_name()) for _, theirs in pairs]


def test_without_a_connection_the_default_warehouse_is_its_file(connections: Connections, tmp_path: Any):
    connections.set_option("warehouse_path", str(tmp_path / "w.duckdb"))
    assert name_tables("duckdb_default", "toggl", ["tags"]) == {
        "tags": (f"duckdb://{tmp_path}/w.duckdb", "w.toggl.tags")
    }
    with pytest.raises(ConfigurationError, match="no connection 'nowhere'"):
        name_tables("nowhere", "toggl", ["tags"])


# -- what hooks report -------------------------------------------------------------------------------------------------


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> HookLineageCollector:
    """A collector that keeps what it gets, as Airflow has one with a reader of hook lineage."""
    found = HookLineageCollector()
    monkeypatch.setattr("airflow.sdk.lineage.get_hook_lineage_collector", lambda: found)
    return found


@pytest.fixture
def running_task() -> Iterator[None]:
    """Airflow's mark that a task runs."""
    context: Any = {"ti": SimpleNamespace()}
    with set_current_context(context):
        yield


@pytest.fixture
def warehouse(connections: Connections) -> str:
    """The namespace of a warehouse with one entry."""
    path = connections.duckdb()
    with open_warehouse("duckdb_default", schema="toggl") as target:
        target.load([entries(1)])
    return f"duckdb://{path}"


def read(collector: HookLineageCollector) -> list[tuple[str, str]]:
    return [parse_uri(info.asset.uri) for info in collector.collected_assets.inputs]


@pytest.mark.usefixtures("running_task")
def test_the_hook_reports_the_streams_that_it_reads(
    sandbox: HostedSandbox, connections: Connections, collector: HookLineageCollector
):
    connections.toggl(sandbox)
    hook = TogglHook()
    for _ in range(2):
        list(hook.tags())
    hook.get_df("clients", df_type="arrow")
    workspace = f"toggl://{sandbox.workspace_id}"
    assert read(collector) == [(workspace, "tags"), (workspace, "clients")]
    assert [info.count for info in collector.collected_assets.inputs] == [2, 1]


@pytest.mark.usefixtures("running_task")
def test_read_df_reports_the_tables_behind_a_query(warehouse: str, collector: HookLineageCollector):
    read_df("select * from live_time_entries, tags", df_type="arrow")
    assert read(collector) == [(warehouse, "warehouse.toggl.tags"), (warehouse, "warehouse.toggl.time_entries")]


@pytest.mark.usefixtures("running_task")
def test_changed_days_are_those_of_time_entries(warehouse: str, collector: HookLineageCollector):
    find_changed_days()
    with compute_changed_days("mine"):
        pass
    assert read(collector) == [(warehouse, "warehouse.toggl.time_entries")]


@pytest.mark.usefixtures("warehouse")
def test_outside_a_task_nothing_is_reported(collector: HookLineageCollector):
    read_df("select * from tags", df_type="arrow")
    assert not collector.has_collected


@pytest.mark.usefixtures("running_task", "collector")
def test_a_report_that_fails_lets_the_task_go_on(warehouse: str, monkeypatch: pytest.MonkeyPatch):
    def fail(*_: Any) -> Any:
        raise ConfigurationError("no such connection")

    monkeypatch.setattr("airflow_provider_toggl.hooks.warehouse.name_tables", fail)
    assert len(read_df("select * from time_entries", df_type="arrow")) == 1
