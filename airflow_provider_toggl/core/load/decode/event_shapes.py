"""The entities of webhooks: the streams that they land in, and their bodies as msgspec types."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from airflow_provider_toggl.core.load.decode.shapes import MEMBERS, OBJECTS, Field, Shape

SKIPPED_ENTITIES = frozenset({"project_group", "workspace"})
"""Entities of webhooks that no table keeps."""

STREAM_BY_ENTITY = {
    "time_entry": "time_entries",
    "project": "projects",
    "client": "clients",
    "tag": "tags",
    "task": "tasks",
    "project_user": "project_users",
    "workspace_user": "users",
}
"""The stream that an entity lands in; ``workspace_user`` is the user in the workspace."""


@dataclass(frozen=True)
class EventShape:
    """How webhooks write the objects of a stream.

    :param payload: the shape of the object.
    :param identity: what fills ``id``, ``workspace_id``, ``at`` and ``deleted_at``.
    :param required: what fills the columns without which a payload is not the whole object.
    :param decoder: reads a body; its ``payload`` is the object, or None, and ``metadata`` and ``creator_id`` are raw.
    """

    payload: Shape
    identity: tuple[Field, ...]
    required: tuple[Field, ...]
    decoder: msgspec.json.Decoder[Any]

    @property
    def stream(self) -> str:
        """The stream that the objects land in."""
        return self.payload.stream

    @property
    def is_dated(self) -> bool:
        """Whether the time of the last update counts: the list of users that is pulled has none to compare with."""
        return self.stream != "users"


def _build_shape(entity: str, stream: str) -> EventShape:
    payload = MEMBERS if entity == "workspace_user" else OBJECTS[stream]
    # Raw, since a wrong word about who did it must not stop the news of what was done.
    raw = [(name, msgspec.Raw, msgspec.Raw()) for name in ("metadata", "creator_id")]
    body = msgspec.defstruct(f"{entity}_body", [("payload", payload.struct | None, None), *raw], gc=False)
    identity = tuple(map(payload.field, ("id", "workspace_id", "at", "deleted_at")))
    required = tuple(map(payload.field, payload.required))
    return EventShape(payload, identity, required, msgspec.json.Decoder(body))


EVENT_SHAPES: dict[str, EventShape] = {
    entity: _build_shape(entity, stream) for entity, stream in STREAM_BY_ENTITY.items()
}
