"""A failing StatsD client for Airflow's option ``[metrics] statsd_custom_client_path``."""

from __future__ import annotations

from typing import Any

import statsd


class Raising(statsd.StatsClient):  # type: ignore[misc]
    """Raises for the package's metrics only, because Airflow fails on errors of its own metrics."""

    def incr(self, stat: str, *given: Any, **more: Any) -> None:
        """Raise for the package's metrics."""
        if stat.startswith("toggl."):
            raise OSError("No buffer space available.")

    decr = gauge = timing = incr
