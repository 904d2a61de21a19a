"""What is recorded about a connection. :mod:`diagnosis` judges it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from airflow_provider_toggl.core.client.limits.state import ClaimedShare
from airflow_provider_toggl.core.operate.findings import to_json
from airflow_provider_toggl.core.operate.health.records import LastReconciliation, SubscriptionState
from airflow_provider_toggl.core.operate.health.waiting import WaitingTask

_JSON_NAMES = {
    "lanes": "quota",
    "shares": "requests_by_task",
    "listed_at": "subscriptions_listed_at",
    "refused": "refused_last_day",
    "approvals": "mass_deletion_approved",
}
MAX_PENDING = 500
"""Pending events are counted up to this number."""


@dataclass(frozen=True)
class StreamFreshness:
    """The freshness of a stream in a warehouse.

    :param watermark: every change before it, by Toggl's clock, is loaded; None during the first load.
    :param ran_at: the time of the last load.
    :param event_at: when the newest event of the stream was received, None if the store has none.
    :param warehouse: connection and schema.
    :param skipped: why Toggl refused the stream at the last load; empty if it did not.
    """

    stream: str
    workspace_id: int
    watermark: datetime | None
    ran_at: datetime | None
    event_at: datetime | None
    warehouse: str = ""
    skipped: str = ""


@dataclass(frozen=True)
class LaneQuota:
    """The quota left in a lane, as last reported.

    :param total: requests of a window. Until Toggl reports it, the highest number ever left, plus one.
    :param resets_at: None: the window starts with the next request.
    """

    lane: str
    total: int | None
    remaining: int | None
    resets_at: datetime | None


@dataclass(frozen=True)
class ConsumerPosition:
    """The position of a named consumer of the event store.

    :param behind: events after its position.
    :param oldest_pending_at: when the oldest pending event was received, None if there is none.
    :param loads_into: the warehouse that it loads this connection's events into, None for another consumer.
    :param pending: events of this connection that it has still to load, counted up to ``MAX_PENDING``.
    """

    name: str
    seq: int
    behind: int
    updated_at: datetime
    oldest_pending_at: datetime | None = None
    loads_into: str | None = None
    pending: int = 0


@dataclass(frozen=True)
class DeclaredSubscription:
    """The subscription that a task last declared for a connection."""

    description: str
    enabled: bool = True


@dataclass(frozen=True)
class Health:
    """Everything that is recorded about a connection.

    :param at: when this was collected.
    :param receives: whether this host's receiver accepts deliveries for the connection.
    :param declared: the subscription that a task last declared, None if no task did.
    :param subscriptions: None if they were never requested from Toggl.
    :param listed_at: when Toggl listed them.
    :param last_delivery: when the last delivery was stored, None if there is none.
    :param refused: deliveries refused in the last 24 hours.
    :param consumers: consumers of the event store that read this connection's events.
    :param approvals: workspaces for which a person approved one mass deletion.
    :param waiting: tasks that wait for Toggl, by the end of their wait.
    :param unknown: for each part that could not be read, the reason.
    """

    conn_id: str
    at: datetime
    workspace_id: int | None = None
    receives: bool = False
    has_secret: bool = False
    declared: DeclaredSubscription | None = None
    subscriptions: tuple[SubscriptionState, ...] | None = None
    listed_at: datetime | None = None
    last_delivery: datetime | None = None
    last_seq: int = 0
    refused: int = 0
    streams: tuple[StreamFreshness, ...] = ()
    lanes: tuple[LaneQuota, ...] = ()
    shares: tuple[ClaimedShare, ...] = ()
    reconciliations: tuple[LastReconciliation, ...] = ()
    consumers: tuple[ConsumerPosition, ...] = ()
    approvals: tuple[int, ...] = ()
    waiting: tuple[WaitingTask, ...] = ()
    unknown: dict[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain JSON, times as RFC 3339."""
        return {_JSON_NAMES.get(name, name): to_json(value) for name, value in vars(self).items()}
