"""A commit is one row, whatever it changes."""

from __future__ import annotations

from datetime import datetime, timezone

import pyarrow as pa
import pytest
from support.toggl_rows import tags

from airflow_provider_toggl.core.load.engines.clickhouse.commits import (
    build_commit,
    compact,
    count_rows,
    encode,
    rows_of_tuples,
)
from airflow_provider_toggl.core.load.engines.clickhouse.tables import arrow_schema
from airflow_provider_toggl.core.load.engines.table_store.contract import TableChange
from airflow_provider_toggl.core.load.engines.table_store.tables import REJECTED, STORED_TABLES

TAGS = STORED_TABLES["tags"]
READ_AT = pa.scalar(datetime(2026, 1, 1, tzinfo=timezone.utc), pa.timestamp("us", "UTC"))


def none(type_: pa.DataType) -> pa.Array:
    return pa.array([], type_)


def test_rows_of_several_tables_are_one_row() -> None:
    rejected = arrow_schema(REJECTED).empty_table()
    changes = [
        TableChange(TAGS, tags(1, 2).table, none(pa.int64()), none(pa.int64())),
        TableChange(REJECTED, rejected, none(pa.string()), pa.array(["a", "b", "c"])),
    ]
    row = build_commit(7, "me", READ_AT, changes)
    (only,) = row.to_pylist()
    assert (only["revision"], only["writer"], only["changed_rows"]) == (7, "me", 5)
    assert (only["tags.id"], only["tags.name"]) == ([1, 2], ["tag 1", "tag 2"])
    assert (only["tags.is_deleted"], only["rejected_records.is_deleted"]) == ([0, 0], [1, 1, 1])
    assert (only["rejected_records.id"], only["rejected_records.raw"]) == (["a", "b", "c"], [None] * 3)
    assert sum(map(count_rows, changes)) == 5
    assert pa.ipc.open_stream(encode(row)).read_all() == row


def test_rows_come_back_from_an_array_of_tuples_also_if_there_are_none() -> None:
    table = STORED_TABLES["sync_state"]
    schema = arrow_schema(table)
    for rows in ([], [dict.fromkeys(schema.names) | {"stream": "tags", "scope": "7"}]):
        column = pa.chunked_array([pa.array([rows], pa.list_(pa.struct(list(schema))))])
        found = rows_of_tuples(column, table)
        assert found.schema == schema
        assert found.to_pylist() == rows


@pytest.mark.parametrize("tables", [[], ["tags", "sync_state"]])
def test_a_compaction_is_recorded_after_the_rows_are_copied_and_before_commits_are_emptied(tables: list[str]) -> None:
    begins = [statement.split("(")[0] for statement in compact(tables, 16)]
    copied = [f'insert into "stored_{table}" ' for table in tables]
    assert begins == [*copied, 'insert into "toggl_compactions" ', 'insert into "toggl_commits" ']
