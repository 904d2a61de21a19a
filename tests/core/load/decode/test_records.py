from __future__ import annotations

import json
import logging
import subprocess
import sys
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.toggl_rows import NOON, WORKSPACE, at, decode, page, report_row, v9_entry

from airflow_provider_toggl.core.errors import ConfigurationError, MalformedAnswer
from airflow_provider_toggl.core.load.decode import records
from airflow_provider_toggl.core.load.decode.records import (
    RAW_LIMIT,
    Observation,
    RecordBatch,
    build_absences,
    decode_page,
)
from airflow_provider_toggl.core.load.tables.schemas import TABLES
from airflow_provider_toggl.core.load.warehouse import Warehouse

OBSERVATION = Observation(WORKSPACE, NOON)
MINIMAL = {
    "projects": {"id": 1, "name": "x"},
    "clients": {"id": 1, "name": "x"},
    "tags": {"id": 1, "name": "x"},
    "tasks": {"id": 1, "name": "x"},
    "users": {"id": 1},
    "project_users": {"id": 1, "project_id": 2},
    "groups": {"group_id": 1, "name": "x"},
    "rates": {"id": 1, "type": "labor_costs", "level": "project_user"},
    "workspace_users": {"id": 1, "user_id": 2},
    "timesheet_setups": {"id": 1, "member_id": 2},
    "organization_users": {"id": 1, "user_id": 2},
    "project_groups": {"id": 1, "pid": 2, "group_id": 3},
    "invoices": {"user_invoice_id": 1},
    "expenses": {"id": 1},
    "goals": {"goal_id": 1, "user_id": 2},
    "alerts": {"id": 1, "source_kind": "x"},
    "workspaces": {"id": 1, "name": "x"},
    "organizations": {"id": 1, "name": "x"},
}


def only(batch: RecordBatch) -> dict[str, Any]:
    (row,) = batch.table.to_pylist()
    return dict(row)


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=timezone.utc)  # type: ignore[arg-type, misc]


def test_a_report_row_becomes_a_row_of_time_entries() -> None:
    row = report_row(
        5, tag_ids=[3, 4], billable=True, hourly_rate_in_cents=6000, billable_amount_in_cents=4500, task_id=6
    )
    assert only(decode("time_entries", row, seconds=9)) == {
        "id": 5,
        "workspace_id": WORKSPACE,
        "user_id": 10,
        "project_id": 20,
        "task_id": 6,
        "description": "Work",
        "billable": True,
        "tag_ids": [3, 4],
        "start": utc(2025, 5, 1, 8),
        "stop": utc(2025, 5, 1, 8, 45),
        "duration": 2700,
        "hourly_rate_cents": 6000,
        "billable_amount_cents": 4500,
        "currency": "USD",
        "updated_at": utc(2025, 5, 2, 17, 3, 50),
        "observed_at": at(9),
        "seen_at": at(9),
        "deleted_at": None,
        "absent_at": None,
    }


def test_a_v9_entry_and_its_report_row_differ_in_the_currency_only() -> None:
    report, v9 = (only(decode("time_entries", row)) for row in (report_row(), v9_entry()))
    assert {name for name in report if report[name] != v9[name]} == {"currency"}


def test_every_entry_of_a_grouped_report_row_becomes_a_row() -> None:
    first, second = report_row(1), report_row(2)
    first["time_entries"] += second["time_entries"]
    rows = decode("time_entries", first, report_row(3, project_id=99)).table.to_pylist()
    assert [(row["id"], row["project_id"]) for row in rows] == [(1, 20), (2, 20), (3, 99)]


def test_report_rows_and_v9_entries_may_come_in_one_page() -> None:
    rows = decode("time_entries", report_row(1), v9_entry(2), report_row(3)).table.to_pylist()
    assert {row["id"] for row in rows} == {1, 2, 3}


def test_a_v9_entry_of_another_workspace_keeps_its_own() -> None:
    assert only(decode("time_entries", v9_entry(workspace_id=8)))["workspace_id"] == 8


@pytest.mark.parametrize("stream", MINIMAL)
def test_an_object_with_the_least_that_it_must_have_becomes_a_row(stream: str) -> None:
    row = only(decode(stream, MINIMAL[stream]))
    assert (row["id"], row["workspace_id"], row["seen_at"]) == (1, 1 if stream == "workspaces" else WORKSPACE, NOON)
    assert list(row) == [column.name for column in TABLES[stream].columns]


