from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from support.observations import report_row, v9_entry

from airflow_provider_toggl.core.land.rows import Unreadable, read_object, read_report_row


def raw(row: dict[str, Any]) -> msgspec.Raw:
    return msgspec.Raw(json.dumps(row).encode())


def test_instants_are_brought_to_one_form() -> None:
    entry: Any = read_object("time_entries", raw(v9_entry(start="2025-05-01T10:00:00.123456789+02:00", stop=None)))
    assert (entry.start, entry.stop) == ("2025-05-01T08:00:00.123456+00:00", None)
    row = read_report_row(raw(report_row()))
    assert row.time_entries[0].start == "2025-05-01T08:00:00+00:00"


def test_a_bad_instant_is_told_with_the_entry_that_it_is_in() -> None:
    row = report_row()
    row["time_entries"].append({**row["time_entries"][0], "stop": "later"})
    with pytest.raises(Unreadable, match=r"^time_entries\[1\]\.stop: not a date and time with its offset: 'later'"):
        read_report_row(raw(row))


def test_a_deleted_object_needs_its_id_only() -> None:
    deleted: Any = read_object("projects", raw({"id": 1, "server_deleted_at": "2025-05-01T08:00:00Z"}))
    assert deleted.id == 1
    with pytest.raises(Unreadable, match="name: missing"):
        read_object("projects", raw({"id": 1}))
