from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.connections import Connections
from support.doctor_setup import DoctorSetup, HostedReceiver, triggerer_job

from airflow_provider_toggl.sandbox.server import RunningSandbox


@pytest.fixture
def triggerer() -> Iterator[None]:
    """A triggerer whose heartbeat stays fresh however long the test takes."""
    with triggerer_job(seconds_ago=-3600):
        yield


@pytest.fixture
def setup(sandbox: RunningSandbox, connections: Connections, tmp_path: Path, triggerer: None) -> Iterator[DoctorSetup]:
    """A setup without faults, without a subscription, and with an empty warehouse."""
    made = DoctorSetup(sandbox, connections, tmp_path, HostedReceiver())
    yield made
    made.receiver.close()
