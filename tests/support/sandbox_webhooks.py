"""Calls the sandbox's API of webhooks, and reads what its callbacks were told."""

from __future__ import annotations

from typing import Any

import requests
from support.callbacks import Callback
from support.sandboxes import Caller

from airflow_provider_toggl.sandbox.webhooks.records import WebhookSubscription
from airflow_provider_toggl.sandbox.webhooks.registry import WebhookRegistry
from airflow_provider_toggl.sandbox.workspace.world import World

SECRET = "whsec-3d1f"
ALL = [{"entity": "*", "action": "*"}]


class Webhooks:
    """Calls the API of webhooks as one user."""

    def __init__(self, toggl: Caller) -> None:
        self.toggl = toggl
        self.sandbox = toggl.sandbox
        self.world = toggl.world
        self.all = f"subscriptions/{toggl.sandbox.workspace_id}"

    def call(self, method: str, path: str, body: Any = None, **options: Any) -> requests.Response:
        """Send a request below ``/webhooks/api/v1/``."""
        return self.toggl.call(method, f"/webhooks/api/v1/{path}", body, **options)

    def create(self, url: str, **changes: Any) -> requests.Response:
        """Ask for an enabled subscription to everything, unless told otherwise; what is None is left out."""
        body = {
            "url_callback": url,
            "event_filters": ALL,
            "description": "airflow",
            "enabled": True,
            "secret": SECRET,
            **changes,
        }
        return self.call("POST", self.all, {name: value for name, value in body.items() if value is not None})

    def subscribe(self, url: str, **changes: Any) -> dict[str, Any]:
        """Create a subscription and return it."""
        answer = self.create(url, **changes)
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()
        return told

    def one(self) -> dict[str, Any]:
        """Return the only subscription, as the list tells it."""
        (told,) = self.call("GET", self.all).json()
        found: dict[str, Any] = told
        return found

    def path(self, told: dict[str, Any]) -> str:
        """Return the path of a subscription."""
        return f"{self.all}/{told['subscription_id']}"

    def track(self, **fields: Any) -> int:
        """Make a time entry of an hour by REST, and return its id."""
        body = {"created_with": "test", "start": "2026-03-10T09:00:00Z", "duration": 3600, **fields}
        answer = self.toggl.write("POST", "/workspaces/{ws}/time_entries", body)
        assert answer.status_code == 200, answer.text
        return int(answer.json()["id"])

    def flush(self) -> None:
        """Wait until everything is delivered."""
        assert self.sandbox.flush_webhooks(20) == 0


def events_of(callback: Callback) -> list[dict[str, Any]]:
    """Return what came besides PINGs."""
    return [body for body in callback.bodies if body["payload"] != "ping"]


def write_subscription(registry: WebhookRegistry, world: World, **changes: Any) -> WebhookSubscription:
    """Put a validated subscription into a registry, without a callback."""
    fields: dict[str, Any] = {
        "id": registry.next_subscription_id(),
        "workspace_id": world.workspace.id,
        "user_id": world.owner.id,
        "description": "airflow",
        "url_callback": "https://example.org/hook",
        "filters": (("*", "*"),),
        "enabled": True,
        "secret": SECRET,
        "validation_code": "0" * 32,
        "created_at": world.now(),
        "validated_at": world.now(),
        **changes,
    }
    subscription = WebhookSubscription(**fields)
    registry.subscriptions[subscription.id] = subscription
    return subscription
