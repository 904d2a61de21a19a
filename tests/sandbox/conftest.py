from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.sandboxes import Caller, Host, HostedSandbox, build_still_world


@pytest.fixture(scope="session")
def sandbox_host() -> Iterator[Host]:
    """The server that the sandboxes of this process's tests take turns at."""
    host = Host()
    yield host
    host.close()


@pytest.fixture
def sandbox(sandbox_host: Host) -> HostedSandbox:
    """A sandbox of 300 entries on the free plan, without a quota, at noon of 10 March 2026."""
    return sandbox_host.serve(build_still_world())


@pytest.fixture
def toggl(sandbox: HostedSandbox) -> Iterator[Caller]:
    """The owner of that sandbox, who calls it."""
    caller = Caller(sandbox)
    yield caller
    caller.close()
