from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.postgres import PostgresServer, running_postgres
from support.pull_fixtures import pull_host
from support.receiver_host import ReceiverHost

__all__ = ["postgres", "pull_host", "receiver_host"]


@pytest.fixture(scope="session")
def receiver_host() -> Iterator[ReceiverHost]:
    host = ReceiverHost()
    yield host
    host.close()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    with running_postgres() as server:
        yield server
