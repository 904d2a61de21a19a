from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.pulls import Workspace, build_workspace
from support.sandboxes import Host


@pytest.fixture(scope="session")
def pull_host() -> Iterator[Host]:
    """The server that the workspaces of this process's tests take turns at."""
    host = Host()
    yield host
    host.close()


@pytest.fixture
def build(pull_host: Host, tmp_path: Path) -> Callable[..., Workspace]:
    """Make the test's workspace as told."""
    return lambda **world: build_workspace(pull_host, tmp_path / "warehouse.duckdb", **world)


@pytest.fixture
def workspace(build: Callable[..., Workspace]) -> Workspace:
    """A workspace of 240 entries in 60 days, without a quota."""
    return build()
