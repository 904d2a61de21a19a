from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.servers.mariadb import MariadbServer, find_mariadb, running_mariadb


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariadbServer]:
    if find_mariadb() is None:
        pytest.skip("MariaDB is not installed")
    with running_mariadb() as server:
        yield server
