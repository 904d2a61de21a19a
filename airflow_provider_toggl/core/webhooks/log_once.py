"""Log each unexpected error once."""

from __future__ import annotations

import logging
import traceback

log = logging.getLogger(__name__)


class UnexpectedErrors:
    """Logs each error once, so that a flood of deliveries does not flood the log."""

    def __init__(self) -> None:
        self._logged: set[str] = set()

    def log_once(self, error: Exception) -> str:
        """Log an unexpected error unless the same one was logged before; return the name of its class.

        The log line has the stack and the class. It omits the error's text, which may contain a delivery or a secret.
        """
        stack = "".join(traceback.format_tb(error.__traceback__))
        name = type(error).__name__
        if stack + name not in self._logged:
            self._logged.add(stack + name)
            log.error("Unexpected %s while receiving; deliveries are answered 503. Stack:\n%s", name, stack)
        return name
