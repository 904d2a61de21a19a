"""The environment of all tests: an Airflow home for each test process, and the shared fixtures."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = ["support.fixtures", "support.selection"]

# Tests must not fail on a busy machine.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

# A shell makes its background processes ignore interrupts, and the processes that tests start would inherit that.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Without bytecode, each of the many processes that tests start compiles all of Airflow that it imports.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# Airflow reads its home when it is imported, which is before any fixture runs.
HOME = Path(tempfile.mkdtemp(prefix="airflow-tests-"))
atexit.register(shutil.rmtree, HOME, ignore_errors=True)
for name in [name for name in os.environ if name.startswith("AIRFLOW")]:
    del os.environ[name]
os.environ |= {
    "AIRFLOW_HOME": str(HOME),
    "AIRFLOW__CORE__DAGS_FOLDER": str(HOME / "dags"),
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{HOME / 'airflow.db'}",
}


def pytest_sessionstart(session: pytest.Session) -> None:
    """Create the metadata database before Airflow opens it, because Airflow does not notice tables that come later."""
    if session.config.option.markexpr == "unit":
        return
    from support.airflow_home import create_metadata_database

    create_metadata_database(HOME / "airflow.db", os.environ)


@pytest.fixture(autouse=True)
def process_context(monkeypatch: pytest.MonkeyPatch) -> None:
    """Restore Airflow's marker of the process type, which a command that runs in this process may set."""
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "")
    monkeypatch.delenv("_AIRFLOW_PROCESS_CONTEXT")


@pytest.fixture(autouse=True)
def environment() -> Iterator[None]:
    """Fail a test that leaves a variable of this package or of Airflow in the environment: others would inherit it."""

    def list_variables() -> dict[str, str]:
        return {
            name: value for name, value in os.environ.items() if name.startswith(("AIRFLOW__", "AIRFLOW_CONN", "TOGGL"))
        }

    before = list_variables()
    yield
    assert list_variables() == before


@pytest.fixture(scope="session")
def metadata_database() -> Path:
    """The metadata database of this test process, for tests such as ``dag.test()``."""
    return HOME / "airflow.db"


@pytest.fixture
def dag_file(metadata_database: Path) -> Iterator[Callable[[str, str], Any]]:
    """Write a DAG, by id and text of its file, into the folder that Airflow reads, and return it."""
    written = []

    def write(name: str, text: str) -> Any:
        from airflow.dag_processing.dagbag import DagBag

        path = HOME / "dags" / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        written.append(path)
        bag = DagBag(path)
        assert bag.import_errors == {}
        return bag.dags[name]

    yield write
    for path in written:
        path.unlink()
