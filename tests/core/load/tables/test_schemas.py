from __future__ import annotations

from datetime import date, timedelta

from airflow_provider_toggl.core.load.tables.schemas import TABLES, derive_id
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


def test_a_derived_id_is_the_same_in_every_release() -> None:
    assert derive_id(71_003, date(2026, 1, 5)) == 8_688_805_766_559_761_212
    assert derive_id(71_003, "2026-01-05") == derive_id(71_003, date(2026, 1, 5))
    assert 0 < derive_id(7, "USD") < 2**63


def test_different_keys_have_different_ids() -> None:
    keys = [(setup, date(2026, 1, 5) + timedelta(days=7 * week)) for setup in range(200) for week in range(50)]
    assert len({derive_id(*key) for key in keys}) == len(keys)
    assert derive_id(1, "23") != derive_id(12, "3")
