"""Which events a subscription receives."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from airflow_provider_toggl.sandbox.webhooks.records import Filter, WebhookSubscription

NOW = datetime(2026, 3, 10, 12, tzinfo=timezone.utc)


def subscription(**fields: Any) -> WebhookSubscription:
    usual: dict[str, Any] = {
        "id": 1,
        "workspace_id": 7,
        "user_id": 10,
        "description": "",
        "url_callback": "https://example.org/hook",
        "filters": (("*", "*"),),
        "enabled": True,
        "secret": "",
        "validation_code": "",
        "created_at": NOW,
        "validated_at": NOW,
    }
    return WebhookSubscription(**{**usual, **fields})


@pytest.mark.parametrize("lacks", [{}, {"enabled": False}, {"validated_at": None}, {"deleted_at": NOW}], ids=str)
def test_events_are_delivered_only_if_it_is_enabled_validated_and_not_deleted(lacks: dict[str, Any]) -> None:
    assert subscription(**lacks).delivers is not bool(lacks)


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        ((("*", "*"),), {"tag created", "tag updated", "client created"}),
        ((("tag", "*"),), {"tag created", "tag updated"}),
        ((("*", "created"),), {"tag created", "client created"}),
        ((("tag", "created"), ("client", "created")), {"tag created", "client created"}),
        ((("tag", "deleted"), ("workspace", "*"), ("unknown", "*")), set()),
    ],
)
def test_filters_match_entity_and_action(filters: tuple[Filter, ...], wanted: set[str]) -> None:
    events = ("tag created", "tag updated", "client created")
    assert {event for event in events if subscription(filters=filters).wants(*event.split())} == wanted
