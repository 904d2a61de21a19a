"""Fixtures of tests that pull a workspace into a warehouse; a ``conftest.py`` imports them where they are wanted."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.pulls import Workspace, build_workspace
from support.sandboxes import Host

from airflow_provider_toggl.core.load.engines.duckdb.engine import build_duckdb_warehouse


@pytest.fixture(scope="session")
def pull_host() -> Iterator[Host]:
    """The server that the workspaces of this process's tests take turns at."""
    host = Host()
    yield host
    host.close()


@pytest.fixture(scope="session")
def empty_warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A warehouse with its tables, to be copied: making them takes longer than most tests."""
    path = tmp_path_factory.mktemp("empty") / "warehouse.duckdb"
    with build_duckdb_warehouse(path) as target:
        target.prepare()
    return path


@pytest.fixture
def build(pull_host: Host, empty_warehouse: Path, tmp_path: Path) -> Callable[..., Workspace]:
    """Make the test's workspace as told."""
    path = shutil.copy(empty_warehouse, tmp_path / "warehouse.duckdb")
    return lambda **world: build_workspace(pull_host, path, **world)


@pytest.fixture
def workspace(build: Callable[..., Workspace]) -> Workspace:
    """A workspace of 240 entries in 60 days, without a quota."""
    return build()
