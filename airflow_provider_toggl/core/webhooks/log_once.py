"""Faults of the program, told once each: where they are, and nothing of what was being handled."""

from __future__ import annotations

import logging
import traceback

log = logging.getLogger(__name__)


class Faults:
    """Remembers which faults were told, so that a flood of deliveries that meet one is no flood of log lines."""

    def __init__(self) -> None:
        self._told: set[str] = set()

    def tell(self, error: Exception) -> str:
        """Log an error that nobody expected, the first time, and return its kind.

        Its text stays out: it may hold what was being handled.
        """
        places = "".join(traceback.format_tb(error.__traceback__))
        kind = type(error).__name__
        if places + kind not in self._told:
            self._told.add(places + kind)
            log.error("A fault of this program, or of one that it uses: %s at\n%s", kind, places)
        return kind
