"""A StatsD client that fails, which Airflow loads where ``[metrics] statsd_custom_client_path`` names it."""

from __future__ import annotations

from typing import Any

import statsd


class Raising(statsd.StatsClient):  # type: ignore[misc]
    """Raises on what this package measures; Airflow itself does not stand an error of its own metrics."""

    def incr(self, stat: str, *given: Any, **more: Any) -> None:
        """Raise, or do nothing."""
        if stat.startswith("toggl."):
            raise OSError("No buffer space available.")

    decr = gauge = timing = incr
