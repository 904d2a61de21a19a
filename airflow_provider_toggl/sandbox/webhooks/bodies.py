"""The bodies of PINGs and events, byte for byte: keys as captured, JSON as Go's encoder writes it, and signatures."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from datetime import datetime
from typing import Any

from airflow_provider_toggl.sandbox.formats import micros_z
from airflow_provider_toggl.sandbox.webhooks.records import WebhookEvent, WebhookSubscription

Json = dict[str, Any]

#: What Go's encoding/json escapes beyond what JSON demands; the first three can be switched off.
_HTML_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}
_LINE_ESCAPES = {"\u2028": "\\u2028", "\u2029": "\\u2029"}


def to_text(value: Any) -> str:
    """Return JSON without spaces, not yet escaped."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def escape(text: str, *, html: bool = True) -> bytes:
    """Return the bytes of a JSON text with the escapes of Go's encoder.

    A receiver that parses and encodes a body again gets other bytes, and so another signature.
    """
    for character, escaped in (_LINE_ESCAPES | _HTML_ESCAPES if html else _LINE_ESCAPES).items():
        text = text.replace(character, escaped)
    try:
        return text.encode()
    except UnicodeEncodeError:
        # A lone surrogate has no UTF-8; Go writes the replacement character.
        return re.sub("[\ud800-\udfff]", "\ufffd", text).encode()


def encode(value: Any, *, escape_html: bool = True) -> bytes:
    """Return a value as Go's encoder writes it."""
    return escape(to_text(value), html=escape_html)


def sign(secret: str, body: bytes) -> str:
    """Return the value of ``X-Webhook-Signature-256``."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def millis_z(moment: datetime) -> str:
    """Write a UTC time with milliseconds and ``Z``, as ``created_at`` of events has it."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def nanos_z(moment: datetime, nanos: int) -> str:
    """Write a UTC time with nanoseconds and ``Z``, trailing zeros cut, as ``timestamp`` has it.

    :param nanos: the part below a microsecond, 0 to 999.
    """
    fraction = f"{moment.microsecond:06d}{nanos:03d}".rstrip("0")
    return moment.isoformat()[:19] + (f".{fraction}" if fraction else "") + "Z"


def build_ping(subscription: WebhookSubscription, *, user_id: int, timestamp: str, site: str) -> Json:
    """Return the document of a PING, with the validation code until the subscription is validated.

    :param user_id: the user who caused it.
    :param site: the address in the validation link.
    """
    document: Json = {
        "event_id": 0,
        "created_at": timestamp,
        "creator_id": user_id,
        # In a PING, metadata has this order and the id is a number; in events, keys are sorted and ids are texts.
        "metadata": {"request_type": "POST", "event_user_id": user_id},
        "payload": "ping",
        "subscription_id": subscription.id,
        "timestamp": timestamp,
        "url_callback": subscription.url_callback,
    }
    if subscription.validated_at is None:
        code = subscription.validation_code
        document["validation_code"] = code
        document["validation_code_url"] = (
            f"{site}/webhooks/api/v1/validate/{subscription.workspace_id}/{subscription.id}/{code}"
        )
    return document


def build_envelope(event: WebhookEvent, *, subscription: WebhookSubscription, timestamp: str) -> Json:
    """Return the document of an event, with its keys in the captured order."""
    return {
        "event_id": event.id,
        "created_at": millis_z(event.created_at),
        "creator_id": event.creator_id,
        "metadata": json.loads(event.metadata),
        "payload": json.loads(event.payload),
        "subscription_id": subscription.id,
        "timestamp": timestamp,
        "url_callback": subscription.url_callback,
    }


def write_event(
    event: WebhookEvent, *, subscription: WebhookSubscription, timestamp: str, escape_html: bool = True
) -> bytes:
    """Return the bytes of an event, equal to the encoded ``build_envelope`` but without decoding its parts."""
    text = (
        f'{{"event_id":{event.id},"created_at":"{millis_z(event.created_at)}","creator_id":{event.creator_id},'
        f'"metadata":{event.metadata},"payload":{event.payload},"subscription_id":{subscription.id},'
        f'"timestamp":"{timestamp}","url_callback":{to_text(subscription.url_callback)}}}'
    )
    return escape(text, html=escape_html)


def subscription_as_json(subscription: WebhookSubscription, *, with_secret: bool, pending: bool) -> Json:
    """Return a subscription as the API shows it."""
    shown: Json = {
        "subscription_id": subscription.id,
        "workspace_id": subscription.workspace_id,
        "user_id": subscription.user_id,
        "enabled": subscription.enabled,
        "description": subscription.description,
        "event_filters": [{"entity": entity, "action": action} for entity, action in subscription.filters],
        "url_callback": subscription.url_callback,
        "validated_at": None if subscription.validated_at is None else micros_z(subscription.validated_at),
        "has_pending_events": pending,
        "created_at": micros_z(subscription.created_at),
    }
    if with_secret:
        shown["secret"] = subscription.secret
    for name in ("updated_at", "deleted_at"):
        moment = getattr(subscription, name)
        if moment is not None:
            shown[name] = micros_z(moment)
    return shown
