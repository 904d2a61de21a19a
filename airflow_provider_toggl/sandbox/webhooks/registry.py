"""The subscriptions of the workspace, and the events that changes of the world create for them."""

from __future__ import annotations

import itertools
import random
import threading
from collections import deque
from datetime import timedelta

from airflow_provider_toggl.sandbox.webhooks.payloads import ENTITY_OF_KIND, entity_id_of, gives_event, snapshot
from airflow_provider_toggl.sandbox.webhooks.records import WebhookEvent, WebhookSubscription
from airflow_provider_toggl.sandbox.workspace.world import World, WorldChange

#: Webhooks, and event filters of each, by plan (support.toggl.com, "API & webhook limits"). Enterprise: invented.
LIMITS = {"free": (1, 3), "starter": (2, 6), "premium": (3, 12), "enterprise": (100, 27)}
#: Toggl's log of events covers this time.
LOG_KEPT = timedelta(days=7)
#: Events kept in memory, about 1.5 kB each.
MOST_EVENTS = 200_000


class WebhookRegistry:
    """Holds subscriptions and events; safe for the server's event loop and the threads that deliver.

    :param world: its changes become events.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.lock = threading.RLock()
        self.subscriptions: dict[int, WebhookSubscription] = {}
        self.events: deque[WebhookEvent] = deque(maxlen=MOST_EVENTS)
        self.created = 0
        self._rng = random.Random(world.workspace.id)
        self._last_subscription = 41_200 + world.id_offset
        self._last_event: int | None = None

    def live(self) -> list[WebhookSubscription]:
        """Return the subscriptions that are not deleted."""
        with self.lock:
            return [one for one in self.subscriptions.values() if one.deleted_at is None]

    def limits(self) -> tuple[int, int]:
        """Return how many enabled webhooks the plan allows, and how many filters each may have."""
        return LIMITS[self.world.settings.plan]

    def next_subscription_id(self) -> int:
        """Return an unused id."""
        with self.lock:
            self._last_subscription += 7
            return self._last_subscription

    def draw_hex(self, length: int = 32) -> str:
        """Return a random text of hex digits, the same ones in the same world."""
        with self.lock:
            return f"{self._rng.getrandbits(length * 4):0{length}x}"

    def create_events(self, change: WorldChange) -> list[WebhookEvent]:
        """Create and keep the events of a change: one for each subscription whose filters match it."""
        if not self.subscriptions or not gives_event(self.world.settings, change):
            return []
        entity = ENTITY_OF_KIND[change.kind]
        with self.lock:
            wanting = [one for one in self.live() if one.delivers and one.wants(entity, change.action)]
            if not wanting:
                return []
            metadata, payload = snapshot(self.world, change)
            events = [
                WebhookEvent(
                    id=self._next_event_id(),
                    subscription_id=one.id,
                    created_at=change.at,
                    creator_id=(change.actor or self.world.owner).id,
                    entity=entity,
                    action=change.action,
                    entity_id=entity_id_of(change),
                    metadata=metadata,
                    payload=payload,
                )
                for one in wanting
            ]
            self.events.extend(events)
            self.created += len(events)
        return events

    def events_after(self, count: int) -> list[WebhookEvent]:
        """Return the events that are still kept, oldest first, without the first ``count`` that were ever created."""
        with self.lock:
            forgotten = self.created - len(self.events)
            return list(self.events)[max(0, count - forgotten) :]

    def log_of(self, subscription_id: int) -> list[WebhookEvent]:
        """Return the events of the last week with an attempt to deliver them, newest first."""
        since = self.world.now() - LOG_KEPT
        with self.lock:
            recent = itertools.takewhile(lambda event: event.created_at >= since, reversed(self.events))
            return [event for event in recent if event.subscription_id == subscription_id and event.attempts]

    def _next_event_id(self) -> int:
        if self._last_event is None:
            self._last_event = self.world.settings.webhook_first_event_id
        else:
            self._last_event += 1 + self._rng.randrange(64)
        return self._last_event
