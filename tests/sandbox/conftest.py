from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.sandboxes import ApiCaller, HostedSandbox, SandboxHost, build_still_world


@pytest.fixture
def sandbox(sandbox_host: SandboxHost) -> HostedSandbox:
    """A sandbox of 300 entries on the free plan, without a quota, at noon of 10 March 2026."""
    return sandbox_host.serve(build_still_world())


@pytest.fixture
def toggl(sandbox: HostedSandbox) -> Iterator[ApiCaller]:
    """A client of the sandbox with the owner's token."""
    caller = ApiCaller(sandbox)
    yield caller
    caller.close()
