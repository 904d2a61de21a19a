from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.postgres import PostgresServer, running_postgres
from support.pull_fixtures import build, empty_warehouse, pull_host, workspace

__all__ = ["build", "empty_warehouse", "pull_host", "workspace"]


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A server for this test process, which tests must leave running; each takes a schema or database of its own."""
    with running_postgres() as server:
        yield server