@pytest.mark.parametrize("stream", TABLES)
@pytest.mark.parametrize("body", [b"null", b"[]", b" [ ] ", b'{"data": []}', b'{"data": null}'])
def test_an_answer_without_rows_is_an_empty_batch_with_all_columns(stream: str, body: bytes) -> None:
    batch = decode_page(stream, body, OBSERVATION)
    assert (batch.rows, batch.rejected, batch.unexpected_durations) == (0, (), 0)
    assert batch.table.schema.names == [column.name for column in TABLES[stream].columns]


def test_tasks_may_come_in_their_envelope() -> None:
    body = json.dumps({"data": [{"id": 1, "name": "x", "project_id": 5}], "page": 1, "total_count": 1}).encode()
    assert only(decode_page("tasks", body, OBSERVATION))["project_id"] == 5


def test_the_members_of_a_group_become_a_list_of_ids() -> None:
    group = {"group_id": 4, "name": "G", "users": [{"user_id": 1, "name": "A"}, {"user_id": 2}], "workspaces": [7, 8]}
    row = only(decode("groups", group))
    assert (row["id"], row["user_ids"], row["workspace_ids"]) == (4, [1, 2], [7, 8])


def test_a_project_keeps_dates_money_and_nested_settings() -> None:
    project = {
        "id": 1,
        "name": "P",
        "wid": 99,
        "rate": 12.5,
        "fixed_fee": 100,
        "start_date": "2025-04-09",
        "created_at": "2025-04-09T04:23:27+00:00",
        "recurring_parameters": [{"period": "monthly"}],
        "current_period": None,
    }
    row = only(decode("projects", project))
    assert row["workspace_id"] == 99
    assert (row["rate"], row["fixed_fee"]) == (12.5, 100.0)
    assert str(row["start_date"]) == "2025-04-09"
    assert json.loads(row["recurring_parameters"]) == [{"period": "monthly"}]
    assert row["current_period"] is None


# Times


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2025-05-01T08:00:00Z", utc(2025, 5, 1, 8)),
        ("2025-05-01T08:00:00+00:00", utc(2025, 5, 1, 8)),
        ("2025-05-01T13:30:00+05:30", utc(2025, 5, 1, 8)),
        ("2025-04-30T19:00:00-13:00", utc(2025, 5, 1, 8)),
        ("2025-05-01T08:00:00.5667Z", utc(2025, 5, 1, 8, 0, 0, 566700)),
        ("2025-05-01T08:00:00.207820267Z", utc(2025, 5, 1, 8, 0, 0, 207820)),
        ("1969-12-31T23:59:59Z", utc(1969, 12, 31, 23, 59, 59)),
    ],
)
def test_an_instant_may_have_any_offset_and_fraction(text: str, instant: datetime) -> None:
    row = v9_entry(start=text, stop=None)
    assert only(decode("time_entries", row))["start"] == instant


@pytest.mark.parametrize("fraction", ["", ".1", ".999999", ".999999999"])
def test_the_time_of_the_last_update_is_cut_to_whole_seconds(fraction: str) -> None:
    row = v9_entry(at=f"2025-05-02T17:03:50{fraction}Z")
    assert only(decode("time_entries", row))["updated_at"] == utc(2025, 5, 2, 17, 3, 50)


def test_a_deleted_object_was_not_seen_but_deleted() -> None:
    row = only(decode("projects", {"id": 1, "name": "x", "server_deleted_at": "2025-05-02T17:03:50+00:00"}))
    assert (row["seen_at"], row["deleted_at"], row["observed_at"]) == (None, utc(2025, 5, 2, 17, 3, 50), NOON)


def test_a_deleted_tag_says_so_in_another_field() -> None:
    assert only(decode("tags", {"id": 1, "name": "x", "deleted_at": "2025-05-02T17:03:50Z"}))["seen_at"] is None


def test_of_a_deleted_entry_the_id_is_enough() -> None:
    row = only(decode("time_entries", {"id": 5, "server_deleted_at": "2025-05-02T17:03:50Z"}))
    assert (row["id"], row["updated_at"], row["seen_at"]) == (5, None, None)


# Running entries and durations


def test_a_running_entry_has_neither_stop_nor_duration() -> None:
    row = only(decode("time_entries", v9_entry(stop=None, duration=-1734049107)))
    assert (row["stop"], row["duration"]) == (None, None)


