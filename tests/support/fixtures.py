"""Fixtures for all tests, registered by ``tests/conftest.py``. A folder's ``conftest.py`` may replace one of them.

What a fixture needs is imported when it is used: importing all of it takes two seconds.
"""

from __future__ import annotations

import shutil
import sys
import types
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from support.connections import Connections
    from support.pulls import Workspace
    from support.sandboxes import HostedSandbox, SandboxHost
    from support.servers.bigquery import BigQueryServer
    from support.servers.clickhouse import ClickhouseServer
    from support.servers.mariadb import MariadbServer
    from support.servers.moto import MotoServer
    from support.servers.postgres import PostgresServer
    from support.servers.snowflake import SnowflakeServer

    from airflow_provider_toggl.core.events.sqlite.engine import SqliteEventStore
    from airflow_provider_toggl.sandbox.server import RunningSandbox


@pytest.fixture
def anyio_backend() -> str:
    """The event loop of asynchronous tests, which have the marker ``anyio``."""
    return "asyncio"


@pytest.fixture
def echo(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command ``echo`` that returns its number as the exit status, and one, ``lost``, that cannot be imported."""
    from airflow_provider_toggl.cli.commands import COMMANDS, Command

    module = types.ModuleType("echo_command")
    module.add_arguments = lambda parser: parser.add_argument("--number", type=int, default=0)  # type: ignore[attr-defined]
    module.run = lambda args: args.number  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "echo_command", module)
    monkeypatch.setitem(COMMANDS, "echo", Command("echo", "echo_command", "give a number back"))
    lost = Command("lost", "airflow_provider_toggl.no_such_module", "cannot be imported")
    monkeypatch.setitem(COMMANDS, "lost", lost)


# sandboxes


@pytest.fixture
def sandbox() -> Iterator[RunningSandbox]:
    """A workspace of 120 entries in 20 days, without a quota."""
    from airflow_provider_toggl.sandbox.server import start_sandbox
    from airflow_provider_toggl.sandbox.settings import Settings

    with start_sandbox(entries=120, days=20, settings=Settings(quota_enforced=False)) as running:
        yield running


@pytest.fixture(scope="session")
def sandbox_host() -> Iterator[SandboxHost]:
    """The server that the sandboxes of a test process use one after another."""
    from support.sandboxes import SandboxHost

    host = SandboxHost()
    yield host
    host.close()


@pytest.fixture
def small_sandbox(sandbox_host: SandboxHost) -> HostedSandbox:
    """A workspace of five entries on a plan that has tasks, without a quota."""
    from airflow_provider_toggl.sandbox.settings import Settings
    from airflow_provider_toggl.sandbox.workspace.seed import build_world

    settings = Settings(plan="starter", quota_enforced=False)
    return sandbox_host.serve(build_world(entries=5, days=5, settings=settings))


# pulls of a sandbox into a warehouse


@pytest.fixture(scope="session")
def pull_host(sandbox_host: SandboxHost) -> SandboxHost:
    """The server that the pulled workspaces use one after another."""
    return sandbox_host


@pytest.fixture(scope="session")
def empty_warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A DuckDB warehouse with empty tables, to be copied: creating it takes longer than most tests."""
    from airflow_provider_toggl.core.load.engines.duckdb.engine import build_duckdb_warehouse

    path = tmp_path_factory.mktemp("empty") / "warehouse.duckdb"
    with build_duckdb_warehouse(path) as target:
        target.prepare()
    return path


@pytest.fixture
def build(pull_host: SandboxHost, empty_warehouse: Path, tmp_path: Path) -> Callable[..., Workspace]:
    """Build the test's workspace; parameters as for ``build_workspace``."""
    from support.pulls import build_workspace

    path = shutil.copy(empty_warehouse, tmp_path / "warehouse.duckdb")
    return lambda **world: build_workspace(pull_host, path, **world)


@pytest.fixture
def workspace(build: Callable[..., Workspace]) -> Workspace:
    """A workspace of 240 entries in 60 days, without a quota."""
    return build()


# Airflow's connections, and the event store behind them


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Connections:
    """Sets connections and options of the test."""
    from support.connections import Connections

    return Connections(monkeypatch, tmp_path)


@pytest.fixture
def store(connections: Connections, tmp_path: Path) -> Iterator[SqliteEventStore]:
    """The event store of connection ``toggl_default``: a SQLite file."""
    from airflow_provider_toggl.core.events.sqlite.engine import SqliteEventStore

    connections.set("toggl_default", conn_type="toggl", password="a-secret-token")
    with SqliteEventStore(tmp_path / "state" / "events.sqlite") as opened:
        opened.prepare()
        yield opened


# database servers


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server for all tests of a test process; each uses a schema of its own and leaves it running."""
    from support.servers.postgres import running_postgres

    with running_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariadbServer]:
    """A MariaDB server for all tests of a test process; each uses a schema of its own and leaves it running."""
    from support.servers.mariadb import find_mariadb, running_mariadb

    if find_mariadb() is None:
        pytest.skip("MariaDB is not installed")
    with running_mariadb() as server:
        yield server


@pytest.fixture(scope="session")
def moto() -> Iterator[MotoServer]:
    """An S3 and Glue of moto for all tests of a test process; each uses a folder of its own."""
    from support.servers.moto import is_installed, running_moto

    if not is_installed():
        pytest.skip("moto[s3,server] is not installed")
    with running_moto() as server:
        yield server


@pytest.fixture(scope="session")
def snowflake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SnowflakeServer]:
    """An emulator of Snowflake for all tests of a test process; each uses a schema of its own."""
    from support.servers.snowflake import is_there, running_snowflake

    if not is_there():
        pytest.skip("snowflake-connector-python, or fakesnow of TOGGL_SNOWFLAKE_PYTHON, is not installed")
    with running_snowflake(tmp_path_factory.mktemp("snowflake")) as server:
        yield server


@pytest.fixture(scope="session")
def clickhouse() -> Iterator[ClickhouseServer]:
    """ClickHouse's engine behind HTTP for all tests of a test process; each uses a database of its own."""
    from support.servers.clickhouse import has_chdb, running_clickhouse

    if not has_chdb():
        pytest.skip("chDB, which has ClickHouse's engine, is not installed: make clouds")
    with running_clickhouse() as server:
        yield server


@pytest.fixture(scope="session")
def bigquery() -> Iterator[BigQueryServer]:
    """A BigQuery emulator for all tests of a test process; each uses a dataset of its own and leaves it running."""
    pytest.importorskip("google.cloud.bigquery")
    from support.servers.bigquery import BigQueryServer, find_python

    if find_python() is None:
        pytest.skip("the environment of the BigQuery emulator is missing: make clouds")
    server = BigQueryServer()
    yield server
    server.stop()


@pytest.fixture
def postgres_fields(postgres: PostgresServer) -> dict[str, Any]:
    """The fields of an Airflow connection to an empty database of the test's own."""
    name = f"d{uuid.uuid4().hex}"
    postgres.execute(f"create database {name}")
    return postgres.connection | {"schema": name}
