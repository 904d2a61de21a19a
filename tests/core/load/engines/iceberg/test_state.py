"""The small tables as rows of one table."""

from __future__ import annotations

from datetime import date, datetime, timezone

import pyarrow as pa
import pytest

pytest.importorskip("pyiceberg")

from airflow_provider_toggl.core.load.engines.iceberg.schemas import ROOT_TABLE, arrow_schema
from airflow_provider_toggl.core.load.engines.iceberg.state import apply_change, join_state, split_state
from airflow_provider_toggl.core.load.engines.table_store.contract import TableChange
from airflow_provider_toggl.core.load.engines.table_store.tables import STATE_TABLES, StoredTable

MOMENT = datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=timezone.utc)
VALUES = {"bigint": 2**62, "timestamp": MOMENT, "date": date(1, 1, 1), "text": "ü\0", "word": "w", "key": "k"}
NOTHING = pa.array([], pa.string())


def filled(table: StoredTable) -> pa.Table:
    """Return a row with a value in each column."""
    row = {column.name: VALUES[column.type] for column in table.columns}
    return pa.Table.from_pylist([row], schema=arrow_schema(table.columns))


def test_what_is_joined_can_be_split_again() -> None:
    tables = {name: filled(table) for name, table in STATE_TABLES.items()}
    joined = join_state(tables)
    assert joined.schema == arrow_schema(ROOT_TABLE.columns)
    assert split_state(joined) == tables


def test_columns_of_the_same_name_have_the_same_type_in_all_small_tables() -> None:
    types: dict[str, set[pa.DataType]] = {}
    for table in STATE_TABLES.values():
        for field in arrow_schema(table.columns):
            types.setdefault(field.name, set()).add(field.type)
    assert {name for name, found in types.items() if len(found) > 1} == set()


@pytest.mark.parametrize("name", [name for name, table in STATE_TABLES.items() if table.key])
def test_a_row_replaces_the_one_with_its_key(name: str) -> None:
    table, row = STATE_TABLES[name], filled(STATE_TABLES[name])
    assert apply_change(row, TableChange(table, row, NOTHING, NOTHING)) == row
    assert apply_change(row.slice(1), TableChange(table, row, NOTHING, NOTHING)) == row


def test_a_table_without_a_key_has_the_rows_of_the_change() -> None:
    table = STATE_TABLES["change_counter"]
    old, new = (pa.table({"seq": [seq]}) for seq in (1, 2))
    assert apply_change(old, TableChange(table, new, NOTHING, NOTHING)) == new
