"""All who wait for one event of the same store: each event is looked at once, and wakes only whom it concerns."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from airflow_provider_toggl.core.errors import EventStoreError
from airflow_provider_toggl.core.events.batch import Batch
from airflow_provider_toggl.core.events.message import Message
from airflow_provider_toggl.core.events.search import EventQuery, FirstMatch
from airflow_provider_toggl.core.events.store import StoredEvent
from airflow_provider_toggl.core.events.tail import TailReader
from airflow_provider_toggl.triggers.reading import find_states, read_matches

LOOKS = 2000
"""So many times it is asked whether an event counts for somebody before others of the event loop have their turn."""


@dataclass(eq=False)
class Waiter:
    """One who waits.

    :param after: what is not after this place was looked at.
    :param found: what counts of the batch that is being looked at.
    """

    query: EventQuery
    after: int
    first: asyncio.Future[FirstMatch]
    found: FirstMatch | None = None


@dataclass(eq=False)
class SharedWaiters:
    """Those who wait in one event loop.

    :param tail: their store's.
    :param place: everything up to it was looked at, for all of them.
    """

    tail: TailReader
    place: int
    users: int = 0
    waiters: set[Waiter] = field(default_factory=set)

    async def wait(self, query: EventQuery, after: int) -> FirstMatch:
        """Return the first event after a place that counts, whenever it comes."""
        if after < self.place:
            async with contextlib.aclosing(read_matches(self.tail, query, after)) as steps:
                async for step in steps:
                    if step.matches:
                        stored, message = step.matches[0]
                        return FirstMatch(stored, message, len(step.matches), step.matches[-1][0].seq)
                    after = step.seq
                    if after >= self.place:
                        break
        # Between the look at the place above and this there is no turn for others.
        waiter = Waiter(query, after, asyncio.get_running_loop().create_future())
        self.waiters.add(waiter)
        try:
            return await waiter.first
        finally:
            self.waiters.discard(waiter)

    async def look(self) -> None:
        """Look at everything that comes, for ever; what ends it is told to all who wait."""
        error: BaseException = EventStoreError("The tail of the event store has ended.")
        try:
            with self.tail.subscribe(self.place) as subscription:
                async for batch in subscription:
                    await self._look_at(batch)
        except Exception as raised:  # noqa: BLE001 - it is raised where somebody waits
            error = raised
        for waiter in self.waiters:
            if not waiter.first.done():
                waiter.first.set_exception(error)

    async def _look_at(self, batch: Batch) -> None:
        looks = 0
        for stored, message in zip(batch.events, batch.messages, strict=True):
            # Whoever begins to wait during this query is among the waiters below; nobody can after it.
            states = await find_states(self.tail, [stored]) if self._needs_state(stored, message) else {}
            for waiter in self.waiters:
                if stored.seq <= waiter.after:
                    continue
                found = waiter.query.find_message(stored, states, message)
                if found:
                    waiter.found = (
                        waiter.found.and_also(stored) if waiter.found else FirstMatch(stored, found, 1, stored.seq)
                    )
            self.place = stored.seq
            looks += len(self.waiters)
            if looks >= LOOKS:
                looks = 0
                await asyncio.sleep(0)
        self.place = batch.last_seq
        for waiter in self.waiters:
            if waiter.found and not waiter.first.done():
                waiter.first.set_result(waiter.found)

    def _needs_state(self, stored: StoredEvent, message: Message) -> bool:
        """Whether somebody waits for a transition that this event may have brought."""
        return any(
            stored.seq > waiter.after and waiter.query.find_candidate(stored, message)
            for waiter in self.waiters
            if waiter.query.wanted.transitions
        )


_crowds: dict[tuple[asyncio.AbstractEventLoop, str], tuple[SharedWaiters, asyncio.Task[None]]] = {}


@contextlib.asynccontextmanager
async def join_waiters(key: str, tail: TailReader, after: int) -> AsyncIterator[SharedWaiters]:
    """Yield the crowd of this event loop that waits for a store, made where there is none.

    :param key: the same for the same store.
    :param after: where one that is made begins.
    """
    place = asyncio.get_running_loop(), key
    found = _crowds.get(place)
    if found is None or found[1].done():
        crowd = SharedWaiters(tail, after)
        found = _crowds[place] = crowd, asyncio.create_task(crowd.look(), name=f"toggl-crowd[{key}]")
    crowd, task = found
    crowd.users += 1
    try:
        yield crowd
    finally:
        crowd.users -= 1
        if not crowd.users:
            if _crowds.get(place) is found:
                del _crowds[place]
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
