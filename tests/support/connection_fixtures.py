"""Fixtures of tests that need a sandbox and connections; a ``conftest.py`` imports them where they are wanted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.connections import Connections
from support.sandboxes import Host, HostedSandbox

from airflow_provider_toggl.sandbox.server import RunningSandbox, start_sandbox
from airflow_provider_toggl.sandbox.settings import Settings
from airflow_provider_toggl.sandbox.workspace.seed import build_world


@pytest.fixture
def sandbox() -> Iterator[RunningSandbox]:
    """A workspace of 120 entries in 20 days, without a quota."""
    with start_sandbox(entries=120, days=20, settings=Settings(quota_enforced=False)) as running:
        yield running


@pytest.fixture(scope="module")
def sandbox_host() -> Iterator[Host]:
    """The server that the small sandboxes of a module's tests take turns at."""
    host = Host()
    yield host
    host.close()


@pytest.fixture
def small_sandbox(sandbox_host: Host) -> HostedSandbox:
    """A workspace of five entries on a plan that has tasks, without a quota."""
    settings = Settings(plan="starter", quota_enforced=False)
    return sandbox_host.serve(build_world(entries=5, days=5, settings=settings))


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Connections:
    """Where the test sets its connections."""
    return Connections(monkeypatch, tmp_path)
