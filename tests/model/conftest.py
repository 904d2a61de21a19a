from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.servers.receivers import ReceiverThread


@pytest.fixture(scope="session")
def receiver_host() -> Iterator[ReceiverThread]:
    host = ReceiverThread()
    yield host
    host.close()
