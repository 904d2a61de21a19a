from __future__ import annotations

import pyarrow as pa
import pytest
from support.toggl_rows import NOON, decode, report_row, v9_entry

from airflow_provider_toggl.core.load.decode.column_types import INSTANT
from airflow_provider_toggl.core.load.decode.columns import ARROW_SCHEMAS, arrays_of, build_table, count_odd_durations
from airflow_provider_toggl.core.load.tables.schemas import TABLES


@pytest.mark.parametrize("stream", TABLES)
def test_a_table_without_rows_has_its_columns(stream: str) -> None:
    for arrays in ({}, arrays_of(stream, [])):
        table = build_table(stream, arrays, workspace_id=7, observed_at=NOON)
        assert table.schema == ARROW_SCHEMAS[stream]
        assert table.num_rows == 0


def test_every_instant_is_in_utc_and_microseconds() -> None:
    fields = {field.type for schema in ARROW_SCHEMAS.values() for field in schema if pa.types.is_timestamp(field.type)}
    assert fields == {INSTANT}


def test_of_no_entries_no_duration_is_odd() -> None:
    assert count_odd_durations(build_table("time_entries", {}, workspace_id=7, observed_at=NOON)) == 0


def test_a_running_entry_is_not_odd() -> None:
    batch = decode("time_entries", v9_entry(1, stop=None, duration=-1), report_row(2))
    assert count_odd_durations(batch.table) == 0


@pytest.mark.parametrize("seconds", [2**63 - 1, -(2**63), 2700 + 2**44])
def test_a_duration_of_any_size_is_odd_and_does_not_overflow(seconds: int) -> None:
    assert count_odd_durations(decode("time_entries", report_row(1, seconds=seconds)).table) == 1
