from __future__ import annotations

import pytest
from support.connection_fixtures import connections
from support.host_store import store

from airflow_provider_toggl.core.events import tail

__all__ = ["connections", "store"]


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the threads of a tail reader end soon: most of these tests wait for that."""
    monkeypatch.setattr(tail, "WAIT", 0.05)
