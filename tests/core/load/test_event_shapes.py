from __future__ import annotations

import pytest

from airflow_provider_toggl.core.events.message import ENTITIES
from airflow_provider_toggl.core.load.event_shapes import EVENTS, PASSED_OVER, STREAM_OF
from airflow_provider_toggl.core.load.schemas import TABLES

AMOUNTS = {"hourly_rate_cents", "billable_amount_cents", "currency"}


def test_every_entity_of_webhooks_has_a_stream_or_is_passed_over() -> None:
    assert EVENTS.keys() | PASSED_OVER == set(ENTITIES)
    assert not EVENTS.keys() & PASSED_OVER


def test_every_stream_but_that_of_groups_has_events() -> None:
    assert set(STREAM_OF.values()) == TABLES.keys() - {"groups"}


@pytest.mark.parametrize("entity", EVENTS)
def test_a_payload_fills_every_column_of_its_table_but_amounts(entity: str) -> None:
    shape = EVENTS[entity]
    own = {column.name for column in TABLES[shape.stream].own}
    filled = {field.column for field in shape.payload.fields} - {"at", "deleted_at"}
    assert filled == (own - AMOUNTS if entity == "time_entry" else own)


@pytest.mark.parametrize("entity", EVENTS)
def test_unknown_keys_are_no_trouble(entity: str) -> None:
    payload = EVENTS[entity].decoder.decode(b'{"event_id":1,"payload":{"name":"x","never_heard":[{"a":1}]},"more":{}}')
    assert payload.payload.at is None


def test_a_body_without_an_object_has_no_payload() -> None:
    assert EVENTS["tag"].decoder.decode(b'{"payload":null}').payload is None
    assert EVENTS["tag"].decoder.decode(b"{}").payload is None
