"""Events as Toggl delivers them, in few words."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

from airflow_provider_toggl.core.events.message import parse_message
from airflow_provider_toggl.core.events.model import NewEvent

WORKSPACE = 4502339761


def change(
    event_id: int,
    *,
    entity: str = "time_entry",
    action: str = "updated",
    created_at: datetime | None = None,
    received_at: datetime | None = None,
    metadata: dict[str, Any] | None = None,
    **payload: Any,
) -> NewEvent:
    """Return a verified delivery, as the receiver hands it to the store.

    :param created_at: now by default, and ``received_at`` likewise.
    :param payload: of what changed; its ``id`` is 1000 more than the event's by default.
    """
    created = created_at or datetime.now(timezone.utc)
    body = json.dumps(
        {
            "event_id": event_id,
            "subscription_id": 77,
            "created_at": created.isoformat(),
            "metadata": {"action": action, "model": entity, "workspace_id": str(WORKSPACE), **(metadata or {})},
            "payload": {"id": 1000 + event_id, "workspace_id": WORKSPACE, **payload},
        }
    ).encode()
    message = parse_message(body)
    return NewEvent(
        subscription_id=77,
        event_id=event_id,
        body=body,
        received_at=received_at or datetime.now(timezone.utc),
        conn_id="toggl_default",
        workspace_id=message.workspace_id,
        entity=message.entity,
        action=message.action,
        entity_id=message.entity_id,
        created_at=message.created_at,
    )
