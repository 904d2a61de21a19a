from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.clinics import Clinic, HostedReceiver, triggerer_job
from support.connection_fixtures import connections, sandbox
from support.connections import Connections

from airflow_provider_toggl.sandbox.server import RunningSandbox

__all__ = ["connections", "sandbox"]


@pytest.fixture
def triggerer() -> Iterator[None]:
    """A triggerer that is alive, by its heartbeat, however long the test takes."""
    with triggerer_job(seconds_ago=-3600):
        yield


@pytest.fixture
def clinic(sandbox: RunningSandbox, connections: Connections, tmp_path: Path, triggerer: None) -> Iterator[Clinic]:
    """All in good health, but not subscribed and nothing landed yet."""
    receiver = HostedReceiver()
    yield Clinic(sandbox, connections, tmp_path, receiver)
    receiver.close()
