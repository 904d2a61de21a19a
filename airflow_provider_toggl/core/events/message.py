"""Parse webhook bodies: one into a ``Message``, those of consecutive events into an ``EventBatch``.

Field names and forms are those of engineering.toggl.com/docs/webhooks_start and of real bodies that other projects
published.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NoReturn

from airflow_provider_toggl.core.errors import DeliveryRefused
from airflow_provider_toggl.core.events.entities import ACTIONS, ENTITIES
from airflow_provider_toggl.core.events.model import NewEvent, StoredEvent
from airflow_provider_toggl.core.instants import parse_instant

MAX_DEPTH = 64
"""Most levels of nested objects and arrays. Toggl's bodies have 3."""

_WORD = re.compile(r"[A-Za-z0-9_]{1,64}", re.ASCII)
_DIGITS = re.compile(r"-?[0-9]{1,19}", re.ASCII)
_INT64 = range(-(2**63), 2**63)


@dataclass(frozen=True)
class Message:
    """A parsed body. Times are aware and UTC; ids have 64 bits, except ``event_id`` and ``subscription_id``.

    :param event_id: Toggl's id of the event, normally 0 for a PING.
    :param is_ping: whether it is a PING, which reports no change.
    :param validation_code: of a PING to a subscription that is not validated yet, else None.
    :param entity: Toggl's name for what changed, None where it is missing or malformed.
    :param entity_id: id of what changed, from the payload, else from the metadata.
    :param created_at: when it happened, by Toggl's clock.
    :param payload: the object that changed, empty where the body has none, as may a ``deleted`` event.
    :param anomalies: what is unusual, a few words each. The event is stored nevertheless.
    :param transitions: those that matched a filter, see ``transitions.TRANSITIONS``; filled in by ``search``.
    """

    event_id: int
    subscription_id: int
    is_ping: bool = False
    validation_code: str | None = None
    entity: str | None = None
    action: str | None = None
    entity_id: int | None = None
    workspace_id: int | None = None
    created_at: datetime | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    payload: dict[str, Any] = field(default_factory=dict)
    anomalies: tuple[str, ...] = ()
    transitions: tuple[str, ...] = ()

    def to_event(self, body: bytes, received_at: datetime, conn_id: str, *anomalies: str) -> NewEvent:
        """Return the event to store.

        :param body: the bytes that it was parsed from.
        :param anomalies: what is unusual beside its own anomalies, and is recorded before them.
        """
        return NewEvent(
            subscription_id=self.subscription_id,
            event_id=self.event_id,
            body=body,
            received_at=received_at,
            conn_id=conn_id,
            workspace_id=self.workspace_id,
            entity=self.entity,
            action=self.action,
            entity_id=self.entity_id,
            created_at=self.created_at,
            anomaly="; ".join((*anomalies, *self.anomalies)) or None,
        )


def parse_message(body: bytes) -> Message:
    """Parse a body whose signature was verified.

    :raises DeliveryRefused: it is not JSON (``NaN`` is not), not an object, nested too deeply, or without an integer
        ``event_id`` and ``subscription_id``. Anything else that is wrong becomes an anomaly.
    """
    document, repeated = _decode(body)
    event_id, subscription_id = (_identifier(document, name) for name in ("event_id", "subscription_id"))
    anomalies = [f"{name} more than once" for name in sorted(repeated)]
    if document.get("payload") == "ping":
        code = document.get("validation_code")
        if event_id != 0:
            anomalies.append("a ping with an event_id")
        return Message(
            event_id,
            subscription_id,
            is_ping=True,
            validation_code=code if isinstance(code, str) and code else None,
            created_at=_instant(document.get("created_at"), anomalies),
            metadata=_object(document, "metadata", []),
            anomalies=tuple(anomalies),
        )
    if event_id <= 0:
        anomalies.append("event_id is not positive")
    metadata, payload = _object(document, "metadata", anomalies), _object(document, "payload", anomalies)
    entity, action = _word(metadata, "model", ENTITIES, anomalies), _word(metadata, "action", ACTIONS, anomalies)
    entity_id = _first_id(
        (payload.get("id"), metadata.get(f"{entity}_id") if entity else None, metadata.get("entity_id"))
    )
    if entity_id is None:
        anomalies.append("no id of what changed")
    return Message(
        event_id,
        subscription_id,
        entity=entity,
        action=action,
        entity_id=entity_id,
        workspace_id=_first_id((payload.get("workspace_id"), payload.get("wid"), metadata.get("workspace_id"))),
        created_at=_instant(document.get("created_at"), anomalies),
        metadata=metadata,
        payload=payload,
        anomalies=tuple(anomalies),
    )


