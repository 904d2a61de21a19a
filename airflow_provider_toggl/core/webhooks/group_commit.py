"""Store deliveries by group commit: those that arrive together share one transaction, and each waits a limited time.

A transaction starts when the event loop has nothing else to do. Beside a busy loop, each call of the database driver
competes with the loop for the interpreter's lock: two half groups, one written while the other was received, each took
three times as long.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
import traceback
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from airflow_provider_toggl.core import metrics
from airflow_provider_toggl.core.errors import TogglError
from airflow_provider_toggl.core.events.activity_log import DeliveryCounts, StatusEntry
from airflow_provider_toggl.core.events.model import Appended, Handshake, NewEvent
from airflow_provider_toggl.core.events.store import EventStore, measure_store
from airflow_provider_toggl.core.webhooks.delivery import BUSY, FAILED, UNAVAILABLE, Outcome, refusal
from airflow_provider_toggl.core.wording import plural

log = logging.getLogger(__name__)

STORE_TIMEOUT = 5.0
"""Seconds within which a delivery is on disk, or is refused."""
MAX_BATCH = 512
"""Most deliveries in one transaction."""
MAX_GATHER_TIME = 0.005
"""Seconds after which a transaction starts although the event loop is still busy."""
MAX_WAITING = 10_000
"""Most deliveries that wait for a transaction."""
CLOSE_TIMEOUT = 1.0
"""Seconds that ``close`` waits for the store to close."""
RESERVOIR_SIZE = 100
"""Durations of transactions that are measured between two calls of ``measure``."""


@dataclass(frozen=True)
class _Refusal:
    """Why something was not stored. Each caller that waits raises an exception of its own from it."""

    outcome: Outcome
    reason: str


Record = Handshake | StatusEntry | DeliveryCounts
"""What the receiver stores besides events: traces of a PING, or the outcomes of a period."""
_Result = Appended | _Refusal | None


@dataclass(eq=False)
class _Waiting:
    """One thing to store.

    :param done: gets the result.
    :param deadline: when its caller stops waiting, by the loop's clock.
    """

    item: NewEvent | Record
    done: asyncio.Future[_Result]
    deadline: float


class GroupCommit:
    """Stores deliveries in one event store, in a thread of its own.

    The event loop collects what is waiting; the thread writes one batch at a time. The attributes belong to the loop,
    except ``_store``, ``_errors`` and ``_durations``, which belong to the thread.

    :param open_store: opens the store, with its tables; called in the thread, again after each failure.
    :param name: the store's name in metrics, empty for the default store.
    :param timeout: in seconds, as ``STORE_TIMEOUT``.
    """

    def __init__(
        self,
        open_store: Callable[[], EventStore],
        *,
        name: str = "",
        timeout: float = STORE_TIMEOUT,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        self._open_store = open_store
        self._name = name
        self._timeout = timeout
        self._max_waiting = max_waiting
        self._loop = asyncio.get_running_loop()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="toggl-receiver")
        self._store: EventStore | None = None
        self._errors = UnexpectedErrors()
        self._durations = Reservoir()
        self._waiting: deque[_Waiting] = deque()
        self._written: list[_Waiting] = []
        self._idle = asyncio.Event()
        self._idle.set()
        self._timer: asyncio.TimerHandle | None = None

    async def append(self, event: NewEvent) -> Appended:
        """Return where an event is in the store, once it is on disk.

        :raises DeliveryRefused: it was not stored in time, or too many deliveries are waiting.
        """
        appended = await self._submit(event)
        if appended is None:
            raise refusal(FAILED, "The event store did not return the event's position.")
        return appended

    async def save(self, record: Record) -> None:
        """Store a record.

        :raises DeliveryRefused: as ``append``.
        """
        await self._submit(record)

    def measure(self) -> None:
        """Send metrics, from the thread: durations of appends since the last call, and how far consumers are behind."""
        with contextlib.suppress(RuntimeError):  # it is closed
            self._thread.submit(self._measure)

    async def close(self) -> None:
        """Wait, for a limited time, for what is being written, and close the store."""
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._idle.wait(), self._timeout)
        if self._timer is not None:
            self._timer.cancel()
        # Awaited, because a server may end its process, threads included, right after.
        finish = self._loop.run_in_executor(self._thread, self._finish)
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(finish, min(self._timeout, CLOSE_TIMEOUT))
        self._thread.shutdown(wait=False)

    # -- in the event loop: collect a batch, hand it to the thread, deliver its results --------------------------------

    async def _submit(self, item: NewEvent | Record) -> Appended | None:
        if len(self._waiting) >= self._max_waiting:
            waiting_before = plural(len(self._waiting), "waiting delivery")
            raise refusal(BUSY, f"The event store has {waiting_before} already.")
        waiting = _Waiting(item, self._loop.create_future(), self._loop.time() + self._timeout)
        self._waiting.append(waiting)
        if self._idle.is_set():
            self._idle.clear()
            self._loop.call_soon(self._start_batch)
        if self._timer is None:
            self._timer = self._loop.call_at(waiting.deadline, self._refuse_late)
        result = await waiting.done
        if isinstance(result, _Refusal):
            raise refusal(result.outcome, result.reason)
        return result

    def _start_batch(self) -> None:
        if self._waiting:
            self._loop.call_soon(self._gather, len(self._waiting), self._loop.time() + MAX_GATHER_TIME)
        else:
            self._idle.set()

    def _gather(self, seen: int, until: float) -> None:
        """Write what is waiting, unless the last iteration of the loop brought more: then the next one may, too."""
        found = len(self._waiting)
        if seen < found < MAX_BATCH and self._loop.time() < until:
            self._loop.call_soon(self._gather, found, until)
            return
        self._written = [self._waiting.popleft() for _ in range(min(found, MAX_BATCH))]
        if self._written:
            self._thread.submit(self._write, self._written)
        else:  # all were refused as late
            self._idle.set()

    def _finish_batch(self, results: list[_Result]) -> None:
        for waiting, result in zip(self._written, results, strict=True):
            if not waiting.done.done():  # else it was refused as late, or its caller was cancelled
                waiting.done.set_result(result)
        self._written = []
        self._start_batch()

    def _refuse_late(self) -> None:
        """Refuse what is past its deadline. What the thread is writing may be stored nevertheless."""
        now = self._loop.time()
        late = [waiting for waiting in self._written if waiting.deadline <= now]
        while self._waiting and self._waiting[0].deadline <= now:
            late.append(self._waiting.popleft())
        result = _Refusal(UNAVAILABLE, f"The event store did not take the delivery within {self._timeout:g} s.")
        for waiting in late:
            if not waiting.done.done():
                waiting.done.set_result(result)
        others = [waiting for waiting in (*self._written, *self._waiting) if waiting.deadline > now]
        self._timer = self._loop.call_at(others[0].deadline, self._refuse_late) if others else None

    # -- in the thread ------------------------------------------------------------------------------------------------

    def _write(self, batch: list[_Waiting]) -> None:
        results: list[_Result] = [None] * len(batch)
        events = [(index, waiting.item) for index, waiting in enumerate(batch) if isinstance(waiting.item, NewEvent)]
        try:
            appended = self._append([event for _, event in events])
            for (index, _), result in zip(events, appended, strict=True):
                results[index] = result
            for index, waiting in enumerate(batch):
                if not isinstance(waiting.item, NewEvent):
                    results[index] = self._save(waiting.item)
        finally:
            with contextlib.suppress(RuntimeError):  # the loop is closed, so nobody waits
                self._loop.call_soon_threadsafe(self._finish_batch, results)

    def _append(self, events: list[NewEvent]) -> list[_Result]:
        if not events:
            return []
        began = time.monotonic()
        try:
            appended = self._get_store().append(events)
            self._durations.add(time.monotonic() - began)
            return list(appended)
        except Exception as error:  # noqa: BLE001 - each caller gets it as a refusal, and it is logged
            # An unexpected error may be caused by one event, which must not fail the others.
            if isinstance(error, TogglError) or len(events) == 1:
                return [self._refusal(error)] * len(events)
        return [result for event in events for result in self._append([event])]

    def _save(self, record: Record) -> _Refusal | None:
        try:
            if isinstance(record, Handshake):
                self._get_store().record_handshake(record)
            elif isinstance(record, StatusEntry):
                self._get_store().activity_log.set_status(record.name, record.value, record.recorded_at)
            else:
                self._get_store().activity_log.record_received(record)
        except Exception as error:  # noqa: BLE001 - as above
            return self._refusal(error)
        return None

    def _refusal(self, error: Exception) -> _Refusal:
        if isinstance(error, TogglError):
            return _Refusal(UNAVAILABLE, f"{type(error).__name__}: {error}")
        return _Refusal(FAILED, f"The event store raised {self._errors.log_once(error)}.")

    def _get_store(self) -> EventStore:
        if self._store is None:
            self._store = self._open_store()
        return self._store

    def _measure(self) -> None:
        for seconds in self._durations.take():
            metrics.APPEND.record(seconds)
        if self._store is not None:
            measure_store(self._store, self._name)

    def _finish(self) -> None:
        self._measure()
        if self._store is not None:
            self._store.close()
            self._store = None


class UnexpectedErrors:
    """Logs each error once, so that a flood of deliveries does not flood the log."""

    def __init__(self) -> None:
        self._logged: set[str] = set()

    def log_once(self, error: Exception) -> str:
        """Log an unexpected error unless the same one was logged before; return the name of its class.

        The log line has the stack and the class. It omits the error's text, which may contain a delivery or a secret.
        """
        stack = "".join(traceback.format_tb(error.__traceback__))
        name = type(error).__name__
        if stack + name not in self._logged:
            self._logged.add(stack + name)
            log.error("Unexpected %s while receiving; deliveries are answered 503. Stack:\n%s", name, stack)
        return name


class Reservoir:
    """A uniform random sample of a stream of durations of any length (reservoir sampling, algorithm R).

    It bounds the number of measurements, however many transactions there are. For one thread.

    :param size: how many are kept.
    """

    def __init__(self, size: int = RESERVOIR_SIZE) -> None:
        self._size = size
        self._kept: list[float] = []
        self._seen = 0

    def add(self, seconds: float) -> None:
        """Add a duration. Each of ``n`` has the chance ``size / n`` to be in the sample."""
        self._seen += 1
        if len(self._kept) < self._size:
            self._kept.append(seconds)
        elif (index := random.randrange(self._seen)) < self._size:  # noqa: S311 - not for secrets
            self._kept[index] = seconds

    def take(self) -> list[float]:
        """Return the sample and begin a new one."""
        kept, self._kept, self._seen = self._kept, [], 0
        return kept
