from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.connection_fixtures import connections
from support.host_store import store

from airflow_provider_toggl.core.events import tail as tail_module
from airflow_provider_toggl.core.events.sqlite_store import SqliteEventStore
from airflow_provider_toggl.core.events.tail import TailReader

__all__ = ["connections", "store"]


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the threads of a tail reader end soon: most of these tests wait for that."""
    monkeypatch.setattr(tail_module, "WAIT", 0.05)


@pytest.fixture
def events(tmp_path: Path) -> Iterator[SqliteEventStore]:
    with SqliteEventStore(tmp_path / "events.sqlite") as opened:
        opened.prepare()
        yield opened


@pytest.fixture
def tail(events: SqliteEventStore) -> Iterator[TailReader]:
    with TailReader(events) as opened:
        yield opened
    opened.join()
