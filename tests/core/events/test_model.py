from __future__ import annotations

import pytest

from airflow_provider_toggl.core.events.model import DeliveryFilter, EventType


@pytest.mark.parametrize(
    ("entity", "action", "matches"),
    [
        (None, None, True),
        ("tag", None, True),
        ("tag", "created", True),
        ("task", None, False),
        (None, "updated", False),
    ],
)
def test_a_filter_has_the_event_types_of_its_entity_and_action(
    entity: str | None, action: str | None, matches: bool
) -> None:
    wanted = DeliveryFilter("toggl_default", entity=entity, action=action)
    assert wanted.has(EventType("toggl_default tag created", "tag", "created")) is matches
