from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from support.fleet import Fleet, running_fleet
from support.servers.redis import find_redis

from airflow_provider_toggl.sandbox.server import SandboxProcess

DAGS = Path(__file__).parents[1] / "fleet_dags"


@pytest.fixture
def start_fleet(tmp_path: Path) -> Iterator[Callable[..., Fleet]]:
    """Make fleets by the options of ``running_fleet``; all end with the test."""
    if find_redis() is None:
        pytest.skip("Redis is not installed")
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(running_fleet(tmp_path / "fleet", **{"dags": DAGS, **options}))


@pytest.fixture
def start_sandbox() -> Iterator[Callable[..., SandboxProcess]]:
    """Start sandboxes by the address that they listen on and their command-line arguments; all end with the test."""
    with ExitStack() as stack:
        yield lambda address, *arguments: stack.enter_context(SandboxProcess(arguments, host=address))
