"""A watcher's way through the event store: what counts, in bursts, and how far it was handed over."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from airflow_provider_toggl.core import metrics
from airflow_provider_toggl.core.errors import EventStoreUnavailable, TogglError
from airflow_provider_toggl.core.events.bursts import Burst, Debounce
from airflow_provider_toggl.core.events.lag import measure_store
from airflow_provider_toggl.core.events.logbook import reader_name
from airflow_provider_toggl.core.events.search import EventQuery
from airflow_provider_toggl.core.events.store import EventStore
from airflow_provider_toggl.core.events.tail import Tail
from airflow_provider_toggl.core.log_fields import log_line
from airflow_provider_toggl.triggers.reading import Step, patiently, read_on

log = logging.getLogger(__name__)

TIDY_SECONDS = 30.0
"""So often a watcher notes that it has passed events that do not count, so that they are not kept for its sake."""


class Watch:
    """The reading of one named consumer. It is moved on only over what was handed over, or does not count.

    :param tail: of the same store.
    :param start: where to begin when nobody of that name ever committed.
    :param store_name: the connection of the store, for metrics.
    """

    def __init__(
        self,
        store: EventStore,
        tail: Tail,
        query: EventQuery,
        *,
        consumer: str,
        debounce: Debounce,
        start: int,
        store_name: str = "",
    ) -> None:
        self.consumer = consumer
        self._tail = tail
        self._store = store
        self._query = query
        self._debounce = debounce
        self._start = start
        self._store_name = store_name
        self._burst: Burst | None = None
        self._told_at = 0.0
        self._safe_at: deque[tuple[float, int]] = deque()
        # Places in the store, none before the next: what was committed, is safe elsewhere, was told, was read.
        self._committed = self._safe = self._told = self._read = 0
        self._tidied_at = 0.0

    async def bursts(self) -> AsyncGenerator[Burst, None]:
        """Yield what counts in bursts, for ever; ``hand_over`` is to be called for each.

        :raises EventStoreError: the store cannot be read, and trying again will not help.
        """
        await patiently(self._begin)
        pending: asyncio.Future[Step] | None = None
        async with contextlib.aclosing(read_on(self._tail, self._query, self._read)) as steps:
            try:
                while True:
                    pending = pending or asyncio.ensure_future(anext(steps))
                    await asyncio.wait({pending}, timeout=self._patience())
                    if pending.done():
                        step, pending = pending.result(), None
                        self._gather(step)
                    await self.settle()
                    if burst := self._take_due():
                        metrics.FIRED.add(way="watch")
                        metrics.FIRED_EVENTS.add(burst.count, way="watch")
                        yield burst
            finally:
                if pending:
                    pending.cancel()
                    await asyncio.gather(pending, return_exceptions=True)

    def hand_over(self, seq: int, *, safe_in: float = 0.0) -> None:
        """Note that all bursts up to one are safe elsewhere, or will be in so many seconds.

        :param seq: the last one's last.
        """
        self._safe_at.append((time.monotonic() + safe_in, seq))

    async def settle(self) -> None:
        """Tell the store how far everything was handed over."""
        now = time.monotonic()
        while self._safe_at and self._safe_at[0][0] <= now:
            self._safe = self._safe_at.popleft()[1]
        goal = self._safe
        if self._burst is None and self._safe == self._told and now - self._tidied_at >= TIDY_SECONDS:
            goal, self._tidied_at = self._read, now
        if goal <= self._committed:
            return
        try:
            await asyncio.to_thread(self._commit, goal)
        except EventStoreUnavailable as error:
            text = "Consumer %s has read up to %s, which could not be noted: %s"
            told = {"by": "watch", "consumer": self.consumer, "seq": goal}
            log_line(log, text, self.consumer, goal, error, level=logging.WARNING, **told)
        else:
            self._committed = goal

    def _commit(self, seq: int) -> None:
        self._store.commit(self.consumer, seq)
        measure_store(self._store, self._store_name)

    def _begin(self) -> None:
        """Find where to begin, and fix it: what comes before the first burst must be there after a restart."""
        known = self._store.find_consumer(self.consumer)
        if known is None:
            known = self._store.commit(self.consumer, self._start)
        note = {"kind": "watcher", "filter": self._query.wanted.to_dict()}
        self._store.logbook.note(reader_name(self.consumer), note)
        self._committed = self._safe = self._told = self._read = known.seq
        log_line(log, "Watching for events after %s.", known.seq, by="watch", consumer=self.consumer, seq=known.seq)
        self._tidied_at = time.monotonic()

    def _gather(self, step: Step) -> None:
        self._read = step.seq
        now = time.monotonic()
        for stored, message in step.matches:
            self._burst = self._burst or Burst(began=now)
            self._burst.add(stored, message, now)

    def _take_due(self) -> Burst | None:
        burst, now = self._burst, time.monotonic()
        if burst is None or self._debounce.seconds_left(burst, self._told_at, now) > 0:
            return None
        self._burst, self._told_at, self._told = None, now, burst.last_seq
        return burst

    def _patience(self) -> float:
        """Return how long to wait for more before something else is due."""
        now = time.monotonic()
        waits = [TIDY_SECONDS]
        if self._burst:
            waits.append(self._debounce.seconds_left(self._burst, self._told_at, now))
        if self._safe_at:
            waits.append(max(0.0, self._safe_at[0][0] - now))
        elif self._safe > self._committed:
            waits.append(1.0)
        return min(waits)


class BurstProducer:
    """A watch as the producer of a shared stream whose events are acknowledged.

    It has the methods of ``airflow.triggers.shared_stream.SharedStreamProducer``, which Airflow 3.2 does not have to
    derive from.

    :param open_watch: opens the watch, and closes it after its use.
    """

    def __init__(self, open_watch: Callable[[], AbstractAsyncContextManager[Watch]]) -> None:
        self._open_watch = open_watch
        self._watch: Watch | None = None

    async def open_stream(self) -> AsyncGenerator[tuple[dict[str, Any], int], None]:
        """Yield each burst, and what is to be committed once it is stored."""
        async with self._open_watch() as self._watch, contextlib.aclosing(self._watch.bursts()) as bursts:
            async for burst in bursts:
                yield burst.as_dict(), burst.last_seq

    async def advance(self, batch: Sequence[Any]) -> None:
        """Move the consumer over bursts whose trigger events are in Airflow's database.

        :raises TogglError: one of them is not; Airflow then begins anew, from what was committed.
        """
        if not all(item.outcome.is_clean for item in batch):
            raise TogglError("Airflow did not store an event that was handed to it; it will be handed over again.")
        if self._watch:
            self._watch.hand_over(batch[-1].broker_payload)
            await self._watch.settle()

    def get_advance_lane(self, broker_payload: int) -> None:
        """Return the same for all: there is one order."""

    async def aclose(self) -> None:
        """Nothing is left to close when the stream has ended."""
