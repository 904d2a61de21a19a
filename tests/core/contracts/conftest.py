from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.mariadb import MariadbServer, find_mariadb, running_mariadb
from support.postgres import PostgresServer, running_postgres


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariadbServer]:
    if find_mariadb() is None:
        pytest.skip("MariaDB is not installed")
    with running_mariadb() as server:
        yield server
