"""One pull in a process of its own, as by a worker; quick to import, because eight processes do."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

from airflow_provider_toggl.core.client.limits.leaky_bucket import Pace
from airflow_provider_toggl.core.client.limits.state import RateLimitState
from airflow_provider_toggl.core.client.session import TogglSession
from airflow_provider_toggl.core.client.transport import RequestsTransport
from airflow_provider_toggl.core.load.engines.duckdb.engine import build_duckdb_warehouse
from airflow_provider_toggl.core.sync.pull import Pull, PullRequest


def pull_stream(url: str, token: str, workspace_id: int, stream: str, warehouse: str) -> tuple[str, int]:
    """Pull a stream with the host's book, waiting for others at the file; return its name and its rows."""
    book = RateLimitState(Path(warehouse).with_name("book.sqlite"), "test")
    session = TogglSession(RequestsTransport(url, token), book, pace=Pace(50))
    request = PullRequest(stream, workspace_id, datetime.now(timezone.utc), page_size=50)
    with build_duckdb_warehouse(Path(warehouse), lock_timeout=60, hold_seconds=0.05) as target:
        return stream, Pull(session, target, request).run().rows
