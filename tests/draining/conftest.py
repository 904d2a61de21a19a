from __future__ import annotations

from support.pull_fixtures import pull_host

__all__ = ["pull_host"]
