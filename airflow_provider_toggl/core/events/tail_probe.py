"""Probe whether a triggerer follows a store: a token that one program leaves in it, and a tail reader copies.

``airflow toggl doctor`` writes a token under ``PROBE`` and waits until the same token is under ``REPLY``.
"""

from __future__ import annotations

import contextlib
import time
from datetime import datetime, timezone

from airflow_provider_toggl.core.errors import EventStoreError
from airflow_provider_toggl.core.events.store import EventStore

PROBE, REPLY = "tail?", "tail!"


class ProbeResponder:
    """Answers probes for one reader of a store.

    :param pause: least seconds between two checks for a probe.
    """

    def __init__(self, pause: float) -> None:
        self._pause = pause
        self._checked_at = 0.0
        self._answered = ""

    def answer(self, store: EventStore) -> None:
        """Answer a new probe, if there is one and the last check is not too recent."""
        now = time.monotonic()
        if now - self._checked_at < self._pause:
            return
        self._checked_at = now
        with contextlib.suppress(EventStoreError):  # reading needs no right to write
            probe = store.activity_log.find_status(PROBE)
            if probe is not None and probe.value != self._answered:
                self._answered = probe.value
                store.activity_log.set_status(REPLY, probe.value, datetime.now(timezone.utc))
