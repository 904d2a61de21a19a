"""The wait of a deferred task for Toggl's quota."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timezone
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_toggl.core.wording import duration

LOG_EVERY = 60.0
"""Seconds between two lines about the time that is left."""


class TogglWaitTrigger(BaseTrigger):
    """Fires at a moment, and logs each minute how long that is.

    ``airflow dags test`` runs it in its own process, where its lines are all that is seen of an hour's wait.

    :param moment: when to fire; aware.
    :param what_for: what the task waits for, for the log.
    :param kept: arguments of the method that the task goes on with. They are in the event as well, because ``airflow
        dags test`` passes on nothing else.
    """

    def __init__(self, moment: datetime, what_for: str, kept: dict[str, Any] | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.moment = moment
        self.what_for = what_for
        self.kept = kept or {}

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what the triggerer builds it from."""
        kwargs = {"moment": self.moment, "what_for": self.what_for, "kept": self.kept}
        return f"{type(self).__module__}.{type(self).__qualname__}", kwargs

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait; a clock that is moved meanwhile moves the end of the wait at the next line."""
        while (left := (self.moment - datetime.now(timezone.utc)).total_seconds()) > 0:
            until = self.moment.astimezone(timezone.utc)
            self.log.info("Waiting for %s until %s UTC: %s left.", self.what_for, f"{until:%H:%M:%S}", duration(left))
            await asyncio.sleep(min(left, LOG_EVERY))
        yield TriggerEvent({"kept": self.kept})  # type: ignore[no-untyped-call]
