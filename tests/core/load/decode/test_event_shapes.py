from __future__ import annotations

import msgspec
import pytest

from airflow_provider_toggl.core.events.entities import ENTITIES
from airflow_provider_toggl.core.load.decode.event_shapes import EVENT_SHAPES, SKIPPED_ENTITIES, find_actor
from airflow_provider_toggl.core.load.tables.schemas import TABLES
from airflow_provider_toggl.core.streams import STREAM_BY_ENTITY, STREAMS

AMOUNTS = {"hourly_rate_cents", "billable_amount_cents", "currency"}


def test_every_entity_of_webhooks_has_a_stream_or_is_skipped() -> None:
    assert EVENT_SHAPES.keys() | SKIPPED_ENTITIES == set(ENTITIES)
    assert not EVENT_SHAPES.keys() & SKIPPED_ENTITIES


def test_every_stream_that_each_plan_has_has_events_but_groups_and_workspaces() -> None:
    without_needs = {one.name for one in STREAMS.values() if not one.needs}
    assert set(STREAM_BY_ENTITY.values()) - {"project_groups"} == without_needs - {"groups", "workspaces"}


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


@pytest.mark.parametrize(
    ("metadata", "creator_id", "actor"),
    [
        ('{"event_user_id":"11","model":"time_entry"}', "12", 11),
        ('{"event_user_id":11}', "12", 11),
        ('{"model":"time_entry"}', "12", 12),
        ("{}", '"12"', 12),
        ('{"event_user_id":"nobody"}', "12", 12),
        ('{"event_user_id":true}', "null", None),
        ('{"event_user_id":"0"}', "-1", None),
        ('{"event_user_id":"99999999999999999999"}', "9223372036854775808", None),
        ('{"event_user_id":"٣"}', "1.5", None),
        ("[1]", "12", 12),
        ('{"event_user_id":1e999}', "1e999", None),
        ('"\\ud800"', '"\\ud800"', None),
    ],
)
def test_the_metadata_take_precedence_over_the_creator(metadata: str, creator_id: str, actor: int | None) -> None:
    assert find_actor(msgspec.Raw(metadata.encode()), msgspec.Raw(creator_id.encode())) == actor


def test_an_event_may_name_nobody() -> None:
    assert find_actor(msgspec.Raw(), msgspec.Raw()) is None
    assert find_actor(msgspec.Raw(), msgspec.Raw(b"7")) == 7
