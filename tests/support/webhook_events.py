"""Webhook bodies with any content, and the events that a receiver stores for them."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

from support.toggl_rows import NOON, WORKSPACE, v9_entry

from airflow_provider_toggl.core.events.message import parse_message
from airflow_provider_toggl.core.events.model import NewEvent

#: Time between an event and its delivery.
TRANSPORT_TIME = timedelta(milliseconds=340)


def entry_payload(id_: int = 1, **fields: Any) -> dict[str, Any]:
    """Return a time entry as in webhooks: like v9, with ``at`` in whole seconds."""
    return {**v9_entry(id_), "at": "2025-05-02T17:03:50+00:00", **fields}


def webhook_body(
    entity: str = "time_entry",
    action: str = "created",
    payload: Any = None,
    *,
    seconds: float = 0.0,
    event_id: int | None = None,
    **envelope: Any,
) -> bytes:
    """Return the body of an event.

    :param seconds: when it happened, in seconds after noon.
    :param envelope: replaces keys of the envelope, None removes them; ``metadata`` is merged.
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
        "timestamp": _text(moment + TRANSPORT_TIME),
        "url_callback": "https://example.org/hook",
        **envelope,
    }
    kept = {name: value for name, value in document.items() if value is not None or name == "payload"}
    return json.dumps(kept, separators=(",", ":")).encode()


def received_event(raw: bytes, *, received_at: datetime | None = None, conn_id: str = "toggl_default") -> NewEvent:
    """Return the event that a receiver stores for a body."""
    return parse_message(raw).to_event(raw, received_at or NOON + timedelta(hours=1), conn_id)


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


EVENT_WORKSPACE = 4502339761


def change_event(
    event_id: int,
    *,
    entity: str = "time_entry",
    action: str = "updated",
    created_at: datetime | None = None,
    received_at: datetime | None = None,
    metadata: dict[str, Any] | None = None,
    **payload: Any,
) -> NewEvent:
    """Return the stored event of a change.

    :param created_at: by default now, like ``received_at``.
    :param payload: fields of the changed record; its ``id`` is by default 1000 more than the event's.
    """
    created = created_at or datetime.now(timezone.utc)
    body = json.dumps(
        {
            "event_id": event_id,
            "subscription_id": 77,
            "created_at": created.isoformat(),
            "metadata": {"action": action, "model": entity, "workspace_id": str(EVENT_WORKSPACE), **(metadata or {})},
            "payload": {"id": 1000 + event_id, "workspace_id": EVENT_WORKSPACE, **payload},
        }
    ).encode()
    return received_event(body, received_at=received_at or datetime.now(timezone.utc))
