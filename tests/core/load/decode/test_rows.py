from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

import pytest
from support.toggl_rows import report_row, v9_entry

from airflow_provider_toggl.core.load.decode.column_types import Unreadable
from airflow_provider_toggl.core.load.decode.rows import read_object, read_report_row
from airflow_provider_toggl.core.load.decode.shapes import OBJECTS

ENTRIES = OBJECTS["time_entries"]


def test_instants_are_in_utc_and_in_microseconds() -> None:
    row = read_object(ENTRIES, v9_entry(start="2025-05-01T10:00:00.123456789+02:00", stop=None))
    assert (row["start"], row["stop"]) == (datetime(2025, 5, 1, 8, 0, 0, 123456, tzinfo=timezone.utc), None)


def test_of_a_reports_row_the_entry_that_cannot_be_read_is_set_aside_and_the_others_are_kept() -> None:
    row = report_row()
    row["time_entries"].append({**row["time_entries"][0], "stop": "later"})
    good, bad = read_report_row(row)
    assert isinstance(good, dict)
    assert isinstance(bad, tuple)
    assert json.loads(bad[0]) == {**row, "time_entries": row["time_entries"][1:]}
    assert str(bad[1]).startswith("time_entries[1].stop: not a date and time with its offset: 'later'")


def test_a_reports_row_without_its_user_cannot_be_read() -> None:
    with pytest.raises(Unreadable, match="user_id: missing"):
        next(read_report_row(report_row(user_id=None)))


@pytest.mark.parametrize(("keys", "value"), [({"project_id": 1, "pid": 2}, 1), ({"project_id": None, "pid": 2}, 2)])
def test_the_first_key_that_is_not_null_counts(keys: dict[str, Any], value: int) -> None:
    assert read_object(ENTRIES, {**v9_entry(), **keys})["project_id"] == value
