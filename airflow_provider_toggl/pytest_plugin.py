"""Fixtures for tests of DAGs: a sandbox, a Toggl connection to it, an empty warehouse, and the DAGs themselves.

pytest loads this module by the entry point ``pytest11`` in every run of everyone who has the package installed. So it
imports nothing of Airflow, of the sandbox or of a database: each fixture does when it is used.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import pandas as pd
    from airflow.sdk import DAG

    from airflow_provider_toggl.sandbox.server import RunningSandbox

MARKERS = (
    "toggl_sandbox(**world): settings, faults, and the options of build_world, for the fixture of that name",
    "toggl_connection(conn_id, **extra): ID and extra fields of the connection, for the fixture of that name",
    "toggl_warehouse(conn_id, schema): connection ID and schema of the warehouse, for the fixture of that name",
)
DAGS_FOLDER = "toggl_dags_folder"

#: The defaults of ``toggl_sandbox``: little data, and a plan with tasks, rates and a quota that no test uses up.
WORLD: dict[str, Any] = {"entries": 200, "days": 20, "plan": "premium"}
#: The defaults of ``toggl_connection``: tests do not wait for Toggl's recommended pace.
EXTRA: dict[str, Any] = {"requests_per_second": 1000}


@dataclass(frozen=True)
class TogglWarehouse:
    """A warehouse behind an Airflow connection.

    :param conn_id: ID of the connection.
    :param schema: schema of the tables, ``schema`` of the operators that load.
    """

    conn_id: str
    schema: str

    def read_df(self, query: str) -> pd.DataFrame:
        """Return the result of a query as pandas; names without a schema are those of ``schema``.

        In a warehouse that nothing was loaded into, the tables are empty.
        """
        from airflow_provider_toggl.hooks.warehouse import read_df

        frame: pd.DataFrame = read_df(query, warehouse_conn_id=self.conn_id, schema=self.schema)
        return frame


class LoadedDags(dict[str, "DAG"]):
    """The DAGs of a folder by their IDs.

    :param dags: the DAGs.
    :param import_errors: the error of each file that could not be loaded, by its path.
    """

    def __init__(self, dags: dict[str, DAG], import_errors: dict[str, str]) -> None:
        super().__init__(dags)
        self._import_errors = import_errors

    def __missing__(self, dag_id: str) -> DAG:
        """Fail the test with the DAGs that there are, and the errors of files that have none."""
        lines = [f"There is no DAG {dag_id!r}. DAGs: {', '.join(sorted(self)) or 'none'}."]
        lines += [f"{path} cannot be loaded:\n{error}" for path, error in self._import_errors.items()]
        pytest.fail("\n".join(lines), pytrace=False)


# -- hooks of pytest -------------------------------------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option of pytest's configuration file."""
    parser.addini(
        DAGS_FOLDER,
        "folder of the DAGs, relative to pytest's root directory. Each test process gets an Airflow of its own for "
        "them: a temporary home with a SQLite metadata database. Empty: the Airflow of the environment is used.",
        default="",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Declare the markers."""
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Point the environment to an Airflow of this test process, before anything imports Airflow."""
    folder = str(early_config.getini(DAGS_FOLDER))
    if not folder:
        return
    dags = early_config.rootpath / folder
    if not dags.is_dir():
        raise pytest.UsageError(f"{DAGS_FOLDER}: there is no folder {str(dags)!r}.")
    _use_temporary_airflow(dags)


def _use_temporary_airflow(dags: Path) -> None:
    """Set Airflow's variables to a temporary home with defaults.

    Options of the shell are removed, because they may name a metadata database or a secrets backend of production.
    """
    import atexit
    import shutil
    import tempfile

    home = Path(tempfile.mkdtemp(prefix="airflow-pytest-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    for name in [name for name in os.environ if name.startswith("AIRFLOW__") or name == "AIRFLOW_CONFIG"]:
        del os.environ[name]
    os.environ |= {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}",
    }


# -- fixtures --------------------------------------------------------------------------------------------------------


@pytest.fixture
def toggl_sandbox(request: pytest.FixtureRequest) -> Iterator[RunningSandbox]:
    """A running sandbox, a local Toggl, with 200 time entries of the last 20 days on the plan Premium.

    The marker ``toggl_sandbox`` takes the options of ``build_world``, and

    - ``now``: the sandbox's time at the start, an aware ``datetime`` or its ISO form,
    - ``settings``: settings of the sandbox, by name,
    - ``faults``: faults to inject, each a dict with ``kind`` and the options of that kind.
    """
    from datetime import datetime

    from airflow_provider_toggl.sandbox.server import start_sandbox
    from airflow_provider_toggl.sandbox.settings import Settings

    world = WORLD | _marked(request, "toggl_sandbox")
    faults = world.pop("faults", ())
    settings = Settings(plan=world.pop("plan"))
    settings.update(world.pop("settings", {}))
    if isinstance(world.get("now"), str):
        world["now"] = datetime.fromisoformat(world["now"])
    with start_sandbox(settings=settings, **world) as sandbox:
        for fault in faults:
            sandbox.fault(**fault)
        yield sandbox


@pytest.fixture
def toggl_connection(
    request: pytest.FixtureRequest, toggl_sandbox: RunningSandbox, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The ID of an Airflow connection to the sandbox, ``toggl_default`` unless the marker says otherwise.

    The connection is in the environment during the test. What processes share about a token, such as the quota, is
    in a folder of the test. The marker ``toggl_connection`` takes ``conn_id``, and fields of the connection's extra.
    """
    extra = EXTRA | _marked(request, "toggl_connection")
    conn_id = extra.pop("conn_id", "toggl_default")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AIRFLOW__TOGGL__STATE_DIR", str(tmp_path_factory.mktemp("toggl")))
        _set_connection(environment, conn_id, json.loads(toggl_sandbox.airflow_connection(**extra)))
        yield conn_id


@pytest.fixture
def toggl_warehouse_connection(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The fields of the warehouse's connection: a DuckDB file that does not exist yet.

    Override it to test with another database, which must be empty.
    """
    return {"conn_type": "duckdb", "host": str(tmp_path_factory.mktemp("warehouse") / "warehouse.duckdb")}


@pytest.fixture
def toggl_warehouse(
    request: pytest.FixtureRequest, toggl_warehouse_connection: dict[str, Any]
) -> Iterator[TogglWarehouse]:
    """An empty warehouse, a DuckDB file unless ``toggl_warehouse_connection`` is overridden.

    Its connection is in the environment during the test. The marker ``toggl_warehouse`` takes ``conn_id`` and
    ``schema``, which must be those of the DAG.
    """
    warehouse = TogglWarehouse(**{"conn_id": "duckdb_default", "schema": "toggl"} | _marked(request, "toggl_warehouse"))
    with pytest.MonkeyPatch.context() as environment:
        _set_connection(environment, warehouse.conn_id, toggl_warehouse_connection)
        yield warehouse


@pytest.fixture(scope="session")
def _toggl_metadata_database(request: pytest.FixtureRequest) -> None:
    """Airflow's metadata database, which ``dag.test()`` needs: created if ``toggl_dags_folder`` is set."""
    if not request.config.getini(DAGS_FOLDER):
        return
    import subprocess
    import sys

    migrate = [sys.executable, "-m", "airflow", "db", "migrate"]
    done = subprocess.run(migrate, capture_output=True, text=True, check=False)  # noqa: S603 - this Python's Airflow
    if done.returncode:
        pytest.fail(f"airflow db migrate failed:\n{done.stdout}\n{done.stderr}", pytrace=False)


@pytest.fixture
def toggl_dags(
    toggl_connection: str, toggl_warehouse: TogglWarehouse, _toggl_metadata_database: None
) -> dict[str, DAG]:
    """The DAGs of Airflow's DAGs folder by their IDs, with the sandbox and the warehouse behind their connections.

    ``toggl_dags["my_dag"].test()`` runs the tasks in this process and returns the DAG run.
    """
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag()
    return LoadedDags(bag.dags, bag.import_errors)


def _marked(request: pytest.FixtureRequest, name: str) -> dict[str, Any]:
    """Return the options of all markers of that name; a test's override those of its class and module."""
    options: dict[str, Any] = {}
    for marker in reversed(list(request.node.iter_markers(name))):
        if marker.args:
            pytest.fail(f"The marker {name} takes keyword arguments alone, not {marker.args[0]!r}.", pytrace=False)
        options |= marker.kwargs
    return options


def _set_connection(environment: pytest.MonkeyPatch, conn_id: str, fields: dict[str, Any]) -> None:
    """Put a connection into the environment, and check that Airflow uses it.

    A secrets backend comes before the environment. It might have the connection of production, which no test may use.
    """
    from airflow_provider_toggl.hooks.connections import get_connection

    environment.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(fields))
    if get_connection(conn_id, parameter="conn_id").host != fields.get("host"):
        pytest.fail(
            f"Airflow has another connection {conn_id!r}, which comes before that of the test: switch off the secrets "
            f"backend, or set {DAGS_FOLDER} in pytest's configuration to test with an Airflow of its own.",
            pytrace=False,
        )
