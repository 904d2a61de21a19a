"""Delivers PINGs at once, and events in the background, in order and with retries."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from typing import Any

from airflow_provider_toggl.sandbox.faults import DELIVERY_KINDS, ArmedFaults
from airflow_provider_toggl.sandbox.webhooks.bodies import build_ping, encode, nanos_z, sign, write_event
from airflow_provider_toggl.sandbox.webhooks.callback_client import CallbackClient, PostResult
from airflow_provider_toggl.sandbox.webhooks.records import WebhookEvent, WebhookSubscription
from airflow_provider_toggl.sandbox.webhooks.registry import WebhookRegistry
from airflow_provider_toggl.sandbox.webhooks.subscription_queue import QueuedDelivery, SubscriptionQueue
from airflow_provider_toggl.sandbox.workspace.world import WorldChange

#: Attempts that the control API shows.
MOST_ATTEMPTS = 1000
#: Seconds that closing waits for all threads together.
CLOSING_SECONDS = 5.0


class Dispatcher:
    """Delivers the events of a registry to the callbacks of its subscriptions.

    :param registry: its world calls ``on_change``.
    """

    def __init__(self, registry: WebhookRegistry) -> None:
        self.faults = ArmedFaults(DELIVERY_KINDS)
        self._registry = registry
        self._settings = registry.world.settings
        self._lock = threading.Lock()
        self._queues: dict[int, SubscriptionQueue] = {}
        self._pinging: set[CallbackClient] = set()
        self._closed = threading.Event()
        self._dice = random.Random(0)
        self._held: dict[int, list[tuple[QueuedDelivery, float]]] | None = None
        self._outcomes: Counter[str] = Counter()
        self._attempts: deque[dict[str, Any]] = deque(maxlen=MOST_ATTEMPTS)

    # sending

    def on_change(self, change: WorldChange) -> None:
        """Deliver the events of a change."""
        for event in self._registry.create_events(change):
            self._send(event)

    def _send(self, event: WebhookEvent) -> None:
        """Queue an event, changed by the faults that affect it."""
        with self._lock:
            struck = self.faults.strike_event()
            if "drop" in struck:
                event.dropped = True
                self._outcomes["dropped"] += 1
                return
        delay = struck.get("delay", {}).get("seconds", 0.0)
        if "reorder" in struck:
            delay += self._dice.uniform(0.0, struck["reorder"]["seconds"])
        first = QueuedDelivery(event, wrong_signature="wrong_signature" in struck)
        if "duplicate" in struck:
            first.body = self._body_of(event, self._registry.subscriptions[event.subscription_id])
        deliveries = [(first, delay)]
        for kind in ("duplicate", "resend"):
            copy = QueuedDelivery(event, body=first.body if kind == "duplicate" else None, extra=True)
            deliveries += [(copy, delay + struck[kind]["seconds"])] * struck[kind]["copies"] if kind in struck else []
        if self._held is None:
            self._queue(event.subscription_id).add_all(deliveries)
        else:
            self._held.setdefault(event.subscription_id, []).extend(deliveries)

    @contextlib.contextmanager
    def holding(self) -> Iterator[None]:
        """Hold events back until the block ends, because deliveries would slow many changes down."""
        self._held = {}
        try:
            yield
        finally:
            held, self._held = self._held, None
            for id_, deliveries in held.items():
                self._queue(id_).add_all(deliveries)

    def redeliver(self, events: Iterable[WebhookEvent], copies: int = 1) -> int:
        """Send events again, whatever their state; return how many."""
        queued: dict[int, list[tuple[QueuedDelivery, float]]] = {}
        for event in events:
            event.dropped = event.given_up = False
            deliveries = [(QueuedDelivery(event, extra=event.acknowledged), 0.0) for _ in range(copies)]
            queued.setdefault(event.subscription_id, []).extend(deliveries)
        for id_, deliveries in queued.items():
            self._queue(id_).add_all(deliveries)
        return sum(map(len, queued.values()))

    def ping(self, subscription: WebhookSubscription, *, site: str) -> PostResult:
        """Post a PING, wait for the answer and return it. A correct answer validates the subscription.

        :param site: the address in the validation link.
        """
        document = build_ping(subscription, user_id=subscription.user_id, timestamp=self._timestamp(), site=site)
        body = encode(document, escape_html=self._settings.webhook_escape_html)
        client = CallbackClient()
        with self._lock:
            self._pinging.add(client)
            if self._closed.is_set():
                client.abort()
        try:
            result = self._post(client, subscription, body, subscription.secret)
        finally:
            with self._lock:
                self._pinging.discard(client)
            client.close()
        self._record("ping", subscription.id, 0, result)
        if subscription.validated_at is None and result.echoes(subscription.validation_code):
            subscription.validated_at = self._registry.world.now()
        return result

    # state

    def pending(self, subscription_id: int | None = None) -> int:
        """Return how many deliveries are waiting or running."""
        with self._lock:
            queues = [queue for id_, queue in self._queues.items() if subscription_id in (None, id_)]
        return sum(queue.pending() for queue in queues)

    def flush(self, timeout: float) -> int:
        """Wait until nothing is pending, at most so many seconds; return the pending deliveries."""
        deadline = time.monotonic() + timeout
        while (pending := self.pending()) and time.monotonic() < deadline:
            if self._closed.wait(0.005):
                break
        return pending

    def status(self) -> dict[str, Any]:
        """Return counts of outcomes, pending deliveries, and the last attempts, oldest first."""
        pending = self.pending()
        with self._lock:
            return {"outcomes": dict(self._outcomes), "pending": pending, "attempts": list(self._attempts)}

    def give_up(self, subscription_id: int) -> None:
        """Give up the waiting deliveries of a subscription."""
        for delivery in self._queue(subscription_id).clear():
            delivery.event.given_up = not delivery.event.acknowledged

    def close(self) -> None:
        """End all threads: pending deliveries are never made, running ones are aborted."""
        self._closed.set()
        with self._lock:
            queues, pinging = list(self._queues.values()), list(self._pinging)
        threads = [thread for queue in queues for thread in queue.close()]
        for client in pinging:
            client.abort()
        deadline = time.monotonic() + CLOSING_SECONDS
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    # one delivery

    def _queue(self, subscription_id: int) -> SubscriptionQueue:
        with self._lock:
            queue = self._queues.get(subscription_id)
            if queue is None:
                queue = SubscriptionQueue(
                    f"webhook-{subscription_id}", self._deliver, lambda: self._settings.webhook_parallel
                )
                self._queues[subscription_id] = queue
                if self._closed.is_set():
                    queue.close()
            return queue

    def _deliver(self, delivery: QueuedDelivery, client: CallbackClient) -> None:
        event, subscription = delivery.event, self._registry.subscriptions[delivery.event.subscription_id]
        if not subscription.delivers:
            event.given_up = not event.acknowledged
            return
        body = delivery.body or self._body_of(event, subscription)
        if not self._settings.webhook_timestamp_renewed:
            delivery.body = body
        secret = subscription.secret + ("-wrong" if delivery.wrong_signature else "")
        result = self._post(client, subscription, body, secret)
        self._record("event", subscription.id, event.id, result)
        delivery.wrong_signature = False
        if not delivery.extra:
            self._finish(delivery, result, subscription)

    def _post(self, client: CallbackClient, subscription: WebhookSubscription, body: bytes, secret: str) -> PostResult:
        headers = {
            "Content-Type": "application/json",
            "User-Agent": self._settings.webhook_user_agent,
            "X-Webhook-Signature-256": sign(secret, body),
        }
        return client.post(subscription.url_callback, body, headers, self._settings.webhook_timeout_seconds)

    def _finish(self, delivery: QueuedDelivery, result: PostResult, subscription: WebhookSubscription) -> None:
        event, waits = delivery.event, self._settings.retry_seconds()
        with self._registry.lock:
            event.attempts += 1
            event.last_attempt = self._registry.world.now()
            event.last_error = result.error
            if result.delivered:
                event.acknowledged = True
                subscription.failures_in_a_row = 0
                return
            event.failures += 1
            if event.failures <= len(waits) and subscription.delivers:
                self._queue(subscription.id).add(delivery, waits[event.failures - 1])
                return
            event.given_up = True
            subscription.failures_in_a_row += 1
            disabled = 0 < self._settings.webhook_disable_after <= subscription.failures_in_a_row
            if disabled:
                subscription.enabled = False
        if disabled:
            self.give_up(subscription.id)

    def _body_of(self, event: WebhookEvent, subscription: WebhookSubscription) -> bytes:
        return write_event(
            event,
            subscription=subscription,
            timestamp=self._timestamp(),
            escape_html=self._settings.webhook_escape_html,
        )

    def _timestamp(self) -> str:
        return nanos_z(self._registry.world.now(), self._dice.randrange(1000))

    def _record(self, kind: str, subscription_id: int, event_id: int, result: PostResult) -> None:
        outcome = "delivered" if result.delivered else "failed"
        with self._lock:
            self._outcomes[f"{kind}_{outcome}"] += 1
            self._attempts.append(
                {
                    "kind": kind,
                    "subscription_id": subscription_id,
                    "event_id": event_id,
                    "status": result.status,
                    "error": result.error,
                }
            )
