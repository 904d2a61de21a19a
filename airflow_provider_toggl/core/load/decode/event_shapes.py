"""The entities of webhooks: their streams, and their bodies as msgspec types."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from airflow_provider_toggl.core.load.decode.shapes import MEMBERS, OBJECTS, Field, Shape
from airflow_provider_toggl.core.streams import STREAM_BY_ENTITY

SKIPPED_ENTITIES = frozenset({"project_group", "workspace"})
"""Entities of webhooks that no table keeps."""


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
