from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support.sandboxes import ApiCaller, HostedSandbox, SandboxHost, WebhookCaller, build_still_world
from support.servers.http import Callback, open_callback


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


@pytest.fixture
def webhooks(toggl: ApiCaller) -> WebhookCaller:
    return WebhookCaller(toggl)


@pytest.fixture
def callback() -> Iterator[Callback]:
    with open_callback() as callback:
        yield callback


@pytest.fixture
def subscribed(webhooks: WebhookCaller, callback: Callback) -> dict[str, Any]:
    """A subscription to everything, enabled and validated."""
    return webhooks.subscribe(callback.url)
