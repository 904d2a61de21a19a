"""Whether somebody follows a store: a question left in it, and the answer of who reads it."""

from __future__ import annotations

import contextlib
import time
from datetime import datetime, timezone

from airflow_provider_toggl.core.errors import EventStoreError
from airflow_provider_toggl.core.events.store import EventStore, Mark

PROBE, REPLY = "tail?", "tail!"


class ProbeResponder:
    """Answers for one reader of a store.

    :param pause: seconds between two looks.
    """

    def __init__(self, pause: float) -> None:
        self._pause = pause
        self._asked_at, self._answered = 0.0, ""

    def answer(self, store: EventStore) -> None:
        """Say that somebody is following, where it was asked: the proof for ``doctor`` that triggers see the store."""
        now = time.monotonic()
        if now - self._asked_at < self._pause:
            return
        self._asked_at = now
        with contextlib.suppress(EventStoreError):  # who can read needs no right to write
            question = store.find_mark(PROBE)
            if question is not None and question.value != self._answered:
                self._answered = question.value
                store.keep_mark(Mark(REPLY, question.value, datetime.now(timezone.utc)))
