from __future__ import annotations

from support.connection_fixtures import connections, sandbox
from support.pull_fixtures import build, empty_warehouse, pull_host, workspace

__all__ = ["build", "connections", "empty_warehouse", "pull_host", "sandbox", "workspace"]
