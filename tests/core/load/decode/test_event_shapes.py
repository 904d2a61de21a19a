from __future__ import annotations

import pytest

from airflow_provider_toggl.core.events.message import ENTITIES
from airflow_provider_toggl.core.load.decode.event_shapes import EVENT_SHAPES, SKIPPED_ENTITIES, STREAM_BY_ENTITY
from airflow_provider_toggl.core.load.tables.schemas import TABLES

AMOUNTS = {"hourly_rate_cents", "billable_amount_cents", "currency"}


def test_every_entity_of_webhooks_has_a_stream_or_is_skipped() -> None:
    assert EVENT_SHAPES.keys() | SKIPPED_ENTITIES == set(ENTITIES)
    assert not EVENT_SHAPES.keys() & SKIPPED_ENTITIES


def test_every_stream_but_that_of_groups_has_events() -> None:
    assert set(STREAM_BY_ENTITY.values()) == TABLES.keys() - {"groups"}


@pytest.mark.parametrize("entity", EVENT_SHAPES)
def test_a_payload_fills_every_column_of_its_table_but_amounts(entity: str) -> None:
    shape = EVENT_SHAPES[entity]
    own = {column.name for column in TABLES[shape.stream].own}
    filled = {field.column for field in shape.payload.fields} - {"at", "deleted_at"}
    assert filled == (own - AMOUNTS if entity == "time_entry" else own)


@pytest.mark.parametrize("entity", EVENT_SHAPES)
def test_unknown_keys_are_no_trouble(entity: str) -> None:
    payload = EVENT_SHAPES[entity].decoder.decode(
        b'{"event_id":1,"payload":{"name":"x","never_known":[{"a":1}]},"more":{}}'
    )
    assert payload.payload.at is None


def test_a_body_without_an_object_has_no_payload() -> None:
    assert EVENT_SHAPES["tag"].decoder.decode(b'{"payload":null}').payload is None
    assert EVENT_SHAPES["tag"].decoder.decode(b"{}").payload is None
