"""Events that Toggl attempted to deliver, from its log into the event store."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from typing import Any

from airflow_provider_toggl.core.client.resources.webhooks import LogPage, Webhooks
from airflow_provider_toggl.core.clock import Clock, SystemClock, utc
from airflow_provider_toggl.core.errors import DeliveryRefused
from airflow_provider_toggl.core.events.message import parse_message
from airflow_provider_toggl.core.events.store import EventStore, NewEvent
from airflow_provider_toggl.core.log_fields import fields, log_line

log = logging.getLogger(__name__)

ReadRow = Callable[[dict[str, Any]], "NewEvent | None"]

#: What a replayed event is marked with: its bytes are ours, and no signature was over them.
REPLAYED = "replayed from Toggl's log"

# What a delivery has, in its order; the log has more, which tells of the attempts to deliver.
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
class Replay:
    """How far a replay is, and what came of it.

    :param offset: rows of the log that were read.
    :param served: whether Toggl serves the log.
    :param total: how many rows the log had at first, None where it does not say.
    :param distinct: different events among those that were read.
    :param appended: events that the store did not have.
    :param pings: rows that tell no change.
    :param unusable: rows that are no events.
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
        """Whether everything that the log had was read."""
        return self.served and self.distinct >= (self.total or 0)

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {**asdict(self), "complete": self.is_complete}


def replay_log(
    webhooks: Webhooks,
    store: EventStore,
    subscription_id: int,
    *,
    conn_id: str,
    state: Replay,
    clock: Clock | None = None,
) -> None:
    """Append to the store what Toggl's log has and the store has not.

    The pages' size and order are not documented, so reading ends where nothing new comes.

    :param conn_id: the connection that the events are stored for.
    :param state: where to begin; it is moved with every page, so that a run that is stopped can go on.
    """
    clock = clock or SystemClock()
    seen: set[str] = set()
    with fields(connection=conn_id, workspace_id=webhooks.workspace_id, subscription_id=subscription_id, by="replay"):
        while (page := webhooks.find_log_page(subscription_id, state.offset)) is not None:
            fresh = [row for row in page.events if _mark(row) not in seen]
            seen.update(map(_mark, fresh))
            if not fresh:
                return
            now = utc(clock.now())
            read = partial(event_from_log, subscription_id=subscription_id, conn_id=conn_id, received_at=now)
            _append(store, fresh, read, state)
            _move(state, page, len({*map(_mark, fresh)}))
            if page.total is not None and state.offset >= page.total:
                return
    state.served = False


def event_from_log(
    row: dict[str, Any], *, subscription_id: int, conn_id: str, received_at: datetime
) -> NewEvent | None:
    """Return the event of a row of Toggl's log, None for a PING.

    :raises DeliveryRefused: it is no event.
    """
    known = {**row, "subscription_id": subscription_id}
    body = json.dumps({key: known[key] for key in _DELIVERED if key in known}, separators=(",", ":")).encode()
    message = parse_message(body)
    if message.is_ping:
        return None
    return NewEvent(
        subscription_id=subscription_id,
        event_id=message.event_id,
        body=body,
        received_at=received_at,
        conn_id=conn_id,
        workspace_id=message.workspace_id,
        entity=message.entity,
        action=message.action,
        entity_id=message.entity_id,
        created_at=message.created_at,
        oddity="; ".join((REPLAYED, *message.oddities)),
    )


def _append(store: EventStore, rows: Iterable[dict[str, Any]], read: ReadRow, state: Replay) -> None:
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


def _move(state: Replay, page: LogPage, fresh: int) -> None:
    state.pages += 1
    state.offset += len(page.events)
    state.distinct += fresh
    state.total = page.total if state.total is None else state.total
    log_line(
        log,
        "Page %d of Toggl's log: %d of %s events read, %d of them missing here.",
        state.pages,
        state.offset,
        "an unknown number of" if page.total is None else page.total,
        state.appended,
        pages=state.pages,
        rows=state.appended,
    )


def _mark(row: dict[str, Any]) -> str:
    """Return what tells a row from others: its event id, and for PINGs, which have none, all of it."""
    number = row.get("event_id")
    return str(number) if number else json.dumps(row, sort_keys=True)
