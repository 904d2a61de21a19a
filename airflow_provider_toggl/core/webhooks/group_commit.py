"""Group commit: what comes together, or while one transaction is written, shares one; nobody waits beyond a limit.

A transaction begins when the event loop has nothing else at hand. Beside a busy loop each step of the database waits
for the interpreter's lock, and makes the loop wait for it: of two half groups in turns, one written while the other is
received, each took three times as long.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from airflow_provider_toggl.core import metrics
from airflow_provider_toggl.core.errors import TogglError
from airflow_provider_toggl.core.events.activity_log import DeliveryCounts, StatusEntry
from airflow_provider_toggl.core.events.lag import measure_store
from airflow_provider_toggl.core.events.model import Appended, Handshake, NewEvent
from airflow_provider_toggl.core.events.store import EventStore
from airflow_provider_toggl.core.webhooks.delivery import BUSY, FAILED, UNAVAILABLE, Outcome, refuse
from airflow_provider_toggl.core.webhooks.log_once import Faults
from airflow_provider_toggl.core.webhooks.reservoir import Samples

PATIENCE = 5.0
"""Seconds within which a delivery is on disk, or is answered that it is not."""
MOST_TOGETHER = 512
"""Events of one transaction."""
GATHERING = 0.005
"""Seconds after which a transaction begins although the loop is still busy with more."""
MOST_WAITING = 10_000
"""Deliveries that wait for their transaction."""
LAST_PATIENCE = 1.0
"""Seconds that the end waits for the store to be closed."""


@dataclass(frozen=True)
class _Refusal:
    """Why something is not in the store; each who waits raises an error of its own from it."""

    outcome: Outcome
    reason: str


Note = Handshake | StatusEntry | DeliveryCounts
"""What a PING leaves behind, or what the receiver has counted and refused."""
_Result = Appended | _Refusal | None


@dataclass(eq=False)
class _Waiting:
    """One thing to store, and who waits for it.

    :param until: when it is given up, by the loop's clock.
    """

    item: NewEvent | Note
    done: asyncio.Future[_Result]
    until: float


class Writer:
    """The only one of an event loop who writes to a store, in a thread of its own.

    All its fields but the store and the durations belong to the loop.

    :param open_store: opens the store, its tables made; called in the thread, again after each time that it failed.
    :param name: the store's name in metrics, empty for the default one.
    :param patience: in seconds, as ``PATIENCE``.
    """

    def __init__(
        self,
        open_store: Callable[[], EventStore],
        *,
        name: str = "",
        patience: float = PATIENCE,
        most_waiting: int = MOST_WAITING,
    ) -> None:
        self._open_store = open_store
        self._name = name
        self._patience = patience
        self._most_waiting = most_waiting
        self._loop = asyncio.get_running_loop()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="toggl-receiver")
        self._store: EventStore | None = None
        self._faults = Faults()
        self._waiting: deque[_Waiting] = deque()
        self._written: list[_Waiting] = []
        self._idle = asyncio.Event()
        self._idle.set()
        self._timer: asyncio.TimerHandle | None = None
        self._seconds = Samples()

    async def append(self, event: NewEvent) -> Appended:
        """Return where the event is in the store, once it is on disk.

        :raises DeliveryRefused: it is not there in time, or too many are waiting.
        """
        appended = await self._submit(event)
        if appended is None:
            raise refuse(FAILED, "The event store did not say where the event is.")
        return appended

    async def keep(self, note: Note) -> None:
        """Keep what a PING leaves behind, or what the receiver has noted.

        :raises DeliveryRefused: it is not there in time, or too many are waiting.
        """
        await self._submit(note)

    def measure(self) -> None:
        """Send, from the thread, how long appending took since the last time, and how far the store's readers are."""
        with contextlib.suppress(RuntimeError):  # it is closed
            self._thread.submit(self._measure)

    async def close(self) -> None:
        """Wait, within the limit, for what is being written, and close the store."""
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._idle.wait(), self._patience)
        if self._timer is not None:
            self._timer.cancel()
        # Waited for: a server may end its process at once, threads and all.
        finish = self._loop.run_in_executor(self._thread, self._finish)
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(finish, min(self._patience, LAST_PATIENCE))
        self._thread.shutdown(wait=False)

    async def _submit(self, item: NewEvent | Note) -> Appended | None:
        if len(self._waiting) >= self._most_waiting:
            raise refuse(BUSY, f"Too many deliveries wait for the event store already: {len(self._waiting):,}.")
        waiting = _Waiting(item, self._loop.create_future(), self._loop.time() + self._patience)
        self._waiting.append(waiting)
        if self._idle.is_set():
            self._idle.clear()
            self._loop.call_soon(self._begin)
        if self._timer is None:
            self._timer = self._loop.call_at(waiting.until, self._give_up)
        result = await waiting.done
        if isinstance(result, _Refusal):
            raise refuse(result.outcome, result.reason)
        return result

    def _begin(self) -> None:
        """Write what is waiting, if anything is, once the loop has nothing else at hand."""
        if self._waiting:
            self._loop.call_soon(self._gather, len(self._waiting), self._loop.time() + GATHERING)
        else:
            self._idle.set()

    def _gather(self, seen: int, until: float) -> None:
        """Hand to the thread what is waiting, unless this turn of the loop brought more: then the next may, too."""
        found = len(self._waiting)
        if seen < found < MOST_TOGETHER and self._loop.time() < until:
            self._loop.call_soon(self._gather, found, until)
            return
        self._written = [self._waiting.popleft() for _ in range(min(found, MOST_TOGETHER))]
        if self._written:
            self._thread.submit(self._store_all, self._written)
        else:  # all were given up
            self._idle.set()

    def _settle(self, results: list[_Result]) -> None:
        """Tell those who wait what became of theirs, and go on."""
        for waiting, result in zip(self._written, results, strict=True):
            if not waiting.done.done():  # else it was given up, or nobody waits any more
                waiting.done.set_result(result)
        self._written = []
        self._begin()

    def _give_up(self) -> None:
        """Tell those who have waited too long; what is in the thread already may be stored all the same."""
        now = self._loop.time()
        late = [waiting for waiting in self._written if waiting.until <= now]
        while self._waiting and self._waiting[0].until <= now:
            late.append(self._waiting.popleft())
        refusal = _Refusal(UNAVAILABLE, f"The event store did not take the delivery within {self._patience:g} s.")
        for waiting in late:
            if not waiting.done.done():
                waiting.done.set_result(refusal)
        open_ones = [waiting for waiting in (*self._written, *self._waiting) if waiting.until > now]
        self._timer = self._loop.call_at(open_ones[0].until, self._give_up) if open_ones else None

    # -- in the thread ------------------------------------------------------------------------------------------------

    def _store_all(self, batch: list[_Waiting]) -> None:
        results: list[_Result] = [None] * len(batch)
        events = [(place, waiting.item) for place, waiting in enumerate(batch) if isinstance(waiting.item, NewEvent)]
        try:
            appended = self._append([event for _, event in events])
            for (place, _), result in zip(events, appended, strict=True):
                results[place] = result
            for place, waiting in enumerate(batch):
                if not isinstance(waiting.item, NewEvent):
                    results[place] = self._keep(waiting.item)
        finally:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(self._settle, results)

    def _append(self, events: list[NewEvent]) -> list[_Result]:
        if not events:
            return []
        began = time.monotonic()
        try:
            appended = self._opened().append(events)
            self._seconds.add(time.monotonic() - began)
            return list(appended)
        except Exception as error:  # noqa: BLE001 - each one is answered and logged
            # What the store does not expect may be about one event; it must not take the others with it.
            if isinstance(error, TogglError) or len(events) == 1:
                return [self._refusal(error)] * len(events)
        return [result for event in events for result in self._append([event])]

    def _keep(self, note: Note) -> _Refusal | None:
        try:
            if isinstance(note, Handshake):
                self._opened().record_handshake(note)
            elif isinstance(note, StatusEntry):
                self._opened().activity_log.set_status(note.name, note.value, note.recorded_at)
            else:
                self._opened().activity_log.record_received(note)
        except Exception as error:  # noqa: BLE001 - it is answered and logged
            return self._refusal(error)
        return None

    def _measure(self) -> None:
        for seconds in self._seconds.take():
            metrics.APPEND.record(seconds)
        if self._store is not None:
            measure_store(self._store, self._name)

    def _opened(self) -> EventStore:
        if self._store is None:
            self._store = self._open_store()
        return self._store

    def _finish(self) -> None:
        self._measure()
        if self._store is not None:
            self._store.close()
            self._store = None

    def _refusal(self, error: Exception) -> _Refusal:
        if isinstance(error, TogglError):
            return _Refusal(UNAVAILABLE, f"{type(error).__name__}: {error}")
        return _Refusal(FAILED, f"The event store raised {self._faults.tell(error)}.")
