"""Subscriptions and events as plain records."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

#: Entity and action of an event filter; ``*`` matches all.
Filter = tuple[str, str]


@dataclass
class WebhookSubscription:
    """One subscription.

    :param validation_code: what the callback must answer to a PING to be validated.
    :param failures_in_a_row: events given up since the last delivered one.
    """

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
        """Return whether events are delivered: only if it is enabled and validated."""
        return self.enabled and self.validated_at is not None and self.deleted_at is None

    def wants(self, entity: str, action: str) -> bool:
        """Return whether one of its filters matches such an event."""
        return any(e in ("*", entity) and a in ("*", action) for e, a in self.filters)


@dataclass(slots=True)
class WebhookEvent:
    """One change, for one subscription.

    :param metadata: JSON text.
    :param payload: JSON text.
    :param acknowledged: whether the callback answered with 2xx.
    :param given_up: whether no further attempt follows.
    :param dropped: whether an injected fault swallowed it.
    """

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
