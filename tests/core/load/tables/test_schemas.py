from __future__ import annotations

from airflow_provider_toggl.core.load.tables.schemas import TABLES
from airflow_provider_toggl.core.streams import STREAMS

TYPES = {"bigint", "boolean", "text", "double", "timestamp", "date", "bigint_list", "json"}


def test_there_is_a_table_for_every_stream() -> None:
    assert TABLES.keys() == STREAMS.keys()
    assert {name: table.name for name, table in TABLES.items()} == {name: name for name in TABLES}


def test_every_table_begins_with_id_and_workspace_and_ends_with_the_five_times() -> None:
    for table in TABLES.values():
        names = [column.name for column in table.columns]
        assert names[:2] == ["id", "workspace_id"]
        assert names[-5:] == ["updated_at", "observed_at", "seen_at", "deleted_at", "absent_at"]
        assert [column.name for column in table.own] == names[:-5]
        assert len(set(names)) == len(names)


def test_types_are_those_that_every_engine_is_asked_for() -> None:
    assert {column.type for table in TABLES.values() for column in table.columns} == TYPES


def test_the_columns_of_time_entries_are_public() -> None:
    assert [f"{column.name} {column.type}" for column in TABLES["time_entries"].own] == [
        "id bigint",
        "workspace_id bigint",
        "user_id bigint",
        "project_id bigint",
        "task_id bigint",
        "description text",
        "billable boolean",
        "tag_ids bigint_list",
        "start timestamp",
        "stop timestamp",
        "duration bigint",
        "hourly_rate_cents bigint",
        "billable_amount_cents bigint",
        "currency text",
    ]
