from __future__ import annotations

from typing import Any

import pytest
from support.sandboxes import WebhookCaller, events_of
from support.servers.http import Callback

from airflow_provider_toggl.sandbox.server import ControlRefused


def test_events_are_listed_oldest_first_with_their_state(webhooks: WebhookCaller, subscribed: dict[str, Any]) -> None:
    entry = webhooks.track()
    webhooks.flush()
    (event,) = webhooks.sandbox.webhook_events()
    assert event == {
        "event_id": 2**53 - 100,
        "subscription_id": subscribed["subscription_id"],
        "entity": "time_entry",
        "action": "created",
        "entity_id": entry,
        "acknowledged": True,
        "given_up": False,
        "dropped": False,
        "attempts": 1,
    }
    later = webhooks.track()
    assert [one["entity_id"] for one in webhooks.sandbox.webhook_events(after=1)] == [later]


def test_deliveries_are_counted_and_the_last_ones_shown(
    webhooks: WebhookCaller, subscribed: dict[str, Any], callback: Callback
) -> None:
    webhooks.sandbox.set(webhook_retry_seconds="")
    webhooks.track()
    webhooks.flush()
    callback.status = 500
    webhooks.track()
    webhooks.flush()
    shown = webhooks.sandbox.webhook_deliveries()
    assert shown["outcomes"] == {"ping_delivered": 1, "event_delivered": 1, "event_failed": 1}
    assert [(one["kind"], one["status"]) for one in shown["attempts"]] == [
        ("ping", 200),
        ("event", 200),
        ("event", 500),
    ]
    assert shown["pending"] == 0


def test_faults_are_listed_and_cleared(webhooks: WebhookCaller) -> None:
    armed = webhooks.sandbox.webhook_fault("delay", seconds=2, times=3)
    assert webhooks.sandbox.control("GET", "webhooks/faults") == [armed]
    webhooks.sandbox.clear_webhook_faults()
    assert webhooks.sandbox.control("GET", "webhooks/faults") == []


def test_events_are_delivered_again_all_or_some(
    webhooks: WebhookCaller, subscribed: dict[str, Any], callback: Callback
) -> None:
    for _ in range(3):
        webhooks.track()
    webhooks.flush()
    ids = [event["event_id"] for event in webhooks.sandbox.webhook_events()]
    assert webhooks.sandbox.redeliver_webhooks(ids[1:2]) == 1
    webhooks.flush()
    assert webhooks.sandbox.redeliver_webhooks() == 3
    webhooks.flush()
    assert [one["event_id"] for one in events_of(callback)] == [*ids, ids[1], *ids]
    assert [event["attempts"] for event in webhooks.sandbox.webhook_events()] == [1, 1, 1]
    assert webhooks.sandbox.redeliver_webhooks([5]) == 0


def test_dropped_and_given_up_events_can_be_redelivered(
    webhooks: WebhookCaller, subscribed: dict[str, Any], callback: Callback
) -> None:
    webhooks.sandbox.set(webhook_retry_seconds="")
    webhooks.sandbox.webhook_fault("drop")
    webhooks.track()
    callback.status = 500
    webhooks.track()
    webhooks.flush()
    callback.status = 200
    webhooks.sandbox.redeliver_webhooks()
    webhooks.flush()
    shown = {(one["acknowledged"], one["dropped"], one["given_up"]) for one in webhooks.sandbox.webhook_events()}
    assert shown == {(True, False, False)}


def test_a_flood_sends_everything_again_many_times(
    webhooks: WebhookCaller, subscribed: dict[str, Any], callback: Callback
) -> None:
    webhooks.sandbox.set(webhook_parallel=4)
    webhooks.sandbox.mutate(seed=1, n=5, kinds=["create_tag"])
    webhooks.flush()
    assert webhooks.sandbox.webhook_fault("flood", copies=6) == {"kind": "flood", "sent": 30}
    webhooks.flush()
    assert len(events_of(callback)) == 35


def test_a_flush_returns_what_is_pending_after_its_timeout(webhooks: WebhookCaller, subscribed: dict[str, Any]) -> None:
    webhooks.sandbox.webhook_fault("delay", seconds=60)
    webhooks.track()
    assert webhooks.sandbox.flush_webhooks(0.05) == 1


@pytest.mark.parametrize(
    ("method", "name", "body", "message"),
    [
        ("POST", "webhooks/faults", {"kind": "fire"}, "kind must be one of"),
        ("POST", "webhooks/faults", {"kind": "flood", "copies": 0}, "copies must be an integer of 1 or more"),
        ("POST", "webhooks/faults", {"kind": "flood", "times": 2}, "Unknown fields: times"),
        ("POST", "webhooks/redeliver", {"event_ids": 5}, "event_ids must be a list of ids"),
        ("POST", "webhooks/redeliver", {"event_ids": [[5]]}, "event_ids must be a list of ids"),
        ("POST", "webhooks/redeliver", {"events": "all"}, "Unknown fields: events"),
        ("POST", "webhooks/flush", {"timeout": "1"}, "timeout must be a number"),
        ("POST", "webhooks/flush", {"timeout": 1e9}, "timeout must be a number of seconds, at most 300"),
        ("GET", "webhooks/events?after=x", None, "after must be an integer"),
    ],
)
def test_a_malformed_request_is_refused_with_the_reason(
    webhooks: WebhookCaller, method: str, name: str, body: Any, message: str
) -> None:
    with pytest.raises(ControlRefused, match=f"400: .*{message}"):
        webhooks.sandbox.control(method, name, body)


def test_a_flood_has_a_limit(webhooks: WebhookCaller, subscribed: dict[str, Any]) -> None:
    webhooks.track()
    with pytest.raises(ControlRefused, match="more than 1,000,000"):
        webhooks.sandbox.webhook_fault("flood", copies=1_000_001)
