"""What is due to one subscription, and the threads that bring it: as many as it needs, and none when it rests."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from airflow_provider_toggl.sandbox.webhooks.callback_client import CallbackClient
from airflow_provider_toggl.sandbox.webhooks.registry import WebhookEvent

#: Seconds without work after which a thread ends.
REST_SECONDS = 1.0


@dataclass(slots=True)
class QueuedDelivery:
    """One delivery to be made.

    :param body: the very bytes, where they must be those of an earlier attempt.
    :param extra: a copy, which neither counts as the event's delivery nor is tried again.
    """

    event: WebhookEvent
    body: bytes | None = None
    extra: bool = False
    wrongly_signed: bool = False


class SubscriptionQueue:
    """A queue by time, first come first served, with its couriers.

    :param deliver: makes a delivery; whatever can go wrong on the way is its business.
    :param most: says how many couriers may be on their way at once; it may change.
    """

    def __init__(
        self, name: str, deliver: Callable[[QueuedDelivery, CallbackClient], None], most: Callable[[], int]
    ) -> None:
        self._name = name
        self._deliver = deliver
        self._most = most
        self._ready = threading.Condition()
        self._due: list[tuple[float, int, QueuedDelivery]] = []
        self._order = itertools.count()
        self._under_way = 0
        self._waiting = 0
        self._couriers: dict[threading.Thread, CallbackClient] = {}
        self._closed = False

    def add(self, errand: QueuedDelivery, late: float = 0.0) -> None:
        """Let an errand be made, so many seconds from now at the earliest."""
        self.add_all([(errand, late)])

    def add_all(self, errands: Iterable[tuple[QueuedDelivery, float]]) -> None:
        """Let errands be made, each so many seconds from now at the earliest."""
        with self._ready:
            if self._closed:
                return
            now = time.monotonic()
            for errand, late in errands:
                heapq.heappush(self._due, (now + late, next(self._order), errand))
            self._call_one()

    def pending(self) -> int:
        """Return how many errands are due, sooner or later, or under way."""
        with self._ready:
            return len(self._due) + self._under_way

    def clear(self) -> list[QueuedDelivery]:
        """Take back what is not under way yet, and return it."""
        with self._ready:
            taken = [errand for _, _, errand in self._due]
            self._due.clear()
            return taken

    def close(self) -> list[threading.Thread]:
        """Take no more, cut short what is under way, and return the threads, which are ending."""
        with self._ready:
            self._closed = True
            self._due.clear()
            self._ready.notify_all()
            couriers = dict(self._couriers)
        for courier in couriers.values():
            courier.abort()
        return list(couriers)

    def _call_one(self) -> None:
        if self._waiting:
            self._ready.notify()
        elif len(self._couriers) < self._most():
            thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._couriers[thread] = CallbackClient()
            thread.start()

    def _run(self) -> None:
        thread = threading.current_thread()
        courier = self._couriers[thread]
        while (errand := self._take(thread)) is not None:
            try:
                self._deliver(errand, courier)
            finally:
                with self._ready:
                    self._under_way -= 1
        courier.close()

    def _take(self, thread: threading.Thread) -> QueuedDelivery | None:
        """Return what is due, as soon as something is; None when the thread is to end."""
        with self._ready:
            while not self._closed and len(self._couriers) <= self._most():
                wait = self._due[0][0] - time.monotonic() if self._due else REST_SECONDS
                if wait <= 0:
                    self._under_way += 1
                    errand = heapq.heappop(self._due)[2]
                    # One call may have been for several errands, or have met a courier that was just waking up.
                    if self._due and self._due[0][0] <= time.monotonic():
                        self._call_one()
                    return errand
                self._waiting += 1
                called = self._ready.wait(min(wait, REST_SECONDS))
                self._waiting -= 1
                if not called and (not self._due or (self._waiting and self._due[0][0] > time.monotonic())):
                    break
            del self._couriers[thread]
            return None
