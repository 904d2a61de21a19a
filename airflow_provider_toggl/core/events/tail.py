"""The end of an event store, read once for all who follow it.

Two threads a store, whatever the number of subscriptions: one waits for new events, one reads earlier events for those
who are behind. Each event is parsed once and handed to all subscriptions as the same object.

A subscription has a place: everything up to it was put into its queue. The thread of new events gives a batch to every
subscription whose place is where that batch begins and whose queue has room. Whoever had no room, or asked for earlier
events, is behind; the other thread reads from the lowest place of those that are behind, and gives what it finds to all
whom it concerns, and so on to the end. Places move under one lock, so between the two threads nothing is left out and
nothing comes twice.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Iterable
from types import TracebackType

from airflow_provider_toggl.core import metrics
from airflow_provider_toggl.core.errors import EventStoreUnavailable, TogglError
from airflow_provider_toggl.core.events.batch import Batch, build_batch
from airflow_provider_toggl.core.events.search import find_state
from airflow_provider_toggl.core.events.store import EventStore, StoredEvent
from airflow_provider_toggl.core.events.tail_probe import ProbeResponder
from airflow_provider_toggl.core.events.transitions import EntityState

log = logging.getLogger(__name__)

BATCH = 250
"""The most events of a batch."""
QUEUE = 4
"""Batches that wait in a subscription; further ones are read again from the store when it has room."""
STATES = 1000
"""The most entities whose state before an event is kept, so that all subscriptions together cost one query an event."""
WAIT = 1.0
"""Seconds that one wait for new events takes at most, and so how long a thread may outlive its tail."""
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
"""Seconds between two tries while the store is out of order."""


class Follower:
    """One who follows a tail: an asynchronous iterator of batches, for one task of one event loop.

    Ends when it or its tail is closed. Use it as a context manager, or close it.
    """

    def __init__(self, tail: TailReader, place: int | None) -> None:
        self._source = tail
        self._ready = asyncio.Event()
        self._error: BaseException | None = None
        self._closed = False
        self._waited = False
        self.loop: asyncio.AbstractEventLoop | None = None
        # These two are the tail's, under its lock.
        self.place = place
        self.queue: deque[Batch] = deque()

    def __aiter__(self) -> Follower:
        return self

    async def __anext__(self) -> Batch:
        """Wait for the next batch; being cancelled meanwhile loses none.

        :raises StopAsyncIteration: the subscription or its tail was closed.
        """
        self.loop = asyncio.get_running_loop()
        if not self._waited:
            await asyncio.sleep(0)  # one who finds a batch each time must let others run too
        self._waited = False
        while True:
            batch = self._source.take(self)
            if batch is not None:
                return batch
            if self._error is not None:
                raise self._error
            if self._closed:
                raise StopAsyncIteration
            # What wakes it runs in this loop, so not between the look above and the wait.
            self._ready.clear()
            await self._ready.wait()
            self._waited = True

    def close(self) -> None:
        """Follow no longer. May be called in any thread."""
        self._source.drop(self)

    def end(self, error: BaseException | None = None) -> None:
        """Let it end when its queue is empty; called by the tail."""
        self._closed = True
        self._error = error

    def wake(self) -> None:
        """Let the waiting task look again; called in its loop."""
        self._ready.set()

    def __enter__(self) -> Follower:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class TailReader:
    """Follows a store for any number of subscriptions.

    While the store is out of order it keeps trying, and says so once.

    :param store: the store, which stays open, or what opens one for this tail; called in a thread of its own.
    """

    def __init__(self, store: EventStore | Callable[[], EventStore]) -> None:
        self._source = store
        self._store: EventStore | None = None
        self._state = threading.Condition()
        self._subscriptions: set[Follower] = set()
        self._end: int | None = None  # what is not behind has everything up to it
        self._stopping = threading.Event()
        self._lasting: dict[_Outage, str] = {}
        self._threads: list[threading.Thread] = []
        self._running = 0
        self._users = 1
        self._presence = ProbeResponder(WAIT / 2)
        self._states: OrderedDict[int, EntityState | None] = OrderedDict()
        self._reading_states = threading.Lock()

    def subscribe(self, after: int | None = None) -> Follower:
        """Return a new subscription. May be called in any thread, and takes no time.

        :param after: the place after which it begins. None: the end of the store as this tail has last seen it, or will
            see it first; so who must miss nothing gives a place.
        """
        with self._state:
            subscription = Follower(self, self._end if after is None else after)
            if self._stopping.is_set():
                subscription.end()
                return subscription
            self._subscriptions.add(subscription)
            if not self._threads:
                self._start()
            self._state.notify_all()
        return subscription

    def find_states(self, events: Iterable[StoredEvent]) -> dict[int, EntityState | None]:
        """Return what is known of each event's entity from before it, by ``seq``. Blocks; may be called in any thread.

        :raises EventStoreUnavailable: the store cannot be asked now.
        """
        found: dict[int, EntityState | None] = {}
        with self._reading_states:
            for stored in events:
                if stored.seq not in self._states:
                    store = self._store
                    if store is None:
                        raise EventStoreUnavailable("The event store is not open.")
                    self._states[stored.seq] = find_state(store, stored)
                    if len(self._states) > STATES:
                        self._states.popitem(last=False)
                found[stored.seq] = self._states[stored.seq]
        return found

    def share(self) -> bool:
        """Count one more who will close it; return whether it is open at all."""
        with self._state:
            if self._stopping.is_set():
                return False
            self._users += 1
            return True

    def close(self) -> None:
        """End all subscriptions and the threads, when all who share it have closed it. Does not wait for them."""
        with self._state:
            self._users -= 1
            if self._users > 0:
                return
        self._stop(None)

    def join(self, timeout: float | None = None) -> None:
        """Wait until the threads have ended, which they do within a second of the last ``close``.

        :param timeout: in seconds; None: as long as it takes.
        """
        for thread in self._threads:
            thread.join(timeout)

    @property
    def closed(self) -> bool:
        """Whether it has ended."""
        return self._stopping.is_set()

    def __enter__(self) -> TailReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- called by subscriptions --------------------------------------------------------------------------------------

    def take(self, subscription: Follower) -> Batch | None:
        """Return the next batch of a subscription, None where its queue is empty."""
        with self._state:
            if not subscription.queue:
                return None
            batch = subscription.queue.popleft()
            if self._is_behind(subscription):
                self._state.notify_all()
            return batch

    def drop(self, subscription: Follower) -> None:
        """Forget a subscription."""
        with self._state:
            self._subscriptions.discard(subscription)
            subscription.queue.clear()
            subscription.end()
        _wake([subscription])

    # -- the threads --------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        # Daemons: a process may end without having closed its tails.
        self._threads = [
            threading.Thread(target=self._run, args=(work,), name=f"toggl-{work.__name__.strip('_')}", daemon=True)
            for work in (self._tail, self._catch_up)
        ]
        self._running = len(self._threads)
        for thread in self._threads:
            thread.start()

    def _run(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - it is raised where somebody waits
            self._stop(error)
        with self._state:
            self._running -= 1
            store = self._store if self._running == 0 else None
        if store is not None and callable(self._source):
            store.close()

    def _stop(self, error: BaseException | None) -> None:
        with self._state:
            self._stopping.set()
            ended, self._subscriptions = self._subscriptions, set()
            for subscription in ended:
                subscription.end(error)
            self._state.notify_all()
        _wake(ended)

    def _tail(self) -> None:
        outage = _Outage(self._stopping, self._lasting)
        while not self._stopping.is_set():
            try:
                self._tail_once(outage)
            except TogglError as error:
                outage.pause(error)

    def _tail_once(self, outage: _Outage) -> None:
        store = self._store or self._open()
        if self._end is None or outage.lasts:
            self._begin(store.last_seq())
        end = self._end or 0
        if store.wait(end, WAIT) and (events := store.read(end, BATCH)):
            self._hand_out(build_batch(events), end)
            _measure(len(events), "new")
        outage.over()
        self._presence.answer(store)

    def _open(self) -> EventStore:
        store = self._source() if callable(self._source) else self._source
        with self._state:
            self._store = store
        return store

    def _begin(self, last_seq: int) -> None:
        """Note where the end is, at the begin and after an outage, in which the store may have been begun anew."""
        with self._state:
            if self._end is not None and last_seq < self._end:
                log.error("The event store ends at %d now, at %d before: it was replaced.", last_seq, self._end)
                with self._reading_states:
                    self._states.clear()
                for subscription in self._subscriptions:
                    subscription.place = min(subscription.place or 0, last_seq)
            if self._end is None or last_seq < self._end:
                self._end = last_seq
            for subscription in self._subscriptions:
                if subscription.place is None:
                    subscription.place = self._end
            self._state.notify_all()

    def _catch_up(self) -> None:
        outage = _Outage(self._stopping, self._lasting)
        place = -1
        while True:
            with self._state:
                self._state.wait_for(lambda: self._stopping.is_set() or any(map(self._is_behind, self._subscriptions)))
                if self._stopping.is_set() or self._store is None:
                    return
                places = sorted(sub.place or 0 for sub in self._subscriptions if self._is_behind(sub))
                # Onwards, and from the lowest again at the end: one place that cannot be read holds up no others.
                place = next((each for each in places if each > place), places[0])
                store, end = self._store, self._end or 0
            try:
                events = store.read(place, BATCH)
            except TogglError as error:
                outage.pause(error)
                continue
            outage.over()
            if events:
                self._hand_out(build_batch(events), place)
                _measure(len(events), "earlier")
            else:
                self._pass_over(place, end)

    # -- places, under the lock ---------------------------------------------------------------------------------------

    def _is_behind(self, subscription: Follower) -> bool:
        """Whether there are earlier events for it, and room for them."""
        place, end = subscription.place, self._end
        return place is not None and end is not None and place < end and len(subscription.queue) < QUEUE

    def _hand_out(self, batch: Batch, start: int) -> None:
        """Give a batch, which is all that there is from a place on up to its end, to those whom it concerns."""
        with self._state:
            given = [
                subscription
                for subscription in self._subscriptions
                if start <= (-1 if subscription.place is None else subscription.place) < batch.last_seq
                and len(subscription.queue) < QUEUE
            ]
            for subscription in given:
                subscription.queue.append(batch.after(subscription.place or 0))
                subscription.place = batch.last_seq
            if self._end == start:
                self._end = batch.last_seq
        _wake(given)

    def _pass_over(self, start: int, end: int) -> None:
        """Move those who wait for events that retention has removed."""
        with self._state:
            for subscription in self._subscriptions:
                if start <= (subscription.place or 0) < end:
                    subscription.place = end


class _Outage:
    """A time in which the store is out of order: said once, tried again more and more seldom.

    :param lasting: what those that last have said, of all threads: two that say the same are one.
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
        self._pause = min(max(FIRST_PAUSE, self._pause * 2), LONGEST_PAUSE)
        self._stopping.wait(self._pause)

    def over(self) -> None:
        if self.lasts and self._lasting.pop(self, None) not in self._lasting.values():
            log.warning("Events can be read again.")
        self._pause = 0.0


