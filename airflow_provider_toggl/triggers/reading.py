"""Read a store's matching events in a coroutine, and wait for a store that is unavailable."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from airflow_provider_toggl.core.errors import EventStoreUnavailable
from airflow_provider_toggl.core.events.message import Message
from airflow_provider_toggl.core.events.model import StoredEvent
from airflow_provider_toggl.core.events.search import EventQuery
from airflow_provider_toggl.core.events.tail import TailReader
from airflow_provider_toggl.core.events.transitions import EntityState
from airflow_provider_toggl.core.log_fields import log_line

log = logging.getLogger(__name__)

FIRST_PAUSE, MAX_PAUSE = 0.5, 5.0
"""Seconds between two tries while the store is unavailable."""

T = TypeVar("T")


async def retry_while_unavailable(call: Callable[[], T]) -> T:
    """Return the result of a blocking call, which runs in a thread and is repeated while the store is unavailable.

    There is no limit: a task that waits for hours must not fail because the store is down for minutes.
    """
    pause = FIRST_PAUSE
    while True:
        try:
            return await asyncio.to_thread(call)
        except EventStoreUnavailable as error:
            text = "The event store cannot be read; trying again until it can: %s"
            log_line(log, text, error, level=logging.WARNING, retry_in=pause)
        await asyncio.sleep(pause)
        pause = min(pause * 2, MAX_PAUSE)


@dataclass(frozen=True)
class MatchedBatch:
    """The matches of one batch of events.

    :param seq: the last event that was read.
    :param matches: the matching events and their messages, in order.
    """

    seq: int
    matches: list[tuple[StoredEvent, Message]]


async def read_matches(tail: TailReader, query: EventQuery, after: int) -> AsyncGenerator[MatchedBatch, None]:
    """Yield the matches after a ``seq``, stored and new ones, once and in order."""
    with tail.subscribe(after) as follower:
        async for batch in follower:
            pairs = list(zip(batch.events, batch.messages, strict=True))
            states: dict[int, EntityState | None] = {}
            if query.event_filter.transitions:
                candidates = [stored for stored, message in pairs if query.find_candidate(stored, message)]
                states = await find_states(tail, candidates)
            found = ((stored, query.find_message(stored, states, message)) for stored, message in pairs)
            yield MatchedBatch(batch.last_seq, [(stored, message) for stored, message in found if message])


async def find_states(tail: TailReader, events: Sequence[StoredEvent]) -> dict[int, EntityState | None]:
    """Return, by ``seq``, the state of each event's entity before it. Waits while the store is unavailable."""
    return await retry_while_unavailable(lambda: tail.find_states(events)) if events else {}
