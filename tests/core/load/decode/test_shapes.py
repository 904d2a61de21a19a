from __future__ import annotations

import pytest

from airflow_provider_toggl.core.load.decode.column_types import COLUMN_TYPES
from airflow_provider_toggl.core.load.decode.shapes import OBJECTS
from airflow_provider_toggl.core.load.tables.schemas import TABLES
from airflow_provider_toggl.core.streams import STREAMS

AMOUNTS = {"hourly_rate_cents", "billable_amount_cents", "currency"}


def test_there_is_a_shape_for_every_stream() -> None:
    assert OBJECTS.keys() == TABLES.keys()


OTHERWISE_NAMED = {
    "timesheet_setups": {"approver_ids"},
    "timesheets": {"approver_ids"},
    "organization_users": {"group_ids", "user_workspaces"},
    "workspaces": {"workspace_id"},
}


@pytest.mark.parametrize("stream", sorted(TABLES.keys() - {"groups", "time_entries"}))
def test_a_shape_has_a_field_for_every_column_that_toggl_fills(stream: str) -> None:
    fields = set(OBJECTS[stream].struct.__struct_fields__)
    derived = {"id"} if STREAMS[stream].key else set()
    assert {column.name for column in TABLES[stream].own} - derived - OTHERWISE_NAMED.get(stream, set()) <= fields
    assert {"at", "server_deleted_at", "deleted_at"} <= fields
    assert "wid" in fields or stream == "workspaces"


@pytest.mark.parametrize("stream", TABLES)
def test_every_column_that_toggl_fills_is_parsed_as_its_type(stream: str) -> None:
    types = {column.name: column.type for column in TABLES[stream].own}
    parsed = {field.column: field.type for field in OBJECTS[stream].fields}
    others = {"start": "timestamp", "members": "bigint_list", "groups": "bigint_list"}
    if STREAMS[stream].key:
        assert types.pop("id") == "bigint"
        assert "id" not in parsed
    assert {others.get(type_, type_) for type_ in parsed.values()} <= COLUMN_TYPES.keys()
    for name, type_ in types.items() - {(name, types[name]) for name in AMOUNTS & types.keys()}:
        assert others.get(parsed[name], parsed[name]) == type_
    assert (parsed["at"], parsed["deleted_at"]) == ("timestamp", "timestamp")
