"""Read the new events of a store once for all its followers in this process.

In the order of this file:

- ``Follower``: an asynchronous iterator over batches of events, for one task.
- ``TailReader``: two threads that read the store, whatever the number of followers. One waits for new events, the
  other reads earlier events for followers that are behind. Each event is parsed once, and all followers get the same
  object.
- ``shared_tail``: one reader for each store and process.
- ``_Outage``: logs once that the store cannot be read, and pauses between tries.
- ``ProbeResponder``: shows ``airflow toggl doctor`` that a triggerer follows the store.

Each follower has an offset: all events up to it were put into the follower's queue. The first thread gives a new batch
to every follower whose offset is where the batch begins and whose queue has room. A follower without room, or one that
asked for earlier events, is behind. The second thread reads from the lowest offset of those that are behind, and gives
the batch to every follower that lacks it, until none is behind. Offsets change under one lock, so between the two
threads no follower misses an event or gets one twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterable
from datetime import datetime, timezone

from airflow_provider_toggl.core import metrics
from airflow_provider_toggl.core.errors import EventStoreError, EventStoreUnavailable, TogglError
from airflow_provider_toggl.core.events.message import EventBatch, build_event_batch
from airflow_provider_toggl.core.events.model import StoredEvent
from airflow_provider_toggl.core.events.search import StateCache
from airflow_provider_toggl.core.events.store import EventStore
from airflow_provider_toggl.core.events.transitions import EntityState

log = logging.getLogger(__name__)

MAX_BATCH = 250
"""Most events in a batch."""
MAX_QUEUE = 4
"""Most batches in a follower's queue. Further ones are read again from the store when there is room."""
WAIT = 1.0
"""Most seconds of one wait for new events, and so how long a thread may outlive its reader."""
FIRST_PAUSE, MAX_PAUSE = 0.1, 5.0
"""Seconds between two tries while the store cannot be read."""
PROBE, REPLY = "tail?", "tail!"
"""Status entries: ``airflow toggl doctor`` writes a token under the first and waits for it under the second."""


