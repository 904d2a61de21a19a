from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.event_stores import StoreLocation
from support.servers.postgres import PostgresServer

from airflow_provider_toggl.core.events.store import EventStore


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> StoreLocation:
    """Where an event store of each engine can be created."""
    if request.param == "sqlite":
        return StoreLocation("sqlite", str(tmp_path / "events.sqlite"))
    server: PostgresServer = request.getfixturevalue("postgres")
    return StoreLocation("postgres", server.dsn, f"events_{uuid.uuid4().hex}")


@pytest.fixture
def store(place: StoreLocation) -> Iterator[EventStore]:
    with place.open() as store:
        yield store
