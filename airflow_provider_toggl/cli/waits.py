"""Waits of a command, said where its user looks."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from airflow_provider_toggl.core.client.session import WAIT_REASONS
from airflow_provider_toggl.core.clock import utc


@contextmanager
def announce_wait(reason: str, until: float, _: int) -> Iterator[None]:
    """Print to standard error what a long wait of a session is for, and until when."""
    print(f"Waiting for {WAIT_REASONS[reason]} until {utc(until):%H:%M:%S} UTC.", file=sys.stderr, flush=True)
    yield
