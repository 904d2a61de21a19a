"""Events as rows, the same in every engine: instants as microseconds since 1970, ids of any size as texts."""

from __future__ import annotations

import calendar
import zlib
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

from airflow_provider_toggl.core.errors import EventStoreDamaged
from airflow_provider_toggl.core.events.dedupe import event_key
from airflow_provider_toggl.core.events.store import Consumer, Handshake, Mark, NewEvent, StoredEvent

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)


COLUMNS = (
    "event_key",
    "subscription_id",
    "event_id",
    "conn_id",
    "workspace_id",
    "entity",
    "action",
    "entity_id",
    "created_at",
    "received_at",
    "oddity",
    "body_crc32",
    "body",
)
"""What ``to_row`` gives."""


def to_row(event: NewEvent) -> tuple[Any, ...]:
    """Return the values of an event in the order of ``COLUMNS``; the key tells duplicates."""
    return (
        event_key(event),
        str(event.subscription_id),
        str(event.event_id),
        event.conn_id,
        event.workspace_id,
        event.entity,
        event.action,
        event.entity_id,
        None if event.created_at is None else to_microseconds(event.created_at),
        to_microseconds(event.received_at),
        event.oddity,
        zlib.crc32(event.body),
        event.body,
    )


def from_row(row: Sequence[Any]) -> StoredEvent:
    """Return the event of a row: ``seq``, then what ``to_row`` gives without the key.

    :raises EventStoreDamaged: the body is not what was stored, or another value cannot be what it is.
    """
    seq, subscription_id, event_id, conn_id, workspace_id, entity, action, entity_id, created, received, *rest = row
    oddity, checksum, body = rest
    if not isinstance(body, bytes) or zlib.crc32(body) != checksum:
        raise _changed(seq)
    try:
        event = NewEvent(
            subscription_id=int(subscription_id),
            event_id=int(event_id),
            body=body,
            received_at=from_microseconds(received),
            conn_id=conn_id,
            workspace_id=workspace_id,
            entity=entity,
            action=action,
            entity_id=entity_id,
            created_at=None if created is None else from_microseconds(created),
            oddity=oddity,
        )
    except (TypeError, ValueError, OverflowError):
        raise _changed(seq) from None
    return StoredEvent(seq, event)


def _changed(seq: object) -> EventStoreDamaged:
    return EventStoreDamaged(
        f"Event {seq} is not as it was stored: the disk or somebody changed it. Restore the event store from a backup, "
        f"or delete the row of seq {seq}; what it told comes again with the next pull."
    )


def handshake_from_row(subscription_id: int, row: Sequence[Any]) -> Handshake:
    """Return the handshake of a row: ``conn_id``, ``validation_code``, ``received_at``."""
    conn_id, code, received_at = row
    return Handshake(subscription_id, conn_id, from_any_text(code), from_microseconds(received_at))


def consumer_from_row(row: Sequence[Any]) -> Consumer:
    """Return the reader of a row: ``name``, ``seq``, ``updated_at``."""
    name, seq, updated_at = row
    return Consumer(name, seq, from_microseconds(updated_at))


def mark_from_row(row: Sequence[Any]) -> Mark:
    """Return the mark of a row: ``name``, ``value``, ``made_at``."""
    name, value, made_at = row
    return Mark(name, value, from_microseconds(made_at))


def to_any_text(text: str) -> bytes:
    """Return a text of JSON as bytes: it may hold what no database takes for a text, NUL and lone surrogates."""
    return text.encode("utf-8", "surrogatepass")


def from_any_text(data: bytes) -> str:
    """Return the text that ``to_any_text`` was given."""
    return data.decode("utf-8", "surrogatepass")


def to_microseconds(moment: datetime) -> int:
    """Return microseconds since 1970 of an aware datetime; also of pendulum's, whose differences cannot be divided."""
    return calendar.timegm(moment.utctimetuple()) * 1_000_000 + moment.microsecond


def from_microseconds(number: int) -> datetime:
    """Return the instant, in UTC."""
    return _EPOCH + number * _MICROSECOND
