"""The control API of webhooks: what was made and sent, orders for what goes wrong, and waiting until all is sent."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request

from airflow_provider_toggl.sandbox.webhooks.delivery_faults import DeliveryFaultError, read_fault
from airflow_provider_toggl.sandbox.webhooks.dispatcher import Dispatcher
from airflow_provider_toggl.sandbox.webhooks.registry import WebhookEvent, WebhookRegistry

#: The longest that a request waits for deliveries, in seconds.
LONGEST_FLUSH = 300.0
#: More deliveries by one request would fill the memory.
MOST_REDELIVERED = 1_000_000


class WebhookControl:
    """What the control API does with webhooks, one method each; those that wait run in a thread."""

    def __init__(self, book: WebhookRegistry, engine: Dispatcher) -> None:
        self._book = book
        self._engine = engine

    def read_deliveries(self, request: Request, body: Any) -> Any:
        """Return counts of outcomes, what is pending, and the last attempts."""
        return self._engine.told()

    def read_events(self, request: Request, body: Any) -> Any:
        """Return the events that were made, oldest first; ``after`` is how many of them to leave out."""
        after = request.query_params.get("after", "0")
        if not (after.isascii() and after.isdigit() and len(after) <= 18):
            raise DeliveryFaultError("after is a whole number.")
        return [_told(event) for event in self._book.events_after(int(after))]

    def arm(self, request: Request, body: Any) -> Any:
        """Order something to go wrong with the events that come, or a flood of those that were."""
        if body.get("kind") == "flood":
            _only(body, "kind", "copies")
            copies = body.get("copies", 1)
            if not isinstance(copies, int) or isinstance(copies, bool) or copies < 1:
                raise DeliveryFaultError("copies is a whole number from 1 on.")
            return {"kind": "flood", "sent": self._send_again(self._book.events_after(0), copies)}
        return self._engine.arm(read_fault(body))

    def clear(self, request: Request, body: Any) -> Any:
        """Take all orders back."""
        return {"cleared": self._engine.clear()}

    def read_faults(self, request: Request, body: Any) -> Any:
        """Return the orders."""
        return self._engine.orders()

    def redeliver(self, request: Request, body: Any) -> Any:
        """Send events once more: those with these ids, or all."""
        _only(body, "event_ids")
        ids = body.get("event_ids", "all")
        events = self._book.events_after(0)
        if ids == "all":
            return {"sent": self._send_again(events)}
        if not isinstance(ids, list) or not all(isinstance(one, int) for one in ids):
            raise DeliveryFaultError("event_ids is a list of ids, or all.")
        wanted = set(ids)
        return {"sent": self._send_again([event for event in events if event.id in wanted])}

    def flush(self, request: Request, body: Any) -> Any:
        """Wait until nothing is pending, or ``timeout`` seconds."""
        _only(body, "timeout")
        timeout = body.get("timeout", 30.0)
        if not isinstance(timeout, (int, float)) or isinstance(timeout, bool) or not 0 <= timeout <= LONGEST_FLUSH:
            raise DeliveryFaultError(f"timeout is a number of seconds, at most {LONGEST_FLUSH:g}.")
        return {"pending": self._engine.flush(float(timeout))}

    def _send_again(self, events: list[WebhookEvent], copies: int = 1) -> int:
        if len(events) * copies > MOST_REDELIVERED:
            raise DeliveryFaultError(f"That would be more than {MOST_REDELIVERED:,} deliveries.")
        return self._engine.redeliver(events, copies)


def _only(body: dict[str, Any], *known: str) -> None:
    unknown = sorted(set(body) - set(known))
    if unknown:
        raise DeliveryFaultError(f"Not known here: {', '.join(unknown)}. Known: {', '.join(known)}.")


def _told(event: WebhookEvent) -> dict[str, Any]:
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
