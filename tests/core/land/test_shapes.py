from __future__ import annotations

import pytest

from airflow_provider_toggl.core.land.schemas import TABLES
from airflow_provider_toggl.core.land.shapes import OBJECTS


def test_there_is_a_shape_for_every_stream() -> None:
    assert OBJECTS.keys() == TABLES.keys()


@pytest.mark.parametrize("stream", sorted(TABLES.keys() - {"groups", "time_entries"}))
def test_a_shape_has_a_field_for_every_column_that_toggl_fills(stream: str) -> None:
    fields = set(OBJECTS[stream].struct.__struct_fields__)
    assert {column.name for column in TABLES[stream].own} <= fields
    assert {"at", "server_deleted_at", "deleted_at", "wid"} <= fields


@pytest.mark.parametrize("stream", TABLES)
def test_every_time_and_date_is_known_as_one(stream: str) -> None:
    shape = OBJECTS[stream]
    by_type = {
        kind: {column.name for column in TABLES[stream].own if column.type == kind} for kind in ("timestamp", "date")
    }
    assert by_type["timestamp"] <= set(shape.times)
    assert by_type["date"] == set(shape.dates)
