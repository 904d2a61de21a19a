from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from support.sandboxes import NOON
from support.waiting import wait_until

from airflow_provider_toggl.sandbox.webhooks import subscription_queue as lane_module
from airflow_provider_toggl.sandbox.webhooks.callback_client import CallbackClient
from airflow_provider_toggl.sandbox.webhooks.records import WebhookEvent
from airflow_provider_toggl.sandbox.webhooks.subscription_queue import QueuedDelivery, SubscriptionQueue


@dataclass
class Deliveries:
    """What a lane brought, in which order, and how many at once at most."""

    before: Callable[[QueuedDelivery], object] = lambda errand: None
    brought: list[int] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, errand: QueuedDelivery, courier: CallbackClient) -> None:
        with self.lock:
            self.at_once += 1
            self.most_at_once = max(self.at_once, self.most_at_once)
        self.before(errand)
        with self.lock:
            self.at_once -= 1
            self.brought.append(errand.event.id)


Make = Callable[..., SubscriptionQueue]


@pytest.fixture
def make() -> Iterator[Make]:
    lanes: list[SubscriptionQueue] = []

    def make(
        deliver: Callable[[QueuedDelivery, CallbackClient], None], most: Callable[[], int] = lambda: 1
    ) -> SubscriptionQueue:
        lanes.append(SubscriptionQueue("lane-of-a-test", deliver, most))
        return lanes[-1]

    yield make
    for lane in lanes:
        for thread in lane.close():
            thread.join(timeout=10)


def errand(id_: int) -> QueuedDelivery:
    return QueuedDelivery(WebhookEvent(id_, 1, NOON, 1, "tag", "created", 1, "{}", "{}"))


def couriers() -> int:
    return sum(thread.name == "lane-of-a-test" for thread in threading.enumerate())


def wait_until_empty(lane: SubscriptionQueue) -> None:
    wait_until(lambda: lane.pending() == 0)


def test_one_thread_delivers_in_order(make: Make) -> None:
    deliveries = Deliveries()
    lane = make(deliveries)
    for id_ in range(500):
        lane.add(errand(id_))
    wait_until_empty(lane)
    assert deliveries.brought == list(range(500))
    assert deliveries.most_at_once == 1


def test_a_later_delivery_is_overtaken(make: Make) -> None:
    deliveries = Deliveries()
    lane = make(deliveries)
    for id_, late in ((1, 0.06), (2, 0.03), (3, 0.0)):
        lane.add(errand(id_), late)
    wait_until_empty(lane)
    assert deliveries.brought == [3, 2, 1]


def test_as_many_couriers_as_allowed_are_on_their_way_at_once(make: Make) -> None:
    gate = threading.Barrier(8)
    deliveries = Deliveries(before=lambda _: gate.wait(10))
    lane = make(deliveries, lambda: 8)
    for id_ in range(64):
        lane.add(errand(id_))
    wait_until_empty(lane)
    assert sorted(deliveries.brought) == list(range(64))
    assert (deliveries.most_at_once, couriers()) == (8, 8)


def test_a_burst_after_a_rest_calls_all_of_them_again(make: Make) -> None:
    gate = threading.Barrier(4)
    lane = make(Deliveries(before=lambda _: gate.wait(10)), lambda: 4)
    for _ in range(5):
        for id_ in range(4):
            lane.add(errand(id_))
        wait_until_empty(lane)


def test_fewer_couriers_are_left_when_fewer_are_allowed(make: Make) -> None:
    most = 6
    lane = make(Deliveries(before=lambda _: time.sleep(0.002)), lambda: most)
    for id_ in range(60):
        lane.add(errand(id_))
    most = 1
    for id_ in range(20):
        lane.add(errand(id_))
    wait_until_empty(lane)
    wait_until(lambda: couriers() <= 1)


def test_a_lane_at_rest_has_no_threads_and_wakes_up_again(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane_module, "IDLE_SECONDS", 0.02)
    deliveries = Deliveries()
    lane = make(deliveries, lambda: 3)
    for _ in range(3):
        for id_ in range(9):
            lane.add(errand(id_))
        wait_until_empty(lane)
        wait_until(lambda: couriers() == 0)
    assert len(deliveries.brought) == 27


def test_waiting_for_a_late_one_takes_one_thread(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane_module, "IDLE_SECONDS", 0.02)
    gate = threading.Barrier(3)
    deliveries = Deliveries(before=lambda one: one.event.id or gate.wait(10))
    lane = make(deliveries, lambda: 3)
    for _ in range(3):
        lane.add(errand(0))
    lane.add(errand(1), 0.3)
    wait_until(lambda: lane.pending() == 1 and couriers() == 1)
    wait_until_empty(lane)
    assert deliveries.brought == [0, 0, 0, 1]


def test_waiting_deliveries_can_be_removed(make: Make) -> None:
    go = threading.Event()
    deliveries = Deliveries(before=lambda _: go.wait(10))
    lane = make(deliveries)
    for id_ in range(4):
        lane.add(errand(id_))
    wait_until(lambda: deliveries.at_once == 1)
    assert sorted(one.event.id for one in lane.clear()) == [1, 2, 3]
    assert lane.pending() == 1
    go.set()
    wait_until_empty(lane)
    assert deliveries.brought == [0]


def test_a_closed_queue_ends_its_threads_and_accepts_nothing(make: Make) -> None:
    lane = make(Deliveries(), lambda: 3)
    lane.add(errand(1), 60)
    wait_until(lambda: couriers() == 1)
    for thread in lane.close():
        thread.join(timeout=10)
    assert couriers() == 0
    lane.add(errand(2))
    assert (lane.pending(), couriers()) == (0, 0)
