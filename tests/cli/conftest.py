from __future__ import annotations

from support.connection_fixtures import connections, sandbox

__all__ = ["connections", "sandbox"]
