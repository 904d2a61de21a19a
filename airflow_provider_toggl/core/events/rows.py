"""Events as rows, the same in every engine: instants as microseconds since 1970, ids of any size as texts."""

from __future__ import annotations

import calendar
import json
import zlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any, TypeVar

from airflow_provider_toggl.core.errors import EventStoreDamaged
from airflow_provider_toggl.core.events.dedupe import event_key
from airflow_provider_toggl.core.events.listing import Delivery, DeliveryFilter, Kind
from airflow_provider_toggl.core.events.logbook import (
    LONGEST_REASON,
    KeptRefusal,
    Note,
    RefusalFilter,
    Refused,
    Sample,
)
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


T = TypeVar("T", NewEvent, Refused)


def escape_texts(stored: T) -> T:
    """Return an event or a refusal whose descriptive texts are in ASCII, for narrow encodings."""
    texts = {name: getattr(stored, name, None) for name in ("entity", "action", "oddity", "reason")}
    escaped = {name: text.encode("ascii", "backslashreplace").decode() for name, text in texts.items() if text}
    return replace(stored, **escaped)


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


def delivery_from_row(row: Sequence[Any]) -> Delivery:
    """Return the delivery of a row: as ``from_row`` takes, but for the size in place of checksum and body."""
    seq, subscription_id, event_id, conn_id, workspace_id, entity, action, entity_id, created, received, *rest = row
    oddity, size = rest
    return Delivery(
        seq=seq,
        subscription_id=int(subscription_id),
        event_id=int(event_id),
        conn_id=conn_id,
        workspace_id=workspace_id,
        entity=entity,
        action=action,
        entity_id=entity_id,
        created_at=None if created is None else from_microseconds(created),
        received_at=from_microseconds(received),
        oddity=oddity,
        size=size,
    )


def filter_values(wanted: DeliveryFilter) -> dict[str, Any]:
    """Return the values of a filter by the names that queries have for them."""
    return {
        "conn_id": wanted.conn_id,
        "entity": wanted.entity,
        "action": wanted.action,
        "received_from": None if wanted.received_from is None else to_microseconds(wanted.received_from),
        "received_until": None if wanted.received_until is None else to_microseconds(wanted.received_until),
        "odd": wanted.odd,
        **number_values(wanted.number),
    }


def number_values(number: int | None) -> dict[str, Any]:
    """Return an id of Toggl's as queries take it: one of an event may have more than 64 bits, any other has not."""
    return {
        "number_text": None if number is None else str(number),
        "number": number if number is not None and -(2**63) <= number < 2**63 else None,
    }


def kind_range(conn_id: str) -> dict[str, str]:
    """Return the texts between which the kinds of a connection are: connection, entity and action, a space between."""
    return {"first": f"{conn_id} ", "last": f"{conn_id}!"}


def kind_from_row(row: Sequence[Any], conn_id: str) -> Kind:
    """Return the kind of a row: its text."""
    (key,) = row
    entity, _, action = key[len(conn_id) + 1 :].rpartition(" ")
    return Kind(key, entity or None, action or None)


def refusal_values(conn_id: str, wanted: RefusalFilter, *, before: int | None, limit: int) -> dict[str, Any]:
    """Return the values of the query that lists refusals, by name."""
    return {
        "conn_id": conn_id,
        "before": 2**63 - 1 if before is None else before,
        "limit": limit,
        "rejected": wanted.rejected,
        "lowest": wanted.lowest,
        "highest": wanted.highest,
        "entity": wanted.entity,
        "action": wanted.action,
        "from": None if wanted.at_from is None else to_microseconds(wanted.at_from),
        "until": None if wanted.at_until is None else to_microseconds(wanted.at_until),
        **number_values(wanted.number),
    }


def refusal_to_row(refused: Refused) -> tuple[Any, ...]:
    """Return the values of a refusal: what, how often, of which event, how large, about what, and when."""
    # No database takes a NUL in a text.
    reason = refused.reason[:LONGEST_REASON].replace("\0", " ").encode("utf-8", "replace").decode()
    event_id = None if refused.event_id is None else str(refused.event_id)
    about = refused.entity, refused.action, refused.entity_id, event_id
    moments = to_microseconds(refused.first_at), to_microseconds(refused.last_at)
    return refused.conn_id, refused.outcome, reason, refused.times, refused.seq, refused.size, *about, *moments


def refusal_from_row(row: Sequence[Any]) -> KeptRefusal:
    """Return the refusal of a row: its number, then what ``refusal_to_row`` gives."""
    number, conn_id, outcome, reason, times, seq, size, entity, action, entity_id, event_id, first_at, last_at = row
    refused = Refused(
        conn_id,
        outcome,
        reason,
        times,
        from_microseconds(first_at),
        from_microseconds(last_at),
        size=size,
        seq=seq,
        entity=entity,
        action=action,
        entity_id=entity_id,
        event_id=None if event_id is None else int(event_id),
    )
    return KeptRefusal(number, refused)


def note_from_row(row: Sequence[Any]) -> Note:
    """Return the note of a row: ``name``, ``value``, ``noted_at``."""
    name, value, noted_at = row
    return Note(name, json.loads(value), from_microseconds(noted_at))


def sample_from_row(row: Sequence[Any]) -> Sample:
    """Return the number of a row: ``name``, ``at``, ``value``."""
    name, at, value = row
    return Sample(name, from_microseconds(at), value)


def to_any_text(text: str) -> bytes:
    """Return a text of JSON as bytes: it may hold what no database takes for a text, NUL and lone surrogates."""
    return text.encode("utf-8", "surrogatepass")


def from_any_text(data: bytes) -> str:
    """Return the text that ``to_any_text`` was given."""
    return data.decode("utf-8", "surrogatepass")


def to_microseconds(moment: datetime) -> int:
    """Return microseconds since 1970 of an aware datetime; also of pendulum's, whose differences are none."""
    if type(moment) is datetime and moment.tzinfo is not None:
        # Three times as fast, and asked twice for each event that is stored.
        since = moment - _EPOCH
        return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    return calendar.timegm(moment.utctimetuple()) * 1_000_000 + moment.microsecond


def from_microseconds(number: int) -> datetime:
    """Return the instant, in UTC."""
    return _EPOCH + number * _MICROSECOND
