"""The entities of webhooks: their streams, their bodies as msgspec types, and the user who caused an event."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from airflow_provider_toggl.core.load.decode.shapes import MEMBERS, OBJECTS, Field, Shape
from airflow_provider_toggl.core.streams import STREAM_BY_ENTITY

SKIPPED_ENTITIES = frozenset({"workspace"})
"""Entities of webhooks that no table keeps."""

_DIGITS = 19


@dataclass(frozen=True)
class EventShape:
    """How webhooks write the objects of a stream.

    :param payload: the shape of the object.
    :param identity: the fields of ``id``, ``workspace_id``, ``at`` and ``deleted_at``.
    :param required: the fields without which a payload is not the whole object.
    :param decoder: decodes a body; its ``payload`` is the object, or None, and ``metadata`` and ``creator_id`` are raw.
    """

    payload: Shape
    identity: tuple[Field, ...]
    required: tuple[Field, ...]
    decoder: msgspec.json.Decoder[Any]

    @property
    def stream(self) -> str:
        """The stream of the objects."""
        return self.payload.stream

    @property
    def is_dated(self) -> bool:
        """Whether the time of the last update counts. The list of users has none, so it cannot be compared."""
        return self.stream != "users"


def _build_shape(entity: str, stream: str) -> EventShape:
    payload = MEMBERS if entity == "workspace_user" else OBJECTS[stream]
    # Raw: a wrong user must not make the whole event unreadable.
    raw = [(name, msgspec.Raw, msgspec.Raw()) for name in ("metadata", "creator_id")]
    body = msgspec.defstruct(f"{entity}_body", [("payload", payload.struct | None, None), *raw], gc=False)
    identity = tuple(map(payload.field, ("id", "workspace_id", "at", "deleted_at")))
    required = tuple(map(payload.field, payload.required))
    return EventShape(payload, identity, required, msgspec.json.Decoder(body))


EVENT_SHAPES: dict[str, EventShape] = {
    entity: _build_shape(entity, stream) for entity, stream in STREAM_BY_ENTITY.items()
}


def find_actor(metadata: Any, creator_id: Any) -> int | None:
    """Return the id of the user whom an event names, None if it names none.

    :param metadata: the event's ``metadata``, decoded or raw; its ``event_user_id`` takes precedence. It is a text (as
        recorded from Toggl) or, in a PING, a number.
    :param creator_id: the event's ``creator_id``, decoded or raw.
    """
    metadata, creator_id = _decode(metadata), _decode(creator_id)
    found = user_id_of(metadata.get("event_user_id")) if isinstance(metadata, dict) else None
    return user_id_of(creator_id) if found is None else found


def _decode(value: Any) -> Any:
    try:
        return msgspec.json.decode(value) if isinstance(value, msgspec.Raw) else value
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def user_id_of(value: Any) -> int | None:
    """Return a user's id from a number or its digits, None if it is neither."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= _DIGITS:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if 0 < value < 2**63 else None
