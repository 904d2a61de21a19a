"""Events as rows of a database, the same in every engine: instants as microseconds since 1970, large ids as texts."""

from __future__ import annotations

import calendar
import hashlib
import json
import zlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

from airflow_provider_toggl.core.databases.database import Row
from airflow_provider_toggl.core.errors import EventStoreDamaged
from airflow_provider_toggl.core.events.model import (
    Consumer,
    Delivery,
    DeliveryFilter,
    EventType,
    Handshake,
    NewEvent,
    StoredEvent,
)

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)
_LONGEST = 40
"""Digits of an id that are kept as they are: twice those of 64 bits. An index of PostgreSQL takes 2,700 bytes."""

EVENT_COLUMNS = (
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
"""The columns of ``event_to_row``."""


def event_to_row(event: NewEvent) -> Row:
    """Return the values of an event in the order of ``EVENT_COLUMNS``; equal keys are duplicates."""
    return (
        event_key(event),
        str(event.subscription_id),
        str(event.event_id),
        event.conn_id,
        event.workspace_id,
        event.entity,
        event.action,
        event.entity_id,
        to_optional_microseconds(event.created_at),
        to_microseconds(event.received_at),
        event.anomaly,
        zlib.crc32(event.body),
        event.body,
    )


def event_from_row(row: Row) -> StoredEvent:
    """Return the event of a row: ``seq``, then the values of ``event_to_row`` without the key.

    :raises EventStoreDamaged: the body is not what was stored, or another value is of the wrong type.
    """
    seq, *described, checksum, body = row
    if not isinstance(body, bytes) or zlib.crc32(body) != checksum:
        raise _build_changed_error(seq)
    try:
        return StoredEvent(seq, NewEvent(**_describe(described), body=body))
    except (TypeError, ValueError, OverflowError):
        raise _build_changed_error(seq) from None


def delivery_from_row(row: Row) -> Delivery:
    """Return the delivery of a row: as for ``event_from_row``, with the size in place of checksum and body."""
    seq, *described, size = row
    return Delivery(seq=seq, **_describe(described), size=size)


def _describe(values: Sequence[Any]) -> dict[str, Any]:
    """Return what an event and a delivery have in common, by the names of their fields."""
    subscription_id, event_id, conn_id, workspace_id, entity, action, entity_id, created_at, received_at, anomaly = (
        values
    )
    return {
        "subscription_id": int(subscription_id),
        "event_id": int(event_id),
        "conn_id": conn_id,
        "workspace_id": workspace_id,
        "entity": entity,
        "action": action,
        "entity_id": entity_id,
        "created_at": None if created_at is None else from_microseconds(created_at),
        "received_at": from_microseconds(received_at),
        "anomaly": anomaly,
    }


def _build_changed_error(seq: object) -> EventStoreDamaged:
    return EventStoreDamaged(
        f"Event {seq} is not as it was stored: the disk or somebody changed it. Restore the event store from a backup, "
        f"or delete the row of seq {seq}; the next pull loads what it reported."
    )


def event_key(event: NewEvent) -> str:
    """Return a short text that is the same for all deliveries of one event of one subscription, and for no others.

    Toggl's ids decide and not the body, whose ``timestamp`` changes with each attempt. An id of 0 or below identifies
    nothing; there the body decides, without that ``timestamp``. A copy that was requested is an event of its own.
    """
    key = number_key(event.event_id) if event.event_id > 0 else f"body-{_fingerprint(event.body)}"
    if event.copy_of is not None:
        # The copies of one event differ by when they were made.
        key += f"/copy-{event.copy_of}-{event.received_at.timestamp():.6f}"
    return f"{number_key(event.subscription_id)}/{key}"


def number_key(number: int) -> str:
    """Return a short text that stands for a whole number of any size."""
    digits = str(number)
    return digits if len(digits) <= _LONGEST else f"sha256-{hashlib.sha256(digits.encode()).hexdigest()}"


def _fingerprint(body: bytes) -> str:
    """Return a digest of a JSON object without its ``timestamp``. A body that is no JSON object is digested as it is.

    Objects become tuples of all their members, repeated names too, and fractions stay texts, so that no difference
    between two bodies is lost.
    """
    try:
        members = json.loads(body, object_pairs_hook=tuple, parse_float=str.encode, parse_constant=str.encode)
        if isinstance(members, tuple):
            body = repr(tuple(pair for pair in members if pair[0] != "timestamp")).encode()
    except (ValueError, RecursionError):
        pass
    return hashlib.sha256(body).hexdigest()


def handshake_from_row(subscription_id: int, row: Row) -> Handshake:
    """Return the handshake of a row: ``conn_id``, ``validation_code``, ``received_at``."""
    conn_id, code, received_at = row
    return Handshake(subscription_id, conn_id, json_text_from_bytes(code), from_microseconds(received_at))


def consumer_from_row(row: Row) -> Consumer:
    """Return the consumer of a row: ``name``, ``seq``, ``updated_at``."""
    name, seq, updated_at = row
    return Consumer(name, seq, from_microseconds(updated_at))


def event_type_from_key(key: str, conn_id: str) -> EventType:
    """Return the event type that a connection's key stands for."""
    entity, _, action = key[len(conn_id) + 1 :].rpartition(" ")
    return EventType(key, entity or None, action or None)


def filter_values(wanted: DeliveryFilter) -> dict[str, Any]:
    """Return the values of a filter, by their names in SQL."""
    return {
        "conn_id": wanted.conn_id,
        "entity": wanted.entity,
        "action": wanted.action,
        "received_from": to_optional_microseconds(wanted.received_from),
        "received_until": to_optional_microseconds(wanted.received_until),
        "only_anomalies": wanted.only_anomalies,
        **number_values(wanted.number),
    }


def number_values(number: int | None) -> dict[str, Any]:
    """Return an id of Toggl's by its names in SQL: one of an event may have more than 64 bits, no other has."""
    return {
        "number_text": None if number is None else str(number),
        "number": number if number is not None and -(2**63) <= number < 2**63 else None,
    }


def escape_event(event: NewEvent) -> NewEvent:
    """Return an event whose descriptive texts are in ASCII, for databases of a narrow encoding."""
    return replace(
        event,
        entity=escape_text(event.entity),
        action=escape_text(event.action),
        anomaly=escape_text(event.anomaly),
    )


def escape_text(text: str | None) -> str | None:
    """Return a text in ASCII, with escapes for other characters."""
    return None if text is None else text.encode("ascii", "backslashreplace").decode()


def json_text_to_bytes(text: str) -> bytes:
    """Return a text of JSON as bytes: it may have NUL and lone surrogates, which no database takes in a text."""
    return text.encode("utf-8", "surrogatepass")


def json_text_from_bytes(data: bytes) -> str:
    """Return the text that ``json_text_to_bytes`` has encoded."""
    return data.decode("utf-8", "surrogatepass")


def to_microseconds(moment: datetime) -> int:
    """Return microseconds since 1970 of an aware datetime, also of one of pendulum."""
    if type(moment) is datetime and moment.tzinfo is not None:
        # Three times as fast, and called twice for each event that is stored.
        since = moment - _EPOCH
        return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    return calendar.timegm(moment.utctimetuple()) * 1_000_000 + moment.microsecond


def to_optional_microseconds(moment: datetime | None) -> int | None:
    """Return microseconds since 1970, None for None."""
    return None if moment is None else to_microseconds(moment)


def from_microseconds(number: int) -> datetime:
    """Return the instant, in UTC."""
    return _EPOCH + number * _MICROSECOND