def test_an_entry_made_without_a_duration_is_not_running() -> None:
    batch = decode("time_entries", v9_entry(stop=None, duration=0))
    assert (only(batch)["duration"], batch.unexpected_durations) == (0, 0)


def test_running_and_stopped_entries_do_not_mix_their_durations() -> None:
    running = [v9_entry(2, stop=None, duration=-1), v9_entry(3, stop=None, duration=5)]
    rows = decode("time_entries", v9_entry(1), *running, v9_entry(4, stop=None, duration=0))
    assert rows.table["duration"].to_pylist() == [2700, None, None, 0]
    assert rows.unexpected_durations == 0


def test_a_duration_that_is_not_from_start_to_stop_is_kept_and_counted() -> None:
    batch = decode("time_entries", report_row(1, seconds=3700), report_row(2))
    assert (batch.table["duration"].to_pylist(), batch.unexpected_durations) == ([3700, 2700], 1)


def test_an_entry_that_stops_before_it_starts_is_kept_and_counted() -> None:
    batch = decode("time_entries", report_row(1, stop="2025-04-30T23:00:00-08:00", seconds=-3600))
    assert (only(batch)["duration"], batch.unexpected_durations) == (-3600, 1)


def test_a_fraction_of_a_second_makes_no_duration_odd() -> None:
    batch = decode("time_entries", v9_entry(start="2025-05-01T08:00:00.700Z"))
    assert batch.unexpected_durations == 0


# Values at their limits


@pytest.mark.parametrize("id_", [1, 2**31, 2**53 + 1, 2**63 - 1])
def test_an_id_may_have_up_to_63_bits(id_: int) -> None:
    assert only(decode("time_entries", report_row(id_)))["id"] == id_


@settings(max_examples=30)
@given(text=st.text())
def test_a_description_may_be_any_text(text: str) -> None:
    assert only(decode("time_entries", report_row(description=text)))["description"] == text


def test_a_description_may_have_100_kilobytes_and_the_null_character() -> None:
    text = "ü\0" * 50_000
    assert only(decode("time_entries", report_row(description=text)))["description"] == text


@pytest.mark.parametrize(
    ("escaped", "text"),
    [
        (rb"\ud800", "\ufffd"),
        (rb"a\udc00b", "a\ufffdb"),
        (rb"\ud83d\ude00 \ud83d", "\U0001f600 \ufffd"),
        (rb"\\ud800", r"\ud800"),
    ],
)
def test_a_lone_surrogate_becomes_the_replacement_character(escaped: bytes, text: str) -> None:
    body = page(report_row(description="HERE")).replace(b"HERE", escaped)
    assert only(decode_page("time_entries", body, OBSERVATION))["description"] == text


@pytest.mark.parametrize("tag_ids", [None, []])
def test_no_tags_are_an_empty_list_however_toggl_says_it(tag_ids: list[int] | None) -> None:
    assert only(decode("time_entries", report_row(tag_ids=tag_ids)))["tag_ids"] == []


def test_unknown_fields_are_ignored_and_logged_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "_logged", set())
    with caplog.at_level(logging.DEBUG, logger=records.__name__):
        for _ in range(3):
            assert decode("tags", {"id": 1, "name": "x", "colour_of_tomorrow": {"deep": [1]}}).rows == 1
    assert [record.getMessage() for record in caplog.records] == [
        "Fields of tags that Toggl sends and no column keeps: colour_of_tomorrow"
    ]


# What cannot be read


