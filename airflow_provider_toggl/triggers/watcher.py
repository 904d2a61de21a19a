"""Watch the store for an asset: yield matching events in batches, and move a consumer once Airflow stored them."""

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
from airflow_provider_toggl.core.events.activity_log import reader_key
from airflow_provider_toggl.core.events.debounce import ChangeBatch, Debounce
from airflow_provider_toggl.core.events.search import EventQuery
from airflow_provider_toggl.core.events.store import EventStore, measure_store
from airflow_provider_toggl.core.events.tail import TailReader
from airflow_provider_toggl.core.log_fields import log_line
from airflow_provider_toggl.triggers.reading import MatchedBatch, read_matches, retry_while_unavailable

log = logging.getLogger(__name__)

IDLE_COMMIT_SECONDS = 30.0
"""How often the consumer moves over events that do not match, so that retention need not keep them."""


class EventWatcher:
    """Reads for one named consumer. The consumer moves only over acknowledged batches and events that do not match.

    :param tail: a reader of the same store.
    :param start: the ``seq`` after which to start if the consumer has committed nothing.
    :param store_name: the connection of the store, for metrics.
    """

    def __init__(
        self,
        store: EventStore,
        tail: TailReader,
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
        self._batch: ChangeBatch | None = None
        self._yielded_at = 0.0
        self._pending_acknowledgements: deque[tuple[float, int]] = deque()
        # Each of these is a seq, and none is less than the one before it.
        self._committed = self._acknowledged = self._yielded = self._read = 0
        self._idle_commit_at = 0.0

    async def batches(self) -> AsyncGenerator[ChangeBatch, None]:
        """Yield batches of matching events, without end. Call ``acknowledge`` for each of them.

        :raises EventStoreError: the store cannot be read, and trying again would not help.
        """
        await retry_while_unavailable(self._begin)
        pending: asyncio.Future[MatchedBatch] | None = None
        async with contextlib.aclosing(read_matches(self._tail, self._query, self._read)) as matches:
            try:
                while True:
                    pending = pending or asyncio.ensure_future(anext(matches))
                    await asyncio.wait({pending}, timeout=self._seconds_to_wait())
                    if pending.done():
                        matched, pending = pending.result(), None
                        self._collect(matched)
                    await self.commit()
                    if batch := self._take_complete():
                        metrics.FIRED.add(way="watch")
                        metrics.FIRED_EVENTS.add(batch.count, way="watch")
                        yield batch
            finally:
                if pending:
                    pending.cancel()
                    await asyncio.gather(pending, return_exceptions=True)

    def acknowledge(self, seq: int, *, delay: float = 0.0) -> None:
        """Record that Airflow has stored all batches up to a ``seq``, or will have after a delay.

        :param delay: in seconds.
        """
        self._pending_acknowledgements.append((time.monotonic() + delay, seq))

    async def commit(self) -> None:
        """Move the consumer in the store. If the store is unavailable, the next call tries again."""
        now = time.monotonic()
        while self._pending_acknowledgements and self._pending_acknowledgements[0][0] <= now:
            self._acknowledged = self._pending_acknowledgements.popleft()[1]
        goal = self._acknowledged
        is_idle = self._batch is None and self._acknowledged == self._yielded
        if is_idle and now - self._idle_commit_at >= IDLE_COMMIT_SECONDS:
            goal, self._idle_commit_at = self._read, now
        if goal <= self._committed:
            return
        try:
            await asyncio.to_thread(self._commit, goal)
        except EventStoreUnavailable as error:
            text = "Consumer %s has read up to event %s, which could not be committed: %s"
            named = {"by": "watch", "consumer": self.consumer, "seq": goal}
            log_line(log, text, self.consumer, goal, error, level=logging.WARNING, **named)
        else:
            self._committed = goal

    def _commit(self, seq: int) -> None:
        self._store.commit(self.consumer, seq)
        measure_store(self._store, self._store_name)

    def _begin(self) -> None:
        """Find where to start, and commit it: events before the first batch must be found again after a restart."""
        known = self._store.find_consumer(self.consumer)
        if known is None:
            known = self._store.commit(self.consumer, self._start)
        description = {"kind": "watcher", "filter": self._query.event_filter.to_dict()}
        self._store.activity_log.set_status(reader_key(self.consumer), description)
        self._committed = self._acknowledged = self._yielded = self._read = known.seq
        log_line(log, "Watching for events after %s.", known.seq, by="watch", consumer=self.consumer, seq=known.seq)
        self._idle_commit_at = time.monotonic()

    def _collect(self, matched: MatchedBatch) -> None:
        self._read = matched.seq
        now = time.monotonic()
        for stored, message in matched.matches:
            self._batch = self._batch or ChangeBatch(first_added_at=now)
            self._batch.add(stored, message, now)

    def _take_complete(self) -> ChangeBatch | None:
        batch, now = self._batch, time.monotonic()
        if batch is None or self._debounce.seconds_left(batch, self._yielded_at, now) > 0:
            return None
        self._batch, self._yielded_at, self._yielded = None, now, batch.last_seq
        return batch

    def _seconds_to_wait(self) -> float:
        """Return how long to wait for events before a batch or a commit is due."""
        now = time.monotonic()
        waits = [IDLE_COMMIT_SECONDS]
        if self._batch:
            waits.append(self._debounce.seconds_left(self._batch, self._yielded_at, now))
        if self._pending_acknowledgements:
            waits.append(max(0.0, self._pending_acknowledgements[0][0] - now))
        elif self._acknowledged > self._committed:
            waits.append(1.0)
        return min(waits)


class WatcherStreamProducer:
    """Produces a watcher's batches for a shared stream of Airflow, which acknowledges them.

    It has the methods of ``airflow.triggers.shared_stream.SharedStreamProducer``. Airflow 3.2 has no such class to
    derive from.

    :param open_watcher: opens a watcher, and closes it after its use.
    """

    def __init__(self, open_watcher: Callable[[], AbstractAsyncContextManager[EventWatcher]]) -> None:
        self._open_watcher = open_watcher
        self._watcher: EventWatcher | None = None

    async def open_stream(self) -> AsyncGenerator[tuple[dict[str, Any], int], None]:
        """Yield each batch with the ``seq`` to commit once Airflow has stored it."""
        async with self._open_watcher() as self._watcher, contextlib.aclosing(self._watcher.batches()) as batches:
            async for batch in batches:
                yield batch.as_dict(), batch.last_seq

    async def advance(self, batch: Sequence[Any]) -> None:
        """Move the consumer over batches whose trigger events are in Airflow's database.

        :raises TogglError: one of them is not. Airflow then opens the stream again, from what was committed.
        """
        if not all(item.outcome.is_clean for item in batch):
            raise TogglError("Airflow did not store an event of the watcher; it will get the event again.")
        if self._watcher:
            self._watcher.acknowledge(batch[-1].broker_payload)
            await self._watcher.commit()

    def get_advance_lane(self, broker_payload: int) -> None:
        """Return the same for all batches: they are acknowledged in one order."""

    async def aclose(self) -> None:
        """Do nothing: the end of the stream closes everything."""
