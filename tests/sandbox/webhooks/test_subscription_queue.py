from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from support.sandboxes import NOON
from support.waiting import wait_until

from airflow_provider_toggl.sandbox.webhooks import subscription_queue as queue_module
from airflow_provider_toggl.sandbox.webhooks.callback_client import CallbackClient
from airflow_provider_toggl.sandbox.webhooks.records import WebhookEvent
from airflow_provider_toggl.sandbox.webhooks.subscription_queue import QueuedDelivery, SubscriptionQueue


@dataclass
class Deliveries:
    """The deliveries that a queue made, in order, and how many ran at once at most."""

    before: Callable[[QueuedDelivery], object] = lambda _: None
    delivered: list[int] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, delivery: QueuedDelivery, client: CallbackClient) -> None:
        with self.lock:
            self.at_once += 1
            self.most_at_once = max(self.at_once, self.most_at_once)
        self.before(delivery)
        with self.lock:
            self.at_once -= 1
            self.delivered.append(delivery.event.id)


Make = Callable[..., SubscriptionQueue]


@pytest.fixture
def make() -> Iterator[Make]:
    queues: list[SubscriptionQueue] = []

    def make(
        deliver: Callable[[QueuedDelivery, CallbackClient], None], most: Callable[[], int] = lambda: 1
    ) -> SubscriptionQueue:
        queues.append(SubscriptionQueue("queue-of-a-test", deliver, most))
        return queues[-1]

    yield make
    for queue in queues:
        for thread in queue.close():
            thread.join(timeout=10)


def delivery_of(id_: int) -> QueuedDelivery:
    return QueuedDelivery(WebhookEvent(id_, 1, NOON, 1, "tag", "created", 1, "{}", "{}"))


def threads_of_queue() -> int:
    return sum(thread.name == "queue-of-a-test" for thread in threading.enumerate())


def wait_until_empty(queue: SubscriptionQueue) -> None:
    wait_until(lambda: queue.pending() == 0)


def test_one_thread_delivers_in_order(make: Make) -> None:
    deliveries = Deliveries()
    queue = make(deliveries)
    for id_ in range(500):
        queue.add(delivery_of(id_))
    wait_until_empty(queue)
    assert deliveries.delivered == list(range(500))
    assert deliveries.most_at_once == 1


def test_a_later_delivery_is_overtaken(make: Make) -> None:
    deliveries = Deliveries()
    queue = make(deliveries)
    for id_, late in ((1, 0.06), (2, 0.03), (3, 0.0)):
        queue.add(delivery_of(id_), late)
    wait_until_empty(queue)
    assert deliveries.delivered == [3, 2, 1]


def test_as_many_deliveries_as_allowed_run_at_once(make: Make) -> None:
    gate = threading.Barrier(8)
    deliveries = Deliveries(before=lambda _: gate.wait(10))
    queue = make(deliveries, lambda: 8)
    for id_ in range(64):
        queue.add(delivery_of(id_))
    wait_until_empty(queue)
    assert sorted(deliveries.delivered) == list(range(64))
    assert (deliveries.most_at_once, threads_of_queue()) == (8, 8)


def test_a_burst_after_a_rest_starts_all_threads_again(make: Make) -> None:
    gate = threading.Barrier(4)
    queue = make(Deliveries(before=lambda _: gate.wait(10)), lambda: 4)
    for _ in range(5):
        for id_ in range(4):
            queue.add(delivery_of(id_))
        wait_until_empty(queue)


def test_fewer_threads_are_left_when_fewer_are_allowed(make: Make) -> None:
    most = 6
    queue = make(Deliveries(before=lambda _: time.sleep(0.002)), lambda: most)
    for id_ in range(60):
        queue.add(delivery_of(id_))
    most = 1
    for id_ in range(20):
        queue.add(delivery_of(id_))
    wait_until_empty(queue)
    wait_until(lambda: threads_of_queue() <= 1)


def test_a_queue_at_rest_has_no_threads_and_wakes_up_again(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue_module, "IDLE_SECONDS", 0.02)
    deliveries = Deliveries()
    queue = make(deliveries, lambda: 3)
    for _ in range(3):
        for id_ in range(9):
            queue.add(delivery_of(id_))
        wait_until_empty(queue)
        wait_until(lambda: threads_of_queue() == 0)
    assert len(deliveries.delivered) == 27


def test_waiting_for_a_late_one_takes_one_thread(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue_module, "IDLE_SECONDS", 0.02)
    gate = threading.Barrier(3)
    deliveries = Deliveries(before=lambda one: one.event.id or gate.wait(10))
    queue = make(deliveries, lambda: 3)
    for _ in range(3):
        queue.add(delivery_of(0))
    queue.add(delivery_of(1), 0.3)
    wait_until(lambda: queue.pending() == 1 and threads_of_queue() == 1)
    wait_until_empty(queue)
    assert deliveries.delivered == [0, 0, 0, 1]


def test_waiting_deliveries_can_be_removed(make: Make) -> None:
    go = threading.Event()
    deliveries = Deliveries(before=lambda _: go.wait(10))
    queue = make(deliveries)
    for id_ in range(4):
        queue.add(delivery_of(id_))
    wait_until(lambda: deliveries.at_once == 1)
    assert sorted(one.event.id for one in queue.clear()) == [1, 2, 3]
    assert queue.pending() == 1
    go.set()
    wait_until_empty(queue)
    assert deliveries.delivered == [0]


def test_a_closed_queue_ends_its_threads_and_accepts_nothing(make: Make) -> None:
    queue = make(Deliveries(), lambda: 3)
    queue.add(delivery_of(1), 60)
    wait_until(lambda: threads_of_queue() == 1)
    for thread in queue.close():
        thread.join(timeout=10)
    assert threads_of_queue() == 0
    queue.add(delivery_of(2))
    assert (queue.pending(), threads_of_queue()) == (0, 0)
