from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from support.sandboxes import HostedSandbox, SandboxHost


@pytest.fixture
def sandbox(sandbox_host: SandboxHost) -> HostedSandbox:
    """A workspace of 120 entries in 20 days, without a quota, on the server that all tests of this folder use."""
    from airflow_provider_toggl.sandbox.settings import Settings
    from airflow_provider_toggl.sandbox.workspace.seed import build_world

    return sandbox_host.serve(build_world(entries=120, days=20, settings=Settings(quota_enforced=False)))
