"""What webhooks tell: bodies with any content, and the events that a receiver makes of them."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

from support.observations import NOON, WORKSPACE, v9_entry

from airflow_provider_toggl.core.events.message import parse_message
from airflow_provider_toggl.core.events.model import NewEvent

#: How long after an event its delivery was sent.
TRANSPORT = timedelta(milliseconds=340)


def entry_payload(id_: int = 1, **fields: Any) -> dict[str, Any]:
    """Return a time entry as webhooks write it: like v9, with ``at`` in whole seconds."""
    return {**v9_entry(id_), "at": "2025-05-02T17:03:50+00:00", **fields}


def body(
    entity: str = "time_entry",
    action: str = "created",
    payload: Any = None,
    *,
    seconds: float = 0.0,
    event_id: int | None = None,
    **envelope: Any,
) -> bytes:
    """Return a body of an event so many seconds after noon.

    :param envelope: keys of the envelope instead of the usual ones; None leaves a key out. ``metadata`` is added to.
    """
    moment = NOON + timedelta(seconds=seconds)
    identity = payload.get("id", 1) if isinstance(payload, dict) else 1
    metadata = {
        "action": action,
        "event_user_id": "10",
        "model": entity,
        f"{entity}_id": str(identity),
        "workspace_id": str(WORKSPACE),
        **envelope.pop("metadata", {}),
    }
    document = {
        "event_id": event_id or 8_300_000_000_000_000 + round(seconds * 1000),
        "created_at": _text(moment),
        "creator_id": 10,
        "metadata": {name: value for name, value in metadata.items() if value is not None},
        "payload": payload,
        "subscription_id": 10_713,
        "timestamp": _text(moment + TRANSPORT),
        "url_callback": "https://example.org/hook",
        **envelope,
    }
    kept = {name: value for name, value in document.items() if value is not None or name == "payload"}
    return json.dumps(kept, separators=(",", ":")).encode()


def event(raw: bytes, *, received_at: datetime | None = None, conn_id: str = "toggl_default") -> NewEvent:
    """Return what a receiver appends for a body."""
    message = parse_message(raw)
    return NewEvent(
        subscription_id=message.subscription_id,
        event_id=message.event_id,
        body=raw,
        received_at=received_at or NOON + timedelta(hours=1),
        conn_id=conn_id,
        workspace_id=message.workspace_id,
        entity=message.entity,
        action=message.action,
        entity_id=message.entity_id,
        created_at=message.created_at,
        anomaly=message.anomaly,
    )


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
