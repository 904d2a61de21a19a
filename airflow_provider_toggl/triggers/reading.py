"""Reading an event store from a place on, in a coroutine."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from airflow_provider_toggl.core.errors import EventStoreUnavailable
from airflow_provider_toggl.core.events.message import Message
from airflow_provider_toggl.core.events.search import EventQuery
from airflow_provider_toggl.core.events.store import StoredEvent
from airflow_provider_toggl.core.events.tail import Tail
from airflow_provider_toggl.core.events.transitions import State
from airflow_provider_toggl.core.log_fields import log_line

log = logging.getLogger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 5.0
"""Seconds between two tries while the store is out of order."""

T = TypeVar("T")


async def patiently(call: Callable[[], T]) -> T:
    """Return what a call returns that blocks, trying again for as long as the store is out of order.

    Who waits for hours does not fail because the store is away for minutes.
    """
    pause = FIRST_PAUSE
    while True:
        try:
            return await asyncio.to_thread(call)
        except EventStoreUnavailable as error:
            text = "The event store cannot be read; trying again until it can: %s"
            log_line(log, text, error, level=logging.WARNING, retry_in=pause)
        await asyncio.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE)


@dataclass(frozen=True)
class Step:
    """What a reader came by.

    :param seq: everything up to here was read.
    :param matches: what of it counts.
    """

    seq: int
    matches: list[tuple[StoredEvent, Message]]


async def read_on(tail: Tail, query: EventQuery, after: int) -> AsyncGenerator[Step, None]:
    """Yield everything that is in the store after a ``seq`` and that comes into it, once and in order."""
    with tail.subscribe(after) as subscription:
        async for batch in subscription:
            pairs = list(zip(batch.events, batch.messages, strict=True))
            states: dict[int, State | None] = {}
            if query.wanted.transitions:
                candidates = [stored for stored, message in pairs if query.find_candidate(stored, message)]
                states = await find_states(tail, candidates)
            found = ((stored, query.find_message(stored, states, message)) for stored, message in pairs)
            yield Step(batch.last_seq, [(stored, message) for stored, message in found if message])


async def find_states(tail: Tail, events: Sequence[StoredEvent]) -> dict[int, State | None]:
    """Return what is known of each event's entity from before it, by ``seq``, however long the store is away."""
    return await patiently(lambda: tail.find_states(events)) if events else {}
