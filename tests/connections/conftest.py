from __future__ import annotations

from support.connection_fixtures import connections

__all__ = ["connections"]
