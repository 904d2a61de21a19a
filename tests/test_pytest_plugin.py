"""The fixtures of the pytest plugin, which pytest has loaded by its entry point."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import BaseHook

from airflow_provider_toggl import pytest_plugin
from airflow_provider_toggl.hooks.toggl import TogglHook
from airflow_provider_toggl.pytest_plugin import LoadedDags, TogglWarehouse
from airflow_provider_toggl.sandbox.server import RunningSandbox
from airflow_provider_toggl.transfers.toggl_to_sql import TogglToSqlOperator

pytestmark = pytest.mark.airflow

COUNT = "select count(*) as n from live_time_entries"
NEW_YEAR = "2026-01-01T00:30:00+00:00"


def load(**arguments: Any) -> dict[str, Any]:
    task = TogglToSqlOperator(task_id="load", stream="time_entries", **arguments)
    return dict(task.execute({}))


def test_loading_the_plugin_imports_nothing_else(tmp_path: Path) -> None:
    program = (
        "import sys, pytest; before = set(sys.modules); import airflow_provider_toggl.pytest_plugin; "
        "print(sorted(set(sys.modules) - before))"
    )
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=env, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "['airflow_provider_toggl', 'airflow_provider_toggl.pytest_plugin']"


def test_a_task_loads_the_sandbox_into_an_empty_warehouse(
    toggl_connection: str, toggl_sandbox: RunningSandbox, toggl_warehouse: TogglWarehouse
) -> None:
    assert toggl_warehouse.read_df(COUNT)["n"][0] == 0
    load()
    live = [entry for entry in toggl_sandbox.truth("time_entries") if not entry["deleted_at"]]
    assert toggl_warehouse.read_df(COUNT)["n"][0] == len(live) == 200


@pytest.mark.toggl_sandbox(seed=3, now=NEW_YEAR, entries=5, settings={"bucket_enforced": True, "bucket_capacity": 5})
@pytest.mark.toggl_sandbox(seed=4, users=3)
def test_markers_set_the_sandbox_and_the_nearest_one_wins(toggl_sandbox: RunningSandbox) -> None:
    assert toggl_sandbox.control("GET", "clock")["now"].startswith("2026-01-01T00:30:")
    assert len([entry for entry in toggl_sandbox.truth("time_entries") if not entry["deleted_at"]]) == 5
    assert len(toggl_sandbox.truth("users")) == 3
    settings = toggl_sandbox.control("GET", "settings")
    assert (settings["bucket_enforced"], settings["plan"]) == (True, "premium")


@pytest.mark.toggl_sandbox(entries=5, faults=[{"kind": "status", "status": 503, "times": 2}])
@pytest.mark.toggl_connection(conn_id="toggl_berlin", quota_reserve=7)
@pytest.mark.toggl_warehouse(conn_id="warehouse", schema="berlin")
def test_markers_set_faults_and_connections(
    toggl_connection: str, toggl_sandbox: RunningSandbox, toggl_warehouse: TogglWarehouse
) -> None:
    assert BaseHook.get_connection(toggl_connection).extra_dejson["quota_reserve"] == 7
    load(toggl_conn_id="toggl_berlin", warehouse_conn_id="warehouse", schema="berlin")
    assert toggl_warehouse.read_df(COUNT)["n"][0] == 5
    assert toggl_sandbox.requests()["by_status"]["503"] == 2


@pytest.mark.parametrize("round_", [1, 2])
@pytest.mark.toggl_sandbox(entries=0, settings={"organization_quota": 1})
@pytest.mark.toggl_connection(quota_reserve=0)
def test_a_test_does_not_see_the_quota_that_another_one_used_up(toggl_connection: str, round_: int) -> None:
    assert len(TogglHook(toggl_connection).get_df("clients")) > 5


def test_nothing_is_left_in_the_environment(pytestconfig: pytest.Config, request: pytest.FixtureRequest) -> None:
    # The autouse fixture `environment` fails every test of this file that leaves something.
    assert "environment" in request.fixturenames
    assert not [name for name in os.environ if name.startswith("AIRFLOW_CONN_TOGGL")]


def test_a_marker_with_an_argument_that_has_no_name_fails_the_test(request: pytest.FixtureRequest) -> None:
    request.node.add_marker(pytest.mark.toggl_sandbox(7))
    with pytest.raises(pytest.fail.Exception, match="takes keyword arguments alone, not 7"):
        request.getfixturevalue("toggl_sandbox")


def test_a_connection_that_a_secrets_backend_overrides_fails_the_test(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    from airflow.sdk import Connection

    found = Connection(conn_id="duckdb_default", conn_type="duckdb", host="/srv/production.duckdb")
    monkeypatch.setattr(BaseHook, "get_connection", lambda _: found)
    with pytest.raises(pytest.fail.Exception, match="another connection 'duckdb_default'"):
        request.getfixturevalue("toggl_warehouse")


def test_a_dag_that_is_not_there_fails_the_test_with_the_errors_of_files() -> None:
    dags = LoadedDags({"one": None}, {"dags/two.py": "NameError: name 'x' is not defined"})  # type: ignore[dict-item]
    with pytest.raises(pytest.fail.Exception, match=r"no DAG 'two'. DAGs: one.\ndags/two.py cannot be loaded:\nNameE"):
        dags["two"]


def test_an_airflow_of_its_own_has_nothing_of_the_shell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("AIRFLOW")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AIRFLOW__SECRETS__BACKEND", "of.Production")
    monkeypatch.setenv("AIRFLOW_CONFIG", "/etc/airflow.cfg")
    monkeypatch.setenv("AIRFLOW_VAR_KEPT", "1")
    names = ("AIRFLOW_HOME", "AIRFLOW__CORE__DAGS_FOLDER", "AIRFLOW__CORE__LOAD_EXAMPLES")
    for name in (*names, "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"):
        monkeypatch.setenv(name, "production")  # so that it is restored
    pytest_plugin._use_temporary_airflow(tmp_path)
    home = os.environ["AIRFLOW_HOME"]
    assert {name: value for name, value in os.environ.items() if name.startswith("AIRFLOW")} == {
        "AIRFLOW_HOME": home,
        "AIRFLOW_VAR_KEPT": "1",
        "AIRFLOW__CORE__DAGS_FOLDER": str(tmp_path),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
    }
    assert Path(home).is_dir()


class TestAnotherDatabase:
    @pytest.fixture
    def toggl_warehouse_connection(self, postgres_fields: dict[str, Any]) -> dict[str, Any]:
        """The fields of a connection to an empty PostgreSQL database."""
        return postgres_fields

    @pytest.mark.toggl_sandbox(entries=5)
    @pytest.mark.toggl_warehouse(conn_id="warehouse")
    def test_a_task_loads_into_it(self, toggl_connection: str, toggl_warehouse: TogglWarehouse) -> None:
        assert json.loads(os.environ["AIRFLOW_CONN_WAREHOUSE"])["conn_type"] == "postgres"
        load(warehouse_conn_id="warehouse")
        assert toggl_warehouse.read_df(COUNT)["n"][0] == 5
