"""Delivers: PINGs at once, events in the background, first come first served, again when it did not work."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from typing import Any

from airflow_provider_toggl.sandbox.webhooks.bodies import build_ping, encode, nanos_z, sign, write_event
from airflow_provider_toggl.sandbox.webhooks.callback_client import CallbackClient, PostResult
from airflow_provider_toggl.sandbox.webhooks.delivery_faults import DeliveryFault
from airflow_provider_toggl.sandbox.webhooks.registry import WebhookEvent, WebhookRegistry, WebhookSubscription
from airflow_provider_toggl.sandbox.webhooks.subscription_queue import QueuedDelivery, SubscriptionQueue
from airflow_provider_toggl.sandbox.workspace.world import WorldChange

#: Attempts that the control API tells of.
MOST_ATTEMPTS_TOLD = 1000
#: Seconds that closing waits for threads, all in all.
CLOSING_SECONDS = 5.0


class Dispatcher:
    """The deliveries of what a book holds.

    :param book: its subscriptions and events; changes of its world come in by ``on_change``.
    """

    def __init__(self, book: WebhookRegistry) -> None:
        self._book = book
        self._settings = book.world.settings
        self._lock = threading.Lock()
        self._lanes: dict[int, SubscriptionQueue] = {}
        self._pinging: set[CallbackClient] = set()
        self._closed = threading.Event()
        self._dice = random.Random(0)
        self._held: dict[int, list[tuple[QueuedDelivery, float]]] | None = None
        self._mischief: list[DeliveryFault] = []
        self._outcomes: Counter[str] = Counter()
        self._attempts: deque[dict[str, Any]] = deque(maxlen=MOST_ATTEMPTS_TOLD)

    # what goes out

    def on_change(self, change: WorldChange) -> None:
        """Deliver a change of the world to whoever wants it."""
        for event in self._book.make_events(change):
            self._send(event)

    def _send(self, event: WebhookEvent) -> None:
        """Put an event on its way, through whatever was ordered to happen to it."""
        with self._lock:
            struck = {one.kind: one.options for one in self._mischief if one.strikes()}
            if "drop" in struck:
                event.dropped = True
                self._outcomes["dropped"] += 1
                return
        late = struck.get("delay", {}).get("seconds", 0.0)
        if "reorder" in struck:
            late += self._dice.uniform(0.0, struck["reorder"]["seconds"])
        first = QueuedDelivery(event, wrongly_signed="wrong_signature" in struck)
        if "duplicate" in struck:
            first.body = self._body_of(event, self._book.subscriptions[event.subscription_id])
        errands = [(first, late)]
        for kind in ("duplicate", "resend"):
            copy = QueuedDelivery(event, body=first.body if kind == "duplicate" else None, extra=True)
            errands += [(copy, late + struck[kind]["seconds"])] * struck[kind]["copies"] if kind in struck else []
        if self._held is None:
            self._lane(event.subscription_id).add_all(errands)
        else:
            self._held.setdefault(event.subscription_id, []).extend(errands)

    @contextlib.contextmanager
    def holding(self) -> Iterator[None]:
        """Let the events of many changes go out when all are made: couriers would slow the changes down."""
        self._held = {}
        try:
            yield
        finally:
            held, self._held = self._held, None
            for id_, errands in held.items():
                self._lane(id_).add_all(errands)

    def redeliver(self, events: Iterable[WebhookEvent], copies: int = 1) -> int:
        """Send events once more, whatever became of them, and return how many."""
        again: dict[int, list[tuple[QueuedDelivery, float]]] = {}
        for event in events:
            event.dropped = event.given_up = False
            errands = [(QueuedDelivery(event, extra=event.acknowledged), 0.0) for _ in range(copies)]
            again.setdefault(event.subscription_id, []).extend(errands)
        for id_, errands in again.items():
            self._lane(id_).add_all(errands)
        return sum(map(len, again.values()))

    def ping(self, subscription: WebhookSubscription, *, site: str) -> PostResult:
        """Post a PING and return what came of it; blocks. A right answer validates the subscription.

        :param site: the address that the link for validation leads to.
        """
        document = build_ping(subscription, user_id=subscription.user_id, timestamp=self._timestamp(), site=site)
        body = encode(document, escape_html=self._settings.webhook_escape_html)
        courier = CallbackClient()
        with self._lock:
            self._pinging.add(courier)
            if self._closed.is_set():
                courier.abort()
        try:
            posted = self._post(courier, subscription, body, subscription.secret)
        finally:
            with self._lock:
                self._pinging.discard(courier)
            courier.close()
        self._note("ping", subscription.id, 0, posted)
        if subscription.validated_at is None and posted.says_again(subscription.validation_code):
            subscription.validated_at = self._book.world.now()
        return posted

    # what is known of it

    def pending(self, subscription_id: int | None = None) -> int:
        """Return how many deliveries are still to be made."""
        with self._lock:
            lanes = [lane for id_, lane in self._lanes.items() if subscription_id in (None, id_)]
        return sum(lane.pending() for lane in lanes)

    def flush(self, timeout: float) -> int:
        """Wait until nothing is pending, or so many seconds; return what is."""
        deadline = time.monotonic() + timeout
        while (pending := self.pending()) and time.monotonic() < deadline:
            if self._closed.wait(0.005):
                break
        return pending

    def told(self) -> dict[str, Any]:
        """Return counts of outcomes, what is pending, and the last attempts, oldest first."""
        pending = self.pending()
        with self._lock:
            return {"outcomes": dict(self._outcomes), "pending": pending, "attempts": list(self._attempts)}

    # orders

    def arm(self, mischief: DeliveryFault) -> dict[str, Any]:
        """Let something go wrong, and return the order."""
        with self._lock:
            self._mischief.append(mischief)
            return mischief.as_dict()

    def clear(self) -> int:
        """Take all orders back, and return how many there were."""
        with self._lock:
            cleared = len(self._mischief)
            self._mischief.clear()
            return cleared

    def orders(self) -> list[dict[str, Any]]:
        """Return the orders, those too that are used up."""
        with self._lock:
            return [one.as_dict() for one in self._mischief]

    def give_up(self, subscription_id: int) -> None:
        """Give up what waits for a subscription."""
        for errand in self._lane(subscription_id).clear():
            errand.event.given_up = not errand.event.acknowledged

    def close(self) -> None:
        """End the threads; what is pending stays undelivered, what is under way is cut short."""
        self._closed.set()
        with self._lock:
            lanes, pinging = list(self._lanes.values()), list(self._pinging)
        threads = [thread for lane in lanes for thread in lane.close()]
        for courier in pinging:
            courier.abort()
        deadline = time.monotonic() + CLOSING_SECONDS
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    # one delivery

    def _lane(self, subscription_id: int) -> SubscriptionQueue:
        with self._lock:
            lane = self._lanes.get(subscription_id)
            if lane is None:
                lane = SubscriptionQueue(
                    f"webhook-{subscription_id}", self._deliver, lambda: self._settings.webhook_parallel
                )
                self._lanes[subscription_id] = lane
                if self._closed.is_set():
                    lane.close()
            return lane

    def _deliver(self, errand: QueuedDelivery, courier: CallbackClient) -> None:
        event, subscription = errand.event, self._book.subscriptions[errand.event.subscription_id]
        if not subscription.delivers:
            event.given_up = not event.acknowledged
            return
        body = errand.body or self._body_of(event, subscription)
        if not self._settings.webhook_timestamp_renewed:
            errand.body = body
        secret = subscription.secret + ("-wrong" if errand.wrongly_signed else "")
        posted = self._post(courier, subscription, body, secret)
        self._note("event", subscription.id, event.id, posted)
        errand.wrongly_signed = False
        if not errand.extra:
            self._settle(errand, posted, subscription)

    def _post(self, courier: CallbackClient, subscription: WebhookSubscription, body: bytes, secret: str) -> PostResult:
        headers = {
            "Content-Type": "application/json",
            "User-Agent": self._settings.webhook_user_agent,
            "X-Webhook-Signature-256": sign(secret, body),
        }
        return courier.post(subscription.url_callback, body, headers, self._settings.webhook_timeout_seconds)

    def _settle(self, errand: QueuedDelivery, posted: PostResult, subscription: WebhookSubscription) -> None:
        event, waits = errand.event, self._settings.retry_seconds()
        with self._book.lock:
            event.attempts += 1
            event.last_attempt = self._book.world.now()
            event.last_error = posted.error
            if posted.delivered:
                event.acknowledged = True
                subscription.failures_in_a_row = 0
                return
            event.failures += 1
            if event.failures <= len(waits) and subscription.delivers:
                self._lane(subscription.id).add(errand, waits[event.failures - 1])
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
        return nanos_z(self._book.world.now(), self._dice.randrange(1000))

    def _note(self, kind: str, subscription_id: int, event_id: int, posted: PostResult) -> None:
        outcome = "delivered" if posted.delivered else "failed"
        with self._lock:
            self._outcomes[f"{kind}_{outcome}"] += 1
            self._attempts.append(
                {
                    "kind": kind,
                    "subscription_id": subscription_id,
                    "event_id": event_id,
                    "status": posted.status,
                    "error": posted.error,
                }
            )
