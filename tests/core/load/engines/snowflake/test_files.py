from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_toggl.core.load.engines.snowflake.files import (
    arrow_type,
    fix_types,
    from_result,
    from_texts,
    to_file,
)
from airflow_provider_toggl.core.load.engines.table_store.tables import STATE_TABLES, STORED_TABLES, StoredTable

MOMENTS = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(timezone.utc))  # noqa: DTZ001 - bounds
INT64 = st.integers(-(2**63), 2**63 - 1)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "bigint": INT64,
    "boolean": st.booleans(),
    "double": st.floats(allow_nan=False, allow_infinity=False),
    "timestamp": MOMENTS,
    "date": st.dates(),
    "bigint_list": st.lists(INT64, max_size=3),
}
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)


def build(table: StoredTable, rows: list[dict[str, Any]]) -> pa.Table:
    columns = {c.name: pa.array([row[c.name] for row in rows], arrow_type(c)) for c in table.columns}
    return pa.table(columns)


def rows_of(table: StoredTable) -> st.SearchStrategy[list[dict[str, Any]]]:
    row = {column.name: st.none() | VALUES.get(column.type, TEXTS) for column in table.columns}
    return st.lists(st.fixed_dictionaries(row), max_size=4)


@pytest.mark.parametrize("name", ["time_entries", "projects", "groups", "rejected_records"])
@given(data=st.data())
def test_what_is_written_to_a_file_is_read_as_it_was(name: str, data: st.DataObject) -> None:
    table = STORED_TABLES[name]
    rows = build(table, data.draw(rows_of(table)))
    assert from_result(table, to_file(table, rows)).equals(rows)


def test_lists_are_read_as_snowflake_writes_them() -> None:
    table = STORED_TABLES["groups"]
    plain = {column.name: pa.nulls(4, pa.string()) for column in table.columns}
    plain["user_ids"] = pa.array(["[\n  1,\n  -2\n]", "[]", None, "[9223372036854775807]"])
    plain |= {name: pa.nulls(4, pa.int64()) for name in ("id", "workspace_id")}
    plain |= {column.name: pa.nulls(4, pa.int64()) for column in table.columns if column.type == "timestamp"}
    found = from_result(table, pa.table(plain))
    assert found["user_ids"].to_pylist() == [[1, -2], [], None, [2**63 - 1]]


def test_the_state_is_read_from_texts() -> None:
    found = from_texts(STATE_TABLES["changed_days"], [("7", "2025-05-01", "3", "-62135596800000000", None, None)])
    assert found.to_pylist()[0]["day"] == date(2025, 5, 1)
    assert found["changed_at"].cast("int64").to_pylist() == [-62135596800000000]
    assert from_texts(STATE_TABLES["change_counter"], []).num_rows == 0


def test_results_have_the_types_of_all_engines() -> None:
    naive, moment = datetime(2025, 5, 1, 8), datetime(2025, 5, 1, 8, tzinfo=timezone.utc)  # noqa: DTZ001 - without a zone
    zoned = pa.array([moment], pa.timestamp("ns", "Europe/Berlin"))
    found = fix_types(
        pa.table(
            {
                "ID": pa.array([1], pa.int8()),
                "SUM": pa.array([Decimal(5)], pa.decimal128(38, 0)),
                "HUGE": pa.array([Decimal(2**70)], pa.decimal128(38, 0)),
                "AMOUNT": pa.array([Decimal("1.50")], pa.decimal128(18, 2)),
                "NAIVE": pa.array([naive], pa.timestamp("ns")),
                "ZONED": zoned,
            }
        )
    )
    types = [str(field.type) for field in found.schema]
    assert found.column_names == ["id", "sum", "huge", "amount", "naive", "zoned"]
    assert types[:4] == ["int64", "int64", "decimal128(38, 0)", "decimal128(18, 2)"]
    assert types[4:] == ["timestamp[us, tz=UTC]"] * 2
    assert found["naive"].to_pylist() == found["zoned"].to_pylist() == [moment]
    assert timedelta(0) == moment.utcoffset()
