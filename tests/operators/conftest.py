from __future__ import annotations

from support.connection_fixtures import connections, sandbox, sandbox_host, small_sandbox

__all__ = ["connections", "sandbox", "sandbox_host", "small_sandbox"]
