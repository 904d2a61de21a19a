"""Prints long waits of a command."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from airflow_provider_toggl.core.client.session import WAIT_REASONS
from airflow_provider_toggl.core.clock import utc


@contextmanager
def announce_wait(reason: str, until: float, _: int) -> Iterator[None]:
    """Print the reason and the end of a long wait to standard error."""
    print(f"Waiting for {WAIT_REASONS[reason]} until {utc(until):%H:%M:%S} UTC.", file=sys.stderr, flush=True)
    yield
