from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from support.airflow_home import AirflowHome

from airflow_provider_toggl.sandbox.server import SandboxProcess

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
