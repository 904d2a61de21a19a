"""Collect how the receiver answered requests. Every 10 s it goes to metrics and event stores, every minute to the log.

So a flood of requests becomes a few metrics, rows and log lines.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

from airflow_provider_toggl.core import metrics
from airflow_provider_toggl.core.clock import Clock, utc
from airflow_provider_toggl.core.events.activity_log import DeliveryCounts, RefusedDelivery
from airflow_provider_toggl.core.log_fields import log_line

log = logging.getLogger(__name__)

Save = Callable[[Mapping[str, DeliveryCounts]], Awaitable[None]]
"""Saves the outcomes of one period in the event stores, by ID of the Airflow connection; must not raise."""

PERIOD = 10.0
"""Length of a period in seconds. It begins with its first outcome."""
PERIODS_PER_LOG_LINE = 6
MAX_REASONS = 50
"""Different reasons for refusals that are kept for one connection and period; further ones are only counted."""


class OutcomeBuffer:
    """Collects outcomes in one event loop. Without requests its timer ends.

    :param save: called at the end of each period in which requests came.
    :param period: in seconds, as ``PERIOD``.
    """

    def __init__(self, save: Save, clock: Clock, *, period: float = PERIOD) -> None:
        self._save = save
        self._clock = clock
        self._period = period
        self._periods = 0
        self._timer: asyncio.TimerHandle | None = None
        self._saving: set[asyncio.Future[None]] = set()
        self._counts: Counter[str] = Counter()
        self._by_connection: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._refused: dict[str, dict[tuple[str, str], RefusedDelivery]] = {}
        self._unlogged: Counter[str] = Counter()
        self._last_reasons: dict[str, str] = {}

    def record(
        self, outcome: str, reason: str | None = None, *, conn_id: str | None = None, size: int | None = None
    ) -> None:
        """Record how a request ended.

        :param reason: why it was refused, None where it was not.
        :param conn_id: the connection in the path, None if the path names no receiving connection.
        :param size: its Content-Length in bytes, None if unknown.
        """
        self._counts[outcome] += 1
        if reason is not None:
            self._last_reasons[outcome] = reason
        if conn_id is not None:
            self._by_connection[conn_id][outcome] += 1
            if reason is not None:
                self._record_refusal(conn_id, outcome, reason, size)
        if self._timer is None:
            self._start_timer()

    async def flush(self) -> None:
        """Pass on and log what is collected, and wait until it and everything before it is saved."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        received = self._take()
        self._log()
        if received is not None:
            await self._save(received)
        # The stores are closed after the last flush, so a save that a period began must end before.
        await asyncio.gather(*self._saving)

    def _record_refusal(self, conn_id: str, outcome: str, reason: str, size: int | None) -> None:
        """Count a refusal with the others of the same reason. Reasons over the limit are dropped."""
        now = utc(self._clock.now())
        reasons = self._refused.setdefault(conn_id, {})
        known = reasons.get((outcome, reason))
        if known is not None:
            reasons[outcome, reason] = replace(known, times=known.times + 1, last_at=now, size=size)
        elif len(reasons) < MAX_REASONS:
            reasons[outcome, reason] = RefusedDelivery(conn_id, outcome, reason, 1, now, now, size)

    def _start_timer(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._period, self._end_period)

    def _end_period(self) -> None:
        self._timer = None
        self._periods += 1
        received = self._take()
        if received is not None:
            saving = asyncio.ensure_future(self._save(received))
            self._saving.add(saving)  # the event loop keeps only a weak reference
            saving.add_done_callback(self._saving.discard)
        if self._periods % PERIODS_PER_LOG_LINE == 0:
            self._log()
        if self._unlogged:
            self._start_timer()

    def _take(self) -> dict[str, DeliveryCounts] | None:
        """Send the metrics of this period, and return and forget its outcomes; None where no request came."""
        counts, self._counts = self._counts, Counter()
        by_connection, self._by_connection = self._by_connection, defaultdict(Counter)
        refused, self._refused = self._refused, {}
        if not counts:
            return None
        self._unlogged.update(counts)
        for outcome, number in counts.items():
            metrics.DELIVERIES.add(number, outcome=outcome)
        now = utc(self._clock.now())
        return {
            conn_id: DeliveryCounts(
                now,
                {(conn_id, outcome): number for outcome, number in outcomes.items()},
                tuple(refused.get(conn_id, {}).values()),
            )
            for conn_id, outcomes in by_connection.items()
        }

    def _log(self) -> None:
        if not self._unlogged:
            return
        parts = []
        for outcome, number in sorted(self._unlogged.items()):
            reason = self._last_reasons.get(outcome)
            parts.append(f"{number} {outcome}" + (f" (last: {reason})" if reason else ""))
        log_line(log, "Deliveries: %s", ", ".join(parts), by="receive", outcomes=dict(self._unlogged))
        self._unlogged.clear()
        self._last_reasons.clear()
