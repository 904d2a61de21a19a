from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support.sandboxes import ApiCaller, WebhookCaller
from support.servers.http import Callback, open_callback


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
