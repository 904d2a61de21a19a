"""Endpoints below ``/sandbox/webhooks`` with which tests inspect and steer deliveries."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request

from airflow_provider_toggl.sandbox.webhooks.delivery_faults import DeliveryFaultError, read_fault
from airflow_provider_toggl.sandbox.webhooks.dispatcher import Dispatcher
from airflow_provider_toggl.sandbox.webhooks.records import WebhookEvent
from airflow_provider_toggl.sandbox.webhooks.registry import WebhookRegistry

#: Most seconds that a request waits for deliveries.
LONGEST_FLUSH = 300.0
#: Most deliveries that one request may queue: more would fill the memory.
MOST_REDELIVERED = 1_000_000


class WebhookControl:
    """One method for each endpoint. ``flush`` blocks, so the caller runs it in a thread."""

    def __init__(self, registry: WebhookRegistry, dispatcher: Dispatcher) -> None:
        self._registry = registry
        self._dispatcher = dispatcher

    def read_deliveries(self, request: Request, body: Any) -> Any:
        """Return counts of outcomes, pending deliveries, and the last attempts."""
        return self._dispatcher.status()

    def read_events(self, request: Request, body: Any) -> Any:
        """Return the kept events, oldest first. ``after`` in the query is how many of all created ones to skip."""
        after = request.query_params.get("after", "0")
        if not (after.isascii() and after.isdigit() and len(after) <= 18):
            raise DeliveryFaultError("after must be an integer.")
        return [_as_json(event) for event in self._registry.events_after(int(after))]

    def inject_fault(self, request: Request, body: Any) -> Any:
        """Inject a fault into the deliveries of later changes, or flood the callback with past events."""
        if body.get("kind") == "flood":
            _only(body, "kind", "copies")
            copies = body.get("copies", 1)
            if not isinstance(copies, int) or isinstance(copies, bool) or copies < 1:
                raise DeliveryFaultError("copies must be an integer of 1 or more.")
            return {"kind": "flood", "sent": self._send_again(self._registry.events_after(0), copies)}
        return self._dispatcher.arm(read_fault(body))

    def clear_faults(self, request: Request, body: Any) -> Any:
        """Remove all faults."""
        return {"cleared": self._dispatcher.clear()}

    def read_faults(self, request: Request, body: Any) -> Any:
        """Return the injected faults."""
        return self._dispatcher.faults()

    def redeliver(self, request: Request, body: Any) -> Any:
        """Send events again: those with the given ids, or all that are kept."""
        _only(body, "event_ids")
        ids = body.get("event_ids", "all")
        events = self._registry.events_after(0)
        if ids == "all":
            return {"sent": self._send_again(events)}
        if not isinstance(ids, list) or not all(isinstance(one, int) for one in ids):
            raise DeliveryFaultError("event_ids must be a list of ids, or all.")
        wanted = set(ids)
        return {"sent": self._send_again([event for event in events if event.id in wanted])}

    def flush(self, request: Request, body: Any) -> Any:
        """Wait until nothing is pending, at most ``timeout`` seconds."""
        _only(body, "timeout")
        timeout = body.get("timeout", 30.0)
        if not isinstance(timeout, (int, float)) or isinstance(timeout, bool) or not 0 <= timeout <= LONGEST_FLUSH:
            raise DeliveryFaultError(f"timeout must be a number of seconds, at most {LONGEST_FLUSH:g}.")
        return {"pending": self._dispatcher.flush(float(timeout))}

    def _send_again(self, events: list[WebhookEvent], copies: int = 1) -> int:
        if len(events) * copies > MOST_REDELIVERED:
            raise DeliveryFaultError(f"One request cannot queue more than {MOST_REDELIVERED:,} deliveries.")
        return self._dispatcher.redeliver(events, copies)


def _only(body: dict[str, Any], *known: str) -> None:
    unknown = sorted(set(body) - set(known))
    if unknown:
        raise DeliveryFaultError(f"Unknown fields: {', '.join(unknown)}. Known fields: {', '.join(known)}.")


def _as_json(event: WebhookEvent) -> dict[str, Any]:
    return {
        "event_id": event.id,
        "subscription_id": event.subscription_id,
        "entity": event.entity,
        "action": event.action,
        "entity_id": event.entity_id,
        "acknowledged": event.acknowledged,
        "given_up": event.given_up,
        "dropped": event.dropped,
        "attempts": event.attempts,
    }
