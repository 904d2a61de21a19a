"""The pending deliveries of one subscription, and the threads that make them: none while the queue is idle."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from airflow_provider_toggl.sandbox.webhooks.callback_client import CallbackClient
from airflow_provider_toggl.sandbox.webhooks.records import WebhookEvent

#: Seconds without work after which a thread ends.
IDLE_SECONDS = 1.0


@dataclass(slots=True)
class QueuedDelivery:
    """One delivery to make.

    :param body: the bytes to send, if they must equal those of an earlier attempt.
    :param extra: whether it is a copy, which does not count as the event's delivery and is not retried.
    """

    event: WebhookEvent
    body: bytes | None = None
    extra: bool = False
    wrong_signature: bool = False


class SubscriptionQueue:
    """Makes deliveries when they are due, in order.

    :param deliver: makes one delivery; must not raise.
    :param most: returns how many deliveries may run at once; it may change.
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
        self._running = 0
        self._waiting = 0
        self._clients: dict[threading.Thread, CallbackClient] = {}
        self._closed = False

    def add(self, delivery: QueuedDelivery, delay: float = 0.0) -> None:
        """Add a delivery that is due in ``delay`` seconds."""
        self.add_all([(delivery, delay)])

    def add_all(self, deliveries: Iterable[tuple[QueuedDelivery, float]]) -> None:
        """Add deliveries, each with the seconds until it is due."""
        with self._ready:
            if self._closed:
                return
            now = time.monotonic()
            for delivery, delay in deliveries:
                heapq.heappush(self._due, (now + delay, next(self._order), delivery))
            self._wake_one()

    def pending(self) -> int:
        """Return how many deliveries are waiting or running."""
        with self._ready:
            return len(self._due) + self._running

    def clear(self) -> list[QueuedDelivery]:
        """Remove and return the deliveries that are not running yet."""
        with self._ready:
            removed = [delivery for _, _, delivery in self._due]
            self._due.clear()
            return removed

    def close(self) -> list[threading.Thread]:
        """Accept no more, abort running deliveries, and return the threads, which are about to end."""
        with self._ready:
            self._closed = True
            self._due.clear()
            self._ready.notify_all()
            clients = dict(self._clients)
        for client in clients.values():
            client.abort()
        return list(clients)

    def _wake_one(self) -> None:
        if self._waiting:
            self._ready.notify()
        elif len(self._clients) < self._most():
            thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._clients[thread] = CallbackClient()
            thread.start()

    def _run(self) -> None:
        thread = threading.current_thread()
        client = self._clients[thread]
        while (delivery := self._next(thread)) is not None:
            try:
                self._deliver(delivery, client)
            finally:
                with self._ready:
                    self._running -= 1
        client.close()

    def _next(self, thread: threading.Thread) -> QueuedDelivery | None:
        """Wait for the next due delivery; None if the thread is to end."""
        with self._ready:
            while not self._closed and len(self._clients) <= self._most():
                wait = self._due[0][0] - time.monotonic() if self._due else IDLE_SECONDS
                if wait <= 0:
                    self._running += 1
                    delivery = heapq.heappop(self._due)[2]
                    # One wake-up may stand for several deliveries, or have reached a thread that was waking up already.
                    if self._due and self._due[0][0] <= time.monotonic():
                        self._wake_one()
                    return delivery
                self._waiting += 1
                notified = self._ready.wait(min(wait, IDLE_SECONDS))
                self._waiting -= 1
                if not notified and (not self._due or (self._waiting and self._due[0][0] > time.monotonic())):
                    break
            del self._clients[thread]
            return None
