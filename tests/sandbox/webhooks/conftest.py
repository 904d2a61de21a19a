from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support.callbacks import Callback, open_callback
from support.sandbox_webhooks import Webhooks
from support.sandboxes import Caller


@pytest.fixture
def webhooks(toggl: Caller) -> Webhooks:
    return Webhooks(toggl)


@pytest.fixture
def callback() -> Iterator[Callback]:
    with open_callback() as callback:
        yield callback


@pytest.fixture
def subscribed(webhooks: Webhooks, callback: Callback) -> dict[str, Any]:
    """A subscription to everything, enabled and validated."""
    return webhooks.subscribe(callback.url)