def parse_stored_message(event: NewEvent) -> Message:
    """Return the message of an event; if it cannot be parsed, one with only its ids and an anomaly. Never raises."""
    try:
        return parse_message(event.body)
    except DeliveryRefused as refused:
        return Message(event.event_id, event.subscription_id, anomalies=(f"unreadable: {refused}",))


@dataclass(frozen=True)
class EventBatch:
    """Consecutive events of the store, at least one.

    :param messages: their parsed messages, one for each event.
    :param first_seq: the ``seq`` of the first one.
    :param last_seq: the ``seq`` of the last one.
    """

    events: tuple[StoredEvent, ...]
    messages: tuple[Message, ...]
    first_seq: int
    last_seq: int

    def after(self, seq: int) -> EventBatch:
        """Return the part after a ``seq`` below the last one, the batch itself if all of it comes after."""
        if seq < self.first_seq:
            return self
        start = bisect_right([event.seq for event in self.events], seq)
        return EventBatch(self.events[start:], self.messages[start:], self.events[start].seq, self.last_seq)


def build_event_batch(events: Sequence[StoredEvent]) -> EventBatch:
    """Return the batch of some events, at least one."""
    messages = tuple(parse_stored_message(stored.event) for stored in events)
    return EventBatch(tuple(events), messages, events[0].seq, events[-1].seq)


def _decode(body: bytes) -> tuple[dict[str, Any], set[str]]:
    """Return the object, and which important keys of its first level occur more than once."""
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH:
        _check_depth(body)
    pairs: list[tuple[str, Any]] = []

    def build(found: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal pairs
        pairs = found  # the outermost object is built last
        return dict(found)

    try:
        document = json.loads(body.decode(), object_pairs_hook=build, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        # Not chained: a JSON error holds the whole body.
        raise _refused("The body is not JSON.") from None
    if not isinstance(document, dict):
        raise _refused("The body is JSON but not an object.")
    names = [name for name, _ in pairs]
    return document, {name for name in ("event_id", "subscription_id", "payload", "metadata") if names.count(name) > 1}


def _check_depth(body: bytes) -> None:
    """Refuse a body that is nested too deeply. Brackets within strings do not count."""
    depth, quoted, escaped = 0, False, False
    for byte in body:
        if quoted:
            if escaped:
                escaped = False
            elif byte == 0x5C:
                escaped = True
            elif byte == 0x22:
                quoted = False
        elif byte == 0x22:
            quoted = True
        elif byte in b"[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise _refused(f"The body has more than {MAX_DEPTH} nested levels.")
        elif byte in b"]}":
            depth -= 1


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _refused(message: str) -> DeliveryRefused:
    return DeliveryRefused(message, outcome="malformed", status=400)


def _identifier(document: dict[str, Any], name: str) -> int:
    value = document.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise _refused(f"The body has no integer {name}.")
    return value


def _object(document: dict[str, Any], name: str, anomalies: list[str]) -> dict[str, Any]:
    value = document.get(name)
    if isinstance(value, dict):
        return value
    if value is not None:
        anomalies.append(f"{name} is not an object")
    elif name == "metadata":
        anomalies.append("no metadata")
    return {}


def _word(metadata: dict[str, Any], name: str, known: tuple[str, ...], anomalies: list[str]) -> str | None:
    value = metadata.get(name)
    if not isinstance(value, str) or not _WORD.fullmatch(value):
        anomalies.append(f"no valid {name}")
        return None
    if value not in known:
        anomalies.append(f"unknown {name}")
    return value


def _first_id(values: Iterable[Any]) -> int | None:
    """Return the first id: an integer of 64 bits, or its digits as text, as in the metadata."""
    for value in values:
        if isinstance(value, str) and _DIGITS.fullmatch(value):
            number = int(value)
        elif isinstance(value, int) and not isinstance(value, bool):
            number = value
        else:
            continue
        if number in _INT64:
            return number
    return None


def _instant(value: Any, anomalies: list[str]) -> datetime | None:
    if isinstance(value, str):
        try:
            return parse_instant(value)
        except ValueError:
            pass
    anomalies.append("no valid created_at")
    return None
