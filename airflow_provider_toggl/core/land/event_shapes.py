"""The shapes that webhooks write objects in, as msgspec types made from the columns of the tables they land in.

A payload is the object as v9 writes it (https://engineering.toggl.com/docs/webhooks_start/events), with the legacy keys
beside the present ones or, maybe, alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from airflow_provider_toggl.core.land.schemas import TABLES
from airflow_provider_toggl.core.land.shapes import CHANGES, NOT_IN_V9, OBJECTS, Int64, optional_field

LEGACY = {"user_id": "uid", "project_id": "pid", "task_id": "tid", "client_id": "cid", "group_id": "gid"}
"""Keys of Toggl's earlier API, by the present ones."""

PASSED_OVER = frozenset({"project_group", "workspace"})
"""Entities of webhooks that no table keeps."""

STREAM_OF = {
    "time_entry": "time_entries",
    "project": "projects",
    "client": "clients",
    "tag": "tags",
    "task": "tasks",
    "project_user": "project_users",
    "workspace_user": "users",
}
"""The stream that an entity lands in; ``workspace_user`` is the user in the workspace."""

# A member of a workspace is told with other words than a user of it: v9's /workspaces/{id}/workspace_users, /users.
_WORDS = {"users": {"fullname": "name", "is_active": "active", "is_admin": "admin"}}
_REQUIRED = {"users": ("fullname",)}


@dataclass(frozen=True)
class EventShape:
    """How webhooks write the objects of a stream.

    :param stream: the stream.
    :param decoder: reads a body; its ``payload`` is the object, or None, and ``metadata`` and ``creator_id`` are raw.
    :param columns: the columns that a payload fills, besides ``id`` and ``workspace_id``.
    :param required: fields without which a payload is not the whole object.
    """

    stream: str
    decoder: msgspec.json.Decoder[Any]
    columns: tuple[str, ...]
    required: tuple[str, ...]

    @property
    def is_dated(self) -> bool:
        """Whether the time of the last update counts: the list of users that is pulled has none to compare with."""
        return self.stream != "users"


def _build_shape(stream: str) -> EventShape:
    told = TABLES[stream].own[2:]
    columns = [column for column in told if column.name not in NOT_IN_V9.get(stream, ())]
    names = [column.name for column in columns]
    extra = {LEGACY[name] for name in names if name in LEGACY} | ({"user_id", "uid"} if stream == "users" else set())
    fields: list[Any] = [optional_field(column) for column in columns]
    fields += [(name, Int64 | None, None) for name in sorted(extra)]
    fields += [(name, type_ | None, None) for name, type_ in CHANGES]
    payload = msgspec.defstruct(f"{stream}_payload", fields, gc=False, rename=_WORDS.get(stream))
    # Raw, since a wrong word about who did it must not stop the news of what was done.
    raw = [(name, msgspec.Raw, msgspec.Raw()) for name in ("metadata", "creator_id")]
    body = msgspec.defstruct(f"{stream}_body", [("payload", payload | None, None), *raw], gc=False)
    required = _REQUIRED.get(stream, OBJECTS[stream].required)
    return EventShape(stream, msgspec.json.Decoder(body), tuple(names), required)


EVENTS: dict[str, EventShape] = {entity: _build_shape(stream) for entity, stream in STREAM_OF.items()}
