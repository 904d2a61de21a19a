"""Wait until a moment, for a task that is deferred until Toggl's quota resets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timezone
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_toggl.core.wording import duration

LOG_EVERY = 60.0
"""Seconds between two log lines."""


class TogglWaitTrigger(BaseTrigger):
    """Fire at a moment, and log each minute how much time is left.

    With ``airflow dags test`` these log lines are all that a user sees of a long wait.

    :param moment: when to fire; aware.
    :param what_for: what the task waits for, for the log.
    :param kept: arguments of the method that resumes the task. The event has them too, because ``airflow dags test``
        passes on nothing else.
    """

    def __init__(self, moment: datetime, what_for: str, kept: dict[str, Any] | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.moment = moment
        self.what_for = what_for
        self.kept = kept or {}

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class and its arguments."""
        kwargs = {"moment": self.moment, "what_for": self.what_for, "kept": self.kept}
        return f"{type(self).__module__}.{type(self).__qualname__}", kwargs

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait. If the clock is changed meanwhile, the end of the wait follows with the next log line."""
        while (left := (self.moment - datetime.now(timezone.utc)).total_seconds()) > 0:
            until = self.moment.astimezone(timezone.utc)
            self.log.info("Waiting for %s until %s UTC: %s left.", self.what_for, f"{until:%H:%M:%S}", duration(left))
            await asyncio.sleep(min(left, LOG_EVERY))
        yield TriggerEvent({"kept": self.kept})  # type: ignore[no-untyped-call]
