from __future__ import annotations

import io
import json
from datetime import date, datetime, timezone
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_toggl.core.load.engines.bigquery import values
from airflow_provider_toggl.core.load.engines.table_store.contract import TableChange
from airflow_provider_toggl.core.load.engines.table_store.tables import StoredTable
from airflow_provider_toggl.core.load.tables.schemas import Column

TYPES = ("bigint", "word", "text", "boolean", "double", "timestamp", "date", "bigint_list", "json")
TABLE = StoredTable("all_types", tuple(Column(name, name) for name in TYPES), ("bigint",))
INT64 = st.integers(-(2**63), 2**63 - 1)
TEXTS = st.text(st.characters(codec="utf-8"))
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "bigint": INT64,
            "word": TEXTS,
            "text": st.none() | TEXTS,
            "boolean": st.none() | st.booleans(),
            "double": st.none() | st.floats(allow_nan=False),
            "timestamp": st.none() | st.datetimes(timezones=st.just(timezone.utc)),
            "date": st.none() | st.dates(),
            "bigint_list": st.none() | st.lists(INT64),
            "json": st.none() | TEXTS,
        }
    )
)


@given(ROWS)
def test_rows_come_back_as_they_were_written(rows: list[dict[str, Any]]) -> None:
    given_rows = pa.Table.from_pylist(rows, schema=values.arrow_schema(TABLE))
    stored = values.to_stored(TABLE, given_rows)
    assert values.from_stored(TABLE, stored) == given_rows
    assert values.decode_rows(TABLE, values.encode_rows(stored)) == given_rows


def test_a_commit_is_one_file_with_a_numbered_part_for_the_rows_and_the_deleted_keys_of_each_change() -> None:
    table = StoredTable("t", (Column("id", "bigint"), Column("at", "timestamp")), ("id",))
    instant = datetime(2025, 5, 1, tzinfo=timezone.utc)
    rows = pa.Table.from_pylist([{"id": 1, "at": instant}, {"id": 2, "at": None}], values.arrow_schema(table))
    none = pa.array([], pa.int64())
    changes = [TableChange(table, rows, none, none), TableChange(table, rows[:1], none, pa.array([9]))]
    found = pq.read_table(io.BytesIO(values.build_parts(changes))).to_pylist()
    first = json.dumps(["1", str(int(instant.timestamp()) * 1_000_000)], separators=(",", ":"))
    assert [(row["part"], row["content"]) for row in found] == [
        (0, first),
        (0, '["2",null]'),
        (2, first),
        (3, '["9"]'),
    ]


def test_parameters_have_the_types_of_their_values() -> None:
    now = datetime(2025, 5, 1, tzinfo=timezone.utc)
    given_values = [True, 1, 1.5, now, date(2025, 5, 1), "x", None]
    wanted = ["BOOL", "INT64", "FLOAT64", "TIMESTAMP", "DATE", "STRING", "STRING"]
    assert [values.parameter_type(value) for value in given_values] == wanted
