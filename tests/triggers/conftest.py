from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.event_stores import open_sqlite

from airflow_provider_toggl.core.events import tail as tail_module
from airflow_provider_toggl.core.events.store import EventStore
from airflow_provider_toggl.core.events.tail import TailReader


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the threads of a tail reader end soon."""
    monkeypatch.setattr(tail_module, "WAIT", 0.05)


@pytest.fixture
def events(tmp_path: Path) -> Iterator[EventStore]:
    with open_sqlite(tmp_path / "events.sqlite") as opened:
        yield opened


@pytest.fixture
def tail(events: EventStore) -> Iterator[TailReader]:
    with TailReader(events) as opened:
        yield opened
    opened.join()
