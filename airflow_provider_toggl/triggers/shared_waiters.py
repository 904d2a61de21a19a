"""Wait for single events: all waiters of an event loop share one follower of the store.

Each event is compared with the query of every waiter, and only the waiters whose query it matches are woken.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from airflow_provider_toggl.core.errors import EventStoreError
from airflow_provider_toggl.core.events.message import EventBatch, Message
from airflow_provider_toggl.core.events.model import StoredEvent
from airflow_provider_toggl.core.events.search import EventQuery, FirstMatch, count_match
from airflow_provider_toggl.core.events.tail import TailReader
from airflow_provider_toggl.triggers.reading import find_states, read_matches

MAX_COMPARISONS = 2000
"""Comparisons of an event with a query after which other tasks of the event loop may run."""


@dataclass(eq=False)
class Waiter:
    """One query that waits for its first match.

    :param after: events up to this ``seq`` do not match.
    :param first: gets the first match.
    :param found: the first match of the batch that is being compared.
    """

    query: EventQuery
    after: int
    first: asyncio.Future[FirstMatch]
    found: FirstMatch | None = None


@dataclass(eq=False)
class SharedWaiters:
    """The waiters of one store in one event loop.

    :param offset: all events up to this ``seq`` were compared, for all of them.
    :param users: how many have joined, see ``join_waiters``.
    """

    tail: TailReader
    offset: int
    users: int = 0
    waiters: set[Waiter] = field(default_factory=set)

    async def wait(self, query: EventQuery, after: int) -> FirstMatch:
        """Return the first match after a ``seq``, whenever it comes.

        Events up to the shared offset are read by this waiter alone, before it waits with the others.
        """
        if after < self.offset:
            async with contextlib.aclosing(read_matches(self.tail, query, after)) as batches:
                async for batch in batches:
                    if batch.matches:
                        stored, message = batch.matches[0]
                        return FirstMatch(stored, message, len(batch.matches), batch.matches[-1][0].seq)
                    after = batch.seq
                    if after >= self.offset:
                        break
        # No other task runs between the comparison of offsets above and this, because nothing here suspends.
        waiter = Waiter(query, after, asyncio.get_running_loop().create_future())
        self.waiters.add(waiter)
        try:
            return await waiter.first
        finally:
            self.waiters.discard(waiter)

    async def run(self) -> None:
        """Compare everything that comes, until this is cancelled. An error is raised in all that wait."""
        error: BaseException = EventStoreError("The reader of the event store was closed.")
        try:
            with self.tail.subscribe(self.offset) as follower:
                async for batch in follower:
                    await self._compare(batch)
        except Exception as raised:  # noqa: BLE001 - it is raised in the waiting tasks
            error = raised
        for waiter in self.waiters:
            if not waiter.first.done():
                waiter.first.set_exception(error)

    async def _compare(self, batch: EventBatch) -> None:
        comparisons = 0
        for stored, message in zip(batch.events, batch.messages, strict=True):
            # A waiter that is added while the states are read is in the loop below, which never suspends.
            states = await find_states(self.tail, [stored]) if self._needs_state(stored, message) else {}
            for waiter in self.waiters:
                if stored.seq <= waiter.after:
                    continue
                found = waiter.query.find_message(stored, states, message)
                if found:
                    waiter.found = count_match(waiter.found, stored, found)
            self.offset = stored.seq
            comparisons += len(self.waiters)
            if comparisons >= MAX_COMPARISONS:
                comparisons = 0
                await asyncio.sleep(0)
        self.offset = batch.last_seq
        for waiter in self.waiters:
            if waiter.found and not waiter.first.done():
                waiter.first.set_result(waiter.found)

    def _needs_state(self, stored: StoredEvent, message: Message) -> bool:
        """Return whether a waiter wants a transition that this event may have caused."""
        return any(
            stored.seq > waiter.after and waiter.query.find_candidate(stored, message)
            for waiter in self.waiters
            if waiter.query.event_filter.transitions
        )


_shared: dict[tuple[asyncio.AbstractEventLoop, str], tuple[SharedWaiters, asyncio.Task[None]]] = {}


@contextlib.asynccontextmanager
async def join_waiters(key: str, tail: TailReader, after: int) -> AsyncIterator[SharedWaiters]:
    """Yield the waiters of a store in this event loop. The first user starts their follower, the last one ends it.

    :param key: the same for the same store.
    :param after: the ``seq`` after which a new follower starts; ignored if one runs.
    """
    shared_key = asyncio.get_running_loop(), key
    found = _shared.get(shared_key)
    if found is None or found[1].done():
        waiters = SharedWaiters(tail, after)
        found = _shared[shared_key] = waiters, asyncio.create_task(waiters.run(), name=f"toggl-waiters[{key}]")
    waiters, task = found
    waiters.users += 1
    try:
        yield waiters
    finally:
        waiters.users -= 1
        if not waiters.users:
            if _shared.get(shared_key) is found:
                del _shared[shared_key]
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