@pytest.mark.parametrize(
    ("stream", "bad", "reason"),
    [
        ("time_entries", report_row(seconds="3600"), 'time_entries[0].seconds: "3600" is not a whole number'),
        ("time_entries", report_row(2**63), "time_entries[0].id: 9223372036854775808 does not fit into 64 bits"),
        ("time_entries", report_row(start="yesterday"), "time_entries[0].start: not a date and time"),
        ("time_entries", report_row(start="2025-05-01T08:00:00"), "time_entries[0].start: not a date and time"),
        ("time_entries", report_row(start="2025-02-30T08:00:00Z"), "time_entries[0].start: no such date"),
        ("time_entries", report_row(at=None), "time_entries[0].at: missing"),
        ("time_entries", report_row(time_entries=[]), "time_entries: empty"),
        ("time_entries", {**report_row(), "time_entries": None}, "time_entries: null is not a list"),
        ("time_entries", {"user_id": 3, "time_entries": [{"id": 1}]}, "project_id: missing"),
        ("time_entries", v9_entry(start=None), "start: missing"),
        ("time_entries", {"id": 3, "start": "2025-05-01T08:00:00Z", "duration": 5}, "at: missing"),
        ("time_entries", v9_entry(tag_ids=["x"]), 'tag_ids: "x" is not a whole number'),
        ("time_entries", 5, "5 is not an object"),
        ("tags", {"name": "x"}, "id: missing"),
        ("tags", {"id": 1, "name": None}, "name: missing"),
        ("groups", {"name": "x"}, "group_id: missing"),
        ("projects", {"id": 1, "name": "x", "start_date": "soon"}, 'start_date: "soon" is not a date (YYYY-MM-DD)'),
        ("projects", {"id": 1, "name": "x", "created_at": "soon"}, "created_at: not a date and time"),
    ],
)
def test_a_row_that_cannot_be_read_is_rejected_by_the_name_of_its_field(stream: str, bad: Any, reason: str) -> None:
    good = report_row(77) if stream == "time_entries" else {**MINIMAL[stream], "id": 77}
    batch = decode(stream, good, bad, seconds=3)
    assert batch.table["id" if stream != "groups" else "name"].to_pylist() == [77 if stream != "groups" else "x"]
    (rejected,) = batch.rejected
    assert rejected.reason.startswith(reason)
    assert json.loads(rejected.raw) == bad
    assert (rejected.stream, rejected.workspace_id, rejected.observed_at) == (stream, WORKSPACE, at(3))


def test_what_is_kept_of_a_rejected_row_is_capped() -> None:
    batch = decode("tags", {"id": 1, "name": "x"}, {"id": "bad", "name": "y" * 2 * RAW_LIMIT})
    assert len(batch.rejected[0].raw) == RAW_LIMIT


def test_half_of_the_rows_may_be_bad_and_more_may_not() -> None:
    good, bad = {"id": 1, "name": "x"}, {"id": 2}
    assert len(decode("tags", bad).rejected) == 1
    assert len(decode("tags", *[good, bad] * 12).rejected) == 12
    with pytest.raises(
        MalformedAnswer, match=r"12 of 20 rows of tags cannot be read; the first: name: missing.*newer release"
    ):
        decode("tags", *[good] * 8, *[bad] * 12)


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>502</html>", b'[{"id": 1', b"[1] trailing", b'"text"', b"{}", b'{"data": 5}', b"\xff"],
)
@pytest.mark.parametrize("stream", ["time_entries", "tags"])
def test_what_is_not_a_json_list_is_a_malformed_answer(stream: str, body: bytes) -> None:
    with pytest.raises(MalformedAnswer):
        decode_page(stream, body, OBSERVATION)


def test_json_nested_without_end_is_a_malformed_answer() -> None:
    with pytest.raises(MalformedAnswer):
        decode_page("tags", b"[" * 200_000, OBSERVATION)


def test_an_unknown_stream_is_named_with_those_there_are() -> None:
    with pytest.raises(ConfigurationError, match=r"'estimates'. Streams: time_entries, projects"):
        decode_page("estimates", b"[]", OBSERVATION)


@settings(max_examples=60, deadline=timedelta(seconds=2))
@given(body=st.binary() | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps).map(str.encode))
def test_no_body_makes_another_error_than_a_malformed_answer(body: bytes) -> None:
    with suppress(MalformedAnswer):
        decode_page("time_entries", body, OBSERVATION)


@pytest.mark.parametrize(
    ("steps", "live"),
    [("s1 a2", 0), ("a2 s1", 0), ("s1 a2 s3", 1), ("s3 s1 a2", 1), ("s1 s3 a2", 1), ("s3 a2 a2", 1)],
)
def test_a_row_that_a_report_lacks_is_live_only_if_it_was_seen_later(target: Warehouse, steps: str, live: int) -> None:
    # s: an entry was seen; a: a report lacked it; each with its second.
    for kind, second in steps.split():
        seen = decode("time_entries", v9_entry(), seconds=int(second))
        target.load([seen if kind == "s" else build_absences("time_entries", WORKSPACE, [1], at(int(second)))])
    assert target.query("select id from live_time_entries").num_rows == live
    assert target.query("select description from time_entries")[0].to_pylist() == ["Work"]


def test_importing_the_warehouse_imports_nothing_heavy() -> None:
    program = (
        "import sys; import airflow_provider_toggl.core.load.warehouse; "
        "print(sorted({'duckdb', 'msgspec', 'numpy', 'pandas', 'pyarrow'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
