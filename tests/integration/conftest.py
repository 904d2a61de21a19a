from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from support.airflow_home import AirflowHome, free_port
from support.repository import ROOT

from airflow_provider_toggl.core.events.sqlite.engine import SqliteEventStore
from airflow_provider_toggl.sandbox.server import SandboxProcess
from airflow_provider_toggl.sandbox.workspace.world import DEFAULT_WORKSPACE_ID

DAGS = Path(__file__).parents[1] / "integration_dags"


@pytest.fixture
def sandbox() -> Iterator[Callable[..., SandboxProcess]]:
    """Start sandboxes by their command-line arguments; all end with the test."""
    with ExitStack() as stack:
        yield lambda *arguments: stack.enter_context(SandboxProcess(arguments))


@pytest.fixture
def airflow(tmp_path: Path) -> Iterator[AirflowHome]:
    """A real Airflow with the test DAGs, not started yet."""
    with AirflowHome(tmp_path / "airflow", dags=DAGS) as home:
        yield home


class SharedAirflow(AirflowHome):
    """An Airflow whose connections are in a file, so that they can change while it runs."""

    def set_connection(self, conn_id: str, fields: Mapping[str, Any]) -> None:
        """Set a connection for all tasks that start from now on."""
        file = self.path / "connections.json"
        known = json.loads(file.read_text()) if file.exists() else {}
        known[conn_id] = {**fields, "extra": json.dumps(fields.get("extra", {}))}
        written = file.with_name("written.json")
        written.write_text(json.dumps(known))
        written.rename(file)


@pytest.fixture(scope="session")
def running_airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedAirflow]:
    """A running Airflow for all tests with ``xdist_group("airflow")``, with the test DAGs and an example.

    It soon takes over the triggers of a killed triggerer. Each test has events, connections and DAGs of its own.
    """
    path = tmp_path_factory.mktemp("shared")
    for folder in ("notes", "pids"):
        (path / folder).mkdir()
    shutil.copytree(DAGS, path / "dags")
    shutil.copy(ROOT / "docs" / "examples" / "call_endpoint.py", path / "dags")
    env = {
        "AIRFLOW__SCHEDULER__PARSING_CLEANUP_INTERVAL": "5",
        "AIRFLOW__SCHEDULER__TRIGGER_TIMEOUT_CHECK_INTERVAL": "1",
        "AIRFLOW__SECRETS__BACKEND": "airflow.secrets.local_filesystem.LocalFilesystemBackend",
        "AIRFLOW__SECRETS__BACKEND_KWARGS": json.dumps(
            {"connections_file_path": str(path / "airflow/connections.json")}
        ),
        "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
        "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "4",
        "ENDPOINT": f"http://127.0.0.1:{free_port()}/",
        "TEST_GO_ON": str(path / "go on"),
        "TEST_NOTES": str(path / "notes"),
        "TEST_PIDS": str(path / "pids"),
        "TEST_WORKSPACE": str(DEFAULT_WORKSPACE_ID),
        "TOGGL_PROJECT_ID": "1009",
    }
    with SharedAirflow(path / "airflow", dags=path / "dags", env=env) as home:
        home.set_connection("toggl_default", {"conn_type": "toggl", "password": "a-secret-token"})
        home.start()
        yield home


@pytest.fixture
def home(running_airflow: SharedAirflow) -> SharedAirflow:
    """The shared Airflow."""
    return running_airflow


@pytest.fixture
def store(home: SharedAirflow) -> Iterator[SqliteEventStore]:
    """The event store of the shared Airflow."""
    with SqliteEventStore(home.path / "toggl" / "events.sqlite") as opened:
        opened.prepare()
        yield opened
