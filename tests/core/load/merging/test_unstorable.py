from __future__ import annotations

import json
from typing import Any

import pytest
from support.toggl_rows import WORKSPACE, at, decode, entries, report_row, tags, v9_entry

from airflow_provider_toggl.core.load.decode.records import Observation, RecordBatch, RejectedRecord, decode_page
from airflow_provider_toggl.core.load.merging import unstorable

ROCKET = "\U0001f680"


def rejected_of(batch: RecordBatch, lost: str = ROCKET) -> tuple[RecordBatch, list[RejectedRecord]]:
    (kept,) = unstorable.reject_unencodable_rows([batch], lost)
    return kept, list(kept.rejected)


def test_rows_with_a_text_or_a_list_that_is_longer_than_a_column_are_rejected() -> None:
    batch = decode(
        "time_entries", report_row(1), report_row(2, description="x" * 41), report_row(3, tag_ids=list(range(100, 120)))
    )
    (kept,) = unstorable.reject_long_rows([batch], 40, None)
    assert kept.table["id"].to_pylist() == [1]
    assert [one.reason for one in kept.rejected] == [
        "description: 41 characters; the database holds 40",
        "tag_ids: 100 characters; the database holds 40",
    ]


def test_each_character_beyond_ascii_is_listed_once() -> None:
    batch = entries(1, 2, description=f"ä{ROCKET}ä")
    record = RejectedRecord("tags", WORKSPACE, '"日"', "it is ü", at(0))
    assert unstorable.characters_of([RecordBatch("time_entries", batch.table, (record,)), tags(1)]) == f"äü日{ROCKET}"


def test_only_rows_with_a_lost_character_are_rejected() -> None:
    rows = [report_row(1), report_row(2, description=f"ä {ROCKET}"), report_row(3, description="ä")]
    kept, (one,) = rejected_of(decode("time_entries", *rows))
    assert kept.table["id"].to_pylist() == [1, 3]
    assert one.reason == "description: the encoding of the database has no U+1F680"
    assert one.raw.isascii()
    assert json.loads(one.raw)["description"] == f"ä {ROCKET}"


@pytest.mark.parametrize(
    ("stream", "row"),
    [
        ("time_entries", report_row(1, description=ROCKET, tag_ids=[2, 1], hourly_rate_in_cents=5, currency="EUR")),
        ("time_entries", v9_entry(2, description=ROCKET, stop=None, duration=-1)),
        ("time_entries", v9_entry(2, description=ROCKET, server_deleted_at="2025-05-03T00:00:00Z")),
        ("tags", {"id": 1, "name": ROCKET, "at": "2025-05-02T17:03:50+00:00"}),
        ("clients", {"id": 1, "name": ROCKET, "archived": True, "at": "2025-05-02T17:03:50Z", "notes": "a"}),
        (
            "projects",
            {
                "id": 1, "name": ROCKET, "rate": 0.1, "start_date": "2025-02-03", "at": "2025-05-02T17:03:50Z",
                "created_at": "2025-01-01T00:00:00Z", "recurring_parameters": [{"a": 1}],
            },
        ),
        ("tasks", {"id": 1, "name": ROCKET, "project_id": 2, "at": "2025-05-02T17:03:50Z"}),
        ("users", {"id": 1, "fullname": ROCKET, "at": "2025-05-02T17:03:50Z"}),
        ("groups", {"group_id": 1, "name": ROCKET, "users": [{"user_id": 4}], "workspaces": [7]}),
    ],
)  # fmt: skip
def test_the_raw_text_of_a_rejected_row_can_be_loaded_later(stream: str, row: dict[str, Any]) -> None:
    batch = decode(stream, row)
    kept, (one,) = rejected_of(batch)
    assert kept.rows == 0
    again = decode_page(stream, f"[{one.raw}]".encode(), Observation(one.workspace_id, one.observed_at))
    assert again.table.to_pydict() == batch.table.to_pydict() if stream != "projects" else again.rows == 1
    assert again.rejected == ()


def test_the_text_of_a_rejected_record_is_written_in_ascii() -> None:
    record = RejectedRecord("tags", WORKSPACE, f'{{"name": "ä{ROCKET}"}}', f"name: {ROCKET}", at(0))
    _, (one,) = rejected_of(RecordBatch("tags", tags(1).table, (record,)))
    assert (one.raw.isascii(), one.reason.isascii()) == (True, True)
    assert json.loads(one.raw) == json.loads(record.raw)
    _, (same,) = rejected_of(RecordBatch("tags", tags(1).table, (record,)), lost="日")
    assert same is record


@pytest.mark.parametrize(("raw", "reason"), [(f'"{ROCKET}"', "too long"), ('"a"', f"it is {ROCKET}")])
def test_a_rejected_record_is_stored_as_ascii_if_its_json_or_its_reason_has_a_lost_character(
    raw: str, reason: str
) -> None:
    batch = RecordBatch("tags", tags(1).table, (RejectedRecord("tags", WORKSPACE, raw, reason, at(0)),))
    _, (one,) = rejected_of(batch)
    assert one.raw.isascii()
    assert one.reason.isascii()
