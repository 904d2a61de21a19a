"""How many requests ended how, told now and then, so that a flood of them is no flood of log lines."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping

from airflow_provider_toggl.core.log_fields import log_line

log = logging.getLogger(__name__)

Publish = Callable[[Mapping[str, int]], None]
"""Takes how many more there are of each outcome, for a metrics system."""

PERIOD = 10.0
"""Seconds after which what was counted is published."""
LINE_EVERY = 6
"""Periods after which it is one line of the log."""


class Counters:
    """Counts of one event loop; does nothing while nothing comes.

    :param publish: where counts go, besides the log.
    :param period: in seconds, as ``PERIOD``.
    """

    def __init__(self, publish: Publish | None = None, *, period: float = PERIOD) -> None:
        self.publish = publish
        self._period = period
        self._timer: asyncio.TimerHandle | None = None
        self._ticks = 0
        self._unpublished: Counter[str] = Counter()
        self._unlogged: Counter[str] = Counter()
        self._reasons: dict[str, str] = {}
        self.totals: Counter[str] = Counter()

    def count(self, name: str, reason: str | None = None) -> None:
        """Count one more.

        :param reason: why it was refused; the last one of each name gets into the log.
        """
        self._unpublished[name] += 1
        if reason is not None:
            self._reasons[name] = reason
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._period, self._tick)

    def flush(self) -> None:
        """Publish and log what was not yet."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._settle()
        self._log()

    def _tick(self) -> None:
        self._timer = None
        self._ticks += 1
        self._settle()
        if self._ticks % LINE_EVERY == 0:
            self._log()
        if self._unlogged:
            self._timer = asyncio.get_running_loop().call_later(self._period, self._tick)

    def _settle(self) -> None:
        news = dict(self._unpublished)
        self._unpublished.clear()
        self.totals.update(news)
        self._unlogged.update(news)
        if news and self.publish is not None:
            self.publish(news)

    def _log(self) -> None:
        if not self._unlogged:
            return
        words = []
        for name, number in sorted(self._unlogged.items()):
            reason = self._reasons.get(name)
            words.append(f"{number} {name}" + (f" (last: {reason})" if reason else ""))
        log_line(log, "Deliveries: %s", ", ".join(words), by="receive", outcomes=dict(self._unlogged))
        self._unlogged.clear()
        self._reasons.clear()
