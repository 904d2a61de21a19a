"""Names under which records about a connection are kept."""

from __future__ import annotations

from urllib.parse import quote


def quote_key(conn_id: str) -> str:
    """Return a connection's ID, which may have slashes, as one part of a name: then no name is a prefix of another."""
    return quote(conn_id, safe="")
