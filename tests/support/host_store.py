"""The event store that Airflow's hooks open, for tests; a ``conftest.py`` imports the fixture where it is wanted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.connections import Connections

from airflow_provider_toggl.core.events.sqlite.engine import SqliteEventStore


@pytest.fixture
def store(connections: Connections, tmp_path: Path) -> Iterator[SqliteEventStore]:
    """The store of connection ``toggl_default``: the SQLite file on this host."""
    connections.set("toggl_default", conn_type="toggl", password="a-secret-token")
    with SqliteEventStore(tmp_path / "state" / "events.sqlite") as opened:
        opened.prepare()
        yield opened