class Follower:
    """An asynchronous iterator over batches of a store's events, for one task of one event loop.

    It ends when it or its reader is closed. Close it, or use it as a context manager.
    """

    def __init__(self, reader: TailReader, offset: int | None) -> None:
        self._reader = reader
        self._wakeup = asyncio.Event()
        self._error: BaseException | None = None
        self._ended = False
        self._has_waited = False
        self.loop: asyncio.AbstractEventLoop | None = None
        # The reader changes these two, under its lock. The offset is None until the end of the store is known.
        self.offset = offset
        self.queue: deque[EventBatch] = deque()

    def __aiter__(self) -> Follower:
        return self

    async def __anext__(self) -> EventBatch:
        """Wait for the next batch. A cancelled wait loses none.

        :raises StopAsyncIteration: the follower or its reader was closed.
        """
        self.loop = asyncio.get_running_loop()
        if not self._has_waited:
            await asyncio.sleep(0)  # lets other tasks run while there is always a next batch
        self._has_waited = False
        while True:
            batch = self._reader.take(self)
            if batch is not None:
                return batch
            if self._error is not None:
                raise self._error
            if self._ended:
                raise StopAsyncIteration
            # `wake` runs in this loop, so it cannot come between `take` above and the wait.
            self._wakeup.clear()
            await self._wakeup.wait()
            self._has_waited = True

    def close(self) -> None:
        """Stop following. Any thread may call it."""
        self._reader.remove(self)

    def end(self, error: BaseException | None = None) -> None:
        """Let the iteration end, or raise, when the queue is empty. The reader calls it."""
        self._ended = True
        self._error = error

    def wake(self) -> None:
        """Let the waiting task check its queue again. Called in its loop."""
        self._wakeup.set()

    def __enter__(self) -> Follower:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class TailReader:
    """Reads a store for any number of followers. While the store cannot be read it tries again.

    :param store: the store, which stays open, or a function that opens one for this reader, called in a thread.
    """

    def __init__(self, store: EventStore | Callable[[], EventStore]) -> None:
        self._source = store
        self._store: EventStore | None = None
        self._lock = threading.Condition()
        self._followers: set[Follower] = set()
        self._end: int | None = None  # the last seq that was read; every follower that is not behind has it
        self._stopping = threading.Event()
        self._outages: dict[_Outage, str] = {}
        self._threads: list[threading.Thread] = []
        self._running = 0
        self._users = 1
        self._probe_responder = ProbeResponder(WAIT / 2)
        self._states = StateCache()

    def subscribe(self, after: int | None = None) -> Follower:
        """Return a new follower. Does not block; any thread may call it.

        :param after: the ``seq`` after which it begins. None: the end of the store as this reader last saw it, or will
            see it first. A follower that must not miss an event needs a ``seq``.
        """
        with self._lock:
            follower = Follower(self, self._end if after is None else after)
            if self._stopping.is_set():
                follower.end()
                return follower
            self._followers.add(follower)
            if not self._threads:
                self._start()
            self._lock.notify_all()
        return follower

    def find_states(self, events: Iterable[StoredEvent]) -> dict[int, EntityState | None]:
        """Return, by ``seq``, the state of each event's entity before it. Blocks; any thread may call it.

        :raises EventStoreUnavailable: the store cannot be read now.
        """
        if self._store is None:
            raise EventStoreUnavailable("The event store is not open.")
        return self._states.find_states(self._store, events)

    def share(self) -> bool:
        """Add a user, who will close it; return False where it is closed already."""
        with self._lock:
            if self._stopping.is_set():
                return False
            self._users += 1
            return True

    def close(self) -> None:
        """End all followers and the threads once every user has called this. Does not wait for the threads."""
        with self._lock:
            self._users -= 1
            if self._users > 0:
                return
        self._stop(None)

    def join(self, timeout: float | None = None) -> None:
        """Wait for the threads, which end within a second of the last ``close``.

        :param timeout: in seconds; None: no limit.
        """
        for thread in self._threads:
            thread.join(timeout)

    @property
    def closed(self) -> bool:
        """Whether it has ended."""
        return self._stopping.is_set()

    def __enter__(self) -> TailReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- called by followers ------------------------------------------------------------------------------------------

    def take(self, follower: Follower) -> EventBatch | None:
        """Return the next batch of a follower, None where its queue is empty."""
        with self._lock:
            if not follower.queue:
                return None
            batch = follower.queue.popleft()
            if self._is_behind(follower):
                self._lock.notify_all()
            return batch

    def remove(self, follower: Follower) -> None:
        """Remove a follower."""
        with self._lock:
            self._followers.discard(follower)
            follower.queue.clear()
            follower.end()
        _wake([follower])

    # -- the two threads ----------------------------------------------------------------------------------------------

    def _start(self) -> None:
        # Daemons: a process may end without closing its readers.
        self._threads = [
            threading.Thread(target=self._run, args=(work,), name=f"toggl-{work.__name__.strip('_')}", daemon=True)
            for work in (self._read_new_events, self._read_earlier_events)
        ]
        self._running = len(self._threads)
        for thread in self._threads:
            thread.start()

    def _run(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - it is raised in the followers' tasks
            self._stop(error)
        with self._lock:
            self._running -= 1
            store = self._store if self._running == 0 else None
        if store is not None and callable(self._source):
            store.close()

    def _stop(self, error: BaseException | None) -> None:
        with self._lock:
            self._stopping.set()
            ended, self._followers = self._followers, set()
            for follower in ended:
                follower.end(error)
            self._lock.notify_all()
        _wake(ended)

    def _read_new_events(self) -> None:
        outage = _Outage(self._stopping, self._outages)
        while not self._stopping.is_set():
            try:
                self._read_next_events(outage)
            except TogglError as error:
                outage.pause(error)

    def _read_next_events(self, outage: _Outage) -> None:
        store = self._store or self._open()
        if self._end is None or outage.lasts:
            self._find_end(store.last_seq())
        end = self._end or 0
        if store.wait(end, WAIT) and (events := store.read(end, MAX_BATCH)):
            self._hand_out(build_event_batch(events), end)
            _measure(len(events), "new")
        outage.end()
        self._probe_responder.answer(store)

    def _open(self) -> EventStore:
        store = self._source() if callable(self._source) else self._source
        with self._lock:
            self._store = store
        return store

    def _find_end(self, last_seq: int) -> None:
        """Set where the end is, at the start and after an outage, in which the store may have been replaced."""
        with self._lock:
            if self._end is not None and last_seq < self._end:
                log.error("The event store was replaced: it ends at event %d, before at %d.", last_seq, self._end)
                self._states.clear()
                for follower in self._followers:
                    follower.offset = min(follower.offset or 0, last_seq)
            self._end = last_seq if self._end is None else min(self._end, last_seq)
            for follower in self._followers:
                if follower.offset is None:
                    follower.offset = self._end
            self._lock.notify_all()

    def _read_earlier_events(self) -> None:
        outage = _Outage(self._stopping, self._outages)
        offset = -1
        while True:
            with self._lock:
                self._lock.wait_for(lambda: self._stopping.is_set() or any(map(self._is_behind, self._followers)))
                if self._stopping.is_set() or self._store is None:
                    return
                offsets = sorted(follower.offset or 0 for follower in self._followers if self._is_behind(follower))
                # The next higher offset, or the lowest after the highest: one that cannot be read blocks no others.
                offset = next((each for each in offsets if each > offset), offsets[0])
                store, end = self._store, self._end or 0
            try:
                events = store.read(offset, MAX_BATCH)
            except TogglError as error:
                outage.pause(error)
                continue
            outage.end()
            if events:
                self._hand_out(build_event_batch(events), offset)
                _measure(len(events), "earlier")
            else:
                self._skip_removed(offset, end)

    # -- offsets ------------------------------------------------------------------------------------------------------

    def _is_behind(self, follower: Follower) -> bool:
        """Whether there are earlier events for a follower, and room in its queue. The caller holds the lock."""
        offset, end = follower.offset, self._end
        return offset is not None and end is not None and offset < end and len(follower.queue) < MAX_QUEUE

    def _hand_out(self, batch: EventBatch, start: int) -> None:
        """Queue a batch for every follower that lacks it.

        :param start: the ``seq`` after which the batch has all events of the store up to its last one.
        """
        with self._lock:
            receiving = [
                follower
                for follower in self._followers
                if start <= (-1 if follower.offset is None else follower.offset) < batch.last_seq
                and len(follower.queue) < MAX_QUEUE
            ]
            for follower in receiving:
                follower.queue.append(batch.after(follower.offset or 0))
                follower.offset = batch.last_seq
            if self._end == start:
                self._end = batch.last_seq
        _wake(receiving)

    def _skip_removed(self, start: int, end: int) -> None:
        """Move the offsets of followers that wait for events that retention has removed."""
        with self._lock:
            for follower in self._followers:
                if start <= (follower.offset or 0) < end:
                    follower.offset = end


def _measure(events: int, which: str) -> None:
    metrics.TAIL_READS.add(which=which)
    metrics.TAIL_EVENTS.add(events, which=which)


def _wake(followers: Iterable[Follower]) -> None:
    """Wake the followers' tasks by one call into each event loop, however many there are."""
    loops: dict[asyncio.AbstractEventLoop, list[Follower]] = {}
    for follower in followers:
        if follower.loop is not None:
            loops.setdefault(follower.loop, []).append(follower)
    for loop, waiting in loops.items():
        try:
            loop.call_soon_threadsafe(_wake_all, waiting)
        except RuntimeError:  # the loop is closed, so nobody reads from these any more
            for follower in waiting:
                follower.loop = None
                follower.close()


def _wake_all(followers: list[Follower]) -> None:
    for follower in followers:
        follower.wake()


_shared: dict[tuple[int, Hashable], TailReader] = {}
_shared_lock = threading.Lock()


def shared_tail(key: Hashable, build_store: Callable[[], EventStore]) -> TailReader:
    """Return this process's reader of a store. It ends when everybody who got it has closed it.

    :param key: the same for the same store.
    :param build_store: opens the store, in a thread of the reader; called again if it fails.
    """
    with _shared_lock:
        for other in [each for each, reader in _shared.items() if reader.closed]:
            del _shared[other]
        # By process: a fork has none of its parent's threads.
        reader = _shared.get((os.getpid(), key))
        if reader is None or not reader.share():
            reader = _shared[os.getpid(), key] = TailReader(build_store)
        return reader


class _Outage:
    """Logs the begin and the end of a time in which a thread cannot read the store, and pauses between tries.

    :param lasting: the errors of the outages that last, shared by both threads: the same error is logged once.
    """

    def __init__(self, stopping: threading.Event, lasting: dict[_Outage, str]) -> None:
        self._stopping = stopping
        self._lasting = lasting
        self._pause = 0.0

    @property
    def lasts(self) -> bool:
        return self._pause > 0

    def pause(self, error: TogglError) -> None:
        if not self.lasts:
            if str(error) not in self._lasting.values():
                log.error("Events cannot be read; trying again until they can: %s", error)
                metrics.TAIL_OUTAGES.add()
            self._lasting[self] = str(error)
        self._pause = min(max(FIRST_PAUSE, self._pause * 2), MAX_PAUSE)
        self._stopping.wait(self._pause)

    def end(self) -> None:
        if self.lasts and self._lasting.pop(self, None) not in self._lasting.values():
            log.warning("Events can be read again.")
        self._pause = 0.0


class ProbeResponder:
    """Answers probes for one reader of a store.

    :param pause: least seconds between two checks for a probe.
    """

    def __init__(self, pause: float) -> None:
        self._pause = pause
        self._checked_at = 0.0
        self._answered = ""

    def answer(self, store: EventStore) -> None:
        """Answer a new probe, if there is one and the last check is not too recent."""
        now = time.monotonic()
        if now - self._checked_at < self._pause:
            return
        self._checked_at = now
        with contextlib.suppress(EventStoreError):  # reading needs no right to write
            probe = store.activity_log.find_status(PROBE)
            if probe is not None and probe.value != self._answered:
                self._answered = probe.value
                store.activity_log.set_status(REPLY, probe.value, datetime.now(timezone.utc))
