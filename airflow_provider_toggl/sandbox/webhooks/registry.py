"""The subscriptions of the workspace and the events that were made for them."""

from __future__ import annotations

import itertools
import random
import threading
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from airflow_provider_toggl.sandbox.webhooks.payloads import MODELS, gives_event, id_of, snapshot
from airflow_provider_toggl.sandbox.workspace.world import World, WorldChange

#: Webhooks, and event filters of each, by plan (support.toggl.com, "API & webhook limits"). Enterprise: invented.
LIMITS = {"free": (1, 3), "starter": (2, 6), "premium": (3, 12), "enterprise": (100, 27)}
#: Toggl tells of what it tried to deliver within this time.
LOG_KEPT = timedelta(days=7)
#: Events that are remembered, about 1.5 kB each, so that a long life is bounded.
MOST_EVENTS = 200_000

Filter = tuple[str, str]


@dataclass
class WebhookSubscription:
    """One webhook; ``validation_code`` is what the callback must say again."""

    id: int
    workspace_id: int
    user_id: int
    description: str
    url_callback: str
    filters: tuple[Filter, ...]
    enabled: bool
    secret: str = field(repr=False)
    validation_code: str = field(repr=False)
    created_at: datetime
    validated_at: datetime | None = None
    updated_at: datetime | None = None
    deleted_at: datetime | None = None
    failures_in_a_row: int = 0

    @property
    def delivers(self) -> bool:
        """Whether events go out: only when it is both enabled and validated."""
        return self.enabled and self.validated_at is not None and self.deleted_at is None

    def wants(self, entity: str, action: str) -> bool:
        """Whether one of its filters lets such an event through."""
        return any(e in ("*", entity) and a in ("*", action) for e, a in self.filters)


@dataclass(slots=True)
class WebhookEvent:
    """One change as told to one subscription; ``metadata`` and ``payload`` are texts of JSON."""

    id: int
    subscription_id: int
    created_at: datetime
    creator_id: int
    entity: str
    action: str
    entity_id: int
    metadata: str = field(repr=False)
    payload: str = field(repr=False)
    acknowledged: bool = False
    given_up: bool = False
    dropped: bool = False
    attempts: int = 0
    failures: int = 0
    last_attempt: datetime | None = None
    last_error: str | None = None


class WebhookRegistry:
    """Subscriptions and events, for the event loop that serves requests and for the threads that deliver.

    :param world: whose changes are made to events.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.lock = threading.RLock()
        self.subscriptions: dict[int, WebhookSubscription] = {}
        self.events: deque[WebhookEvent] = deque(maxlen=MOST_EVENTS)
        self.made = 0
        self._rng = random.Random(world.workspace.id)
        self._last_subscription = 41_200 + world.id_offset
        self._last_event: int | None = None

    def live(self) -> list[WebhookSubscription]:
        """Return the subscriptions that are not deleted."""
        with self.lock:
            return [one for one in self.subscriptions.values() if one.deleted_at is None]

    def limits(self) -> tuple[int, int]:
        """Return how many enabled webhooks the plan has, and how many filters each."""
        return LIMITS[self.world.settings.plan]

    def next_subscription_id(self) -> int:
        """Return an unused id."""
        with self.lock:
            self._last_subscription += 7
            return self._last_subscription

    def draw_hex(self, length: int = 32) -> str:
        """Return a text that nobody guesses who does not know the seed."""
        with self.lock:
            return f"{self._rng.getrandbits(length * 4):0{length}x}"

    def make_events(self, change: WorldChange) -> list[WebhookEvent]:
        """Return the events of a change, one for each subscription that wants it, and remember them."""
        if not self.subscriptions or not gives_event(self.world.settings, change):
            return []
        entity = MODELS[change.kind]
        with self.lock:
            wanting = [one for one in self.live() if one.delivers and one.wants(entity, change.action)]
            if not wanting:
                return []
            metadata, payload = snapshot(self.world, change)
            made = [
                WebhookEvent(
                    id=self._next_event_id(),
                    subscription_id=one.id,
                    created_at=change.at,
                    creator_id=(change.actor or self.world.owner).id,
                    entity=entity,
                    action=change.action,
                    entity_id=id_of(change),
                    metadata=metadata,
                    payload=payload,
                )
                for one in wanting
            ]
            self.events.extend(made)
            self.made += len(made)
        return made

    def events_after(self, count: int) -> list[WebhookEvent]:
        """Return the events that are still remembered, oldest first, without the first so many that were made."""
        with self.lock:
            forgotten = self.made - len(self.events)
            return list(self.events)[max(0, count - forgotten) :]

    def log_of(self, subscription_id: int) -> list[WebhookEvent]:
        """Return what was attempted within the last week, newest first."""
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
