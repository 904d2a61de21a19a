"""Gives the tests an Airflow of their own. pytest reads this file before Airflow is imported."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="airflow-tests-")
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["AIRFLOW__CORE__DAGS_FOLDER"] = str(Path(__file__).parents[1] / "dags")

from airflow_provider_toggl.sandbox.server import RunningSandbox, start_sandbox


@pytest.fixture(scope="session", autouse=True)
def metadata_database() -> None:
    """Airflow's metadata database, which ``dag.test()`` needs."""
    subprocess.run([Path(sys.executable).with_name("airflow"), "db", "migrate"], check=True, capture_output=True)


@pytest.fixture
def toggl(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[RunningSandbox]:
    """A local Toggl and an empty warehouse, behind the default connections."""
    with start_sandbox(entries=200, days=20, seed=7) as sandbox:
        monkeypatch.setenv("AIRFLOW_CONN_TOGGL_DEFAULT", sandbox.airflow_connection(requests_per_second=100))
        monkeypatch.setenv("AIRFLOW__TOGGL__WAREHOUSE_PATH", str(tmp_path / "warehouse.duckdb"))
        monkeypatch.setenv("AIRFLOW__TOGGL__STATE_DIR", str(tmp_path))
        monkeypatch.setenv("TOGGL_WORKSPACE_ID", str(sandbox.workspace_id))
        yield sandbox
