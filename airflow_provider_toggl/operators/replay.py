"""Copies events that Toggl tried to deliver from Toggl's log into the event store."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_provider_toggl.core.client.resources.webhooks import DeliveryLogPage, WebhooksClient
from airflow_provider_toggl.core.clock import Clock, SystemClock, utc
from airflow_provider_toggl.core.errors import DeliveryRefused
from airflow_provider_toggl.core.events.message import parse_message
from airflow_provider_toggl.core.events.model import NewEvent
from airflow_provider_toggl.core.log_fields import fields, log_line

if TYPE_CHECKING:
    from airflow_provider_toggl.core.events.store import EventStore

log = logging.getLogger(__name__)

ReadRow = Callable[[dict[str, Any]], "NewEvent | None"]

#: Mark of a replayed event: its body was rebuilt from the log and never had a signature.
REPLAYED = "replayed from Toggl's log"

# The fields of a delivery, in its order. The log has more, about the attempts to deliver.
_DELIVERED = (
    "event_id",
    "created_at",
    "creator_id",
    "metadata",
    "payload",
    "subscription_id",
    "timestamp",
    "url_callback",
)


@dataclass
class ReplayProgress:
    """Progress and counts of a replay.

    :param offset: rows of the log that were read.
    :param served: whether Toggl has the log.
    :param total: rows of the log at the start, None if Toggl does not report it.
    :param distinct: different events among those that were read.
    :param appended: events that the store did not have.
    :param duplicates: events that the store had already.
    :param pings: rows that are PINGs.
    :param unusable: rows that are not events.
    """

    offset: int = 0
    served: bool = True
    total: int | None = None
    distinct: int = 0
    pages: int = 0
    appended: int = 0
    duplicates: int = 0
    pings: int = 0
    unusable: int = 0

    @property
    def is_complete(self) -> bool:
        """Whether the whole log was read."""
        return self.served and self.distinct >= (self.total or 0)

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as plain values."""
        return {**asdict(self), "complete": self.is_complete}


def replay_log(
    webhooks: WebhooksClient,
    store: EventStore,
    subscription_id: int,
    *,
    conn_id: str,
    state: ReplayProgress,
    clock: Clock | None = None,
) -> None:
    """Append the events of Toggl's log that the store does not have.

    The size and order of pages are not documented, so reading ends with a page that contains nothing new.

    :param conn_id: the connection that the events are stored for.
    :param state: where to start. It is updated after every page, so that an interrupted run can continue.
    """
    clock = clock or SystemClock()
    seen: set[str] = set()
    with fields(connection=conn_id, workspace_id=webhooks.workspace_id, subscription_id=subscription_id, by="replay"):
        while (page := webhooks.find_log_page(subscription_id, state.offset)) is not None:
            fresh = [row for row in page.events if _row_key(row) not in seen]
            seen.update(map(_row_key, fresh))
            if not fresh:
                return
            now = utc(clock.now())
            read = partial(event_from_log, subscription_id=subscription_id, conn_id=conn_id, received_at=now)
            _append(store, fresh, read, state)
            _advance(state, page, len({*map(_row_key, fresh)}))
            if page.total is not None and state.offset >= page.total:
                return
    state.served = False


def event_from_log(
    row: dict[str, Any], *, subscription_id: int, conn_id: str, received_at: datetime
) -> NewEvent | None:
    """Return the event of a row of Toggl's log, None for a PING.

    :raises DeliveryRefused: the row is not an event.
    """
    known = {**row, "subscription_id": subscription_id}
    body = json.dumps({key: known[key] for key in _DELIVERED if key in known}, separators=(",", ":")).encode()
    message = parse_message(body)
    return None if message.is_ping else message.to_event(body, received_at, conn_id, REPLAYED)


def _append(store: EventStore, rows: Iterable[dict[str, Any]], read: ReadRow, state: ReplayProgress) -> None:
    events: list[NewEvent] = []
    for row in rows:
        try:
            event = read(row)
        except DeliveryRefused:
            state.unusable += 1
            continue
        if event is None:
            state.pings += 1
        else:
            events.append(event)
    appended = store.append(events) if events else []
    duplicates = sum(one.duplicate for one in appended)
    state.appended += len(appended) - duplicates
    state.duplicates += duplicates


def _advance(state: ReplayProgress, page: DeliveryLogPage, fresh: int) -> None:
    state.pages += 1
    state.offset += len(page.events)
    state.distinct += fresh
    state.total = page.total if state.total is None else state.total
    log_line(
        log,
        "Page %d of Toggl's log: %d of %s events read, %d of them new.",
        state.pages,
        state.offset,
        "an unknown number of" if page.total is None else page.total,
        state.appended,
        pages=state.pages,
        rows=state.appended,
    )


def _row_key(row: dict[str, Any]) -> str:
    """Return a key of a row: its event ID, or the whole row for a PING, which has none."""
    number = row.get("event_id")
    return str(number) if number else json.dumps(row, sort_keys=True)
