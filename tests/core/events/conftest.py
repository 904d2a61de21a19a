from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.event_stores import StorePlace
from support.postgres import PostgresServer

from airflow_provider_toggl.core.events.store import EventStore


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> StorePlace:
    """A place without a store, in each engine."""
    if request.param == "sqlite":
        return StorePlace("sqlite", str(tmp_path / "events.sqlite"))
    server: PostgresServer = request.getfixturevalue("postgres")
    return StorePlace("postgres", server.dsn, f"events_{uuid.uuid4().hex}")


@pytest.fixture
def store(place: StorePlace) -> Iterator[EventStore]:
    with place.open() as store:
        yield store