def _measure(events: int, which: str) -> None:
    metrics.TAIL_READS.add(which=which)
    metrics.TAIL_EVENTS.add(events, which=which)


def _wake(subscriptions: Iterable[Follower]) -> None:
    """Let those who wait look again, by one call into each event loop, however many they are."""
    loops: dict[asyncio.AbstractEventLoop, list[Follower]] = {}
    for subscription in subscriptions:
        if subscription.loop is not None:
            loops.setdefault(subscription.loop, []).append(subscription)
    for loop, waiting in loops.items():
        try:
            loop.call_soon_threadsafe(_wake_all, waiting)
        except RuntimeError:  # the loop was closed, so nobody reads them any more
            for subscription in waiting:
                subscription.loop = None
                subscription.close()


def _wake_all(subscriptions: list[Follower]) -> None:
    for subscription in subscriptions:
        subscription.wake()


_shared: dict[tuple[int, Hashable], TailReader] = {}
_sharing = threading.Lock()


def shared_tail(key: Hashable, build_store: Callable[[], EventStore]) -> TailReader:
    """Return this process's tail of a store, which ends when all who asked for it have closed it.

    :param key: the same for the same store.
    :param build_store: opens the store, in a thread of the tail; where it fails it is called again.
    """
    with _sharing:
        for other in [each for each, tail in _shared.items() if tail.closed]:
            del _shared[other]
        # A forked process has none of its parent's threads.
        tail = _shared.get((os.getpid(), key))
        if tail is None or not tail.share():
            tail = _shared[os.getpid(), key] = TailReader(build_store)
        return tail
