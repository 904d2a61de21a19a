from __future__ import annotations

from support.connection_fixtures import connections
from support.host_store import store

__all__ = ["connections", "store"]
