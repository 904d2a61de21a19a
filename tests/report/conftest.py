from __future__ import annotations

from support.pull_fixtures import build, empty_warehouse, pull_host

__all__ = ["build", "empty_warehouse", "pull_host"]
