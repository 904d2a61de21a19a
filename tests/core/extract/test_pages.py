from __future__ import annotations

import json
from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_toggl.core.errors import MalformedAnswer
from airflow_provider_toggl.core.extract.pages import as_rows, count_rows, inspect_report, is_last, moment
from airflow_provider_toggl.core.streams import Stream


def report(count: int, first_row: int = 1, **fields: object) -> list[dict]:
    return [
        {
            "row_number": first_row + index,
            "time_entries": [
                {
                    "id": 10 + index,
                    "at": f"2026-01-01T00:00:{59 - index % 60:02}+00:00",
                    "start": "2026-01-01T00:00:00Z",
                }
                | fields
            ],
        }
        for index in range(count)
    ]


def look(rows, *, first_row=1, next_row=None, key="at"):
    body = rows if isinstance(rows, bytes) else json.dumps(rows).encode()
    return inspect_report(body, first_row=first_row, next_row=next_row, key=key, asked="POST /x")


def test_a_whole_page_is_counted_and_its_ends_are_known():
    page = look(report(3), next_row=4)
    assert (page.rows, page.first_id) == (3, 10)
    assert page.first_key == datetime(2026, 1, 1, 0, 0, 59, tzinfo=timezone.utc)
    assert page.last_key == datetime(2026, 1, 1, 0, 0, 57, tzinfo=timezone.utc)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_of_a_page_by_start_the_first_and_the_last_time_are_known(count: int):
    rows = report(count)
    for day, row in enumerate(rows, start=1):
        row["time_entries"][0]["start"] = f"2026-01-{day:02}T00:00:00Z"
    page = look(rows, key="start")
    assert (page.first_key, page.last_key) == tuple(datetime(2026, 1, day, tzinfo=timezone.utc) for day in (1, count))


def test_an_empty_page_is_whole():
    assert look([]).rows == 0
    assert look(b"null").rows == 0


@pytest.mark.parametrize(
    ("rows", "asked", "words"),
    [
        (report(2), {"next_row": 4}, "2 rows came"),
        (report(2) + report(1, first_row=4), {}, "missing"),
        (report(3, first_row=51), {"first_row": 101}, "rows 101 were requested"),
        ([], {"first_row": 5, "next_row": 5}, "0 rows came"),
    ],
    ids=["ends too early", "lacks one in the middle", "is another page", "is empty and announces more"],
)
def test_a_page_that_is_not_whole_is_refused(rows, asked, words):
    with pytest.raises(MalformedAnswer, match=words):
        look(rows, **asked)


def test_rows_without_numbers_are_taken_as_they_are():
    rows = report(3)
    for row in rows:
        del row["row_number"]
    assert look(rows).rows == 3


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"a": 1}', b'[{"row_number": 1', b"\xff\xfe"])
def test_what_is_not_a_list_is_refused(body):
    with pytest.raises(MalformedAnswer):
        look(body)


def test_a_row_of_another_shape_is_left_for_loading_to_reject():
    rows = report(3)
    rows[1]["time_entries"] = "none"
    assert look(rows).rows == 3


def test_order_is_judged_by_the_second():
    rows = report(2)
    rows[0]["time_entries"][0]["at"] = "2026-01-01T00:00:05.100000Z"
    rows[1]["time_entries"][0]["at"] = "2026-01-01T00:00:05.900000Z"
    assert look(rows).is_ordered(descending=True)


def test_a_broken_order_is_seen():
    rows = list(reversed(report(3)))
    for number, row in enumerate(rows, start=1):
        row["row_number"] = number
    assert not look(rows).is_ordered(descending=True)


def test_the_envelope_of_tasks_has_the_total():
    assert count_rows(b'{"data": [{}, {}], "total_count": 52, "page": 1}', "x") == (2, 52)
    # With a lone surrogate, which msgspec does not read.
    assert count_rows(b'{"data": [{"name": "\\ud800"}, {}], "total_count": 52}', "x") == (2, 52)


@pytest.mark.parametrize(("body", "rows"), [(b"[]", 0), (b"null", 0), (b"", 0), (b"[1, 2]", 2), (b'{"data": null}', 0)])
def test_lists_are_counted(body, rows):
    assert count_rows(body, "x")[0] == rows


@pytest.mark.parametrize("body", [b"<html>", b"[1,", b"7", b'"no"'])
def test_what_is_no_list_is_refused_by_name(body):
    with pytest.raises(MalformedAnswer, match="GET /tags"):
        count_rows(body, "GET /tags")


@pytest.mark.parametrize(
    ("rows", "page", "sent_size", "total", "last"),
    [
        (0, 3, None, None, True),
        (12, 1, None, None, True),
        (200, 1, None, None, False),
        (50, 1, None, None, False),
        (151, 1, 151, None, False),
        (150, 1, 151, None, False),
        (149, 1, 151, None, True),
        (151, 1, None, None, False),
        (1, 1, None, None, True),
        (50, 1, 50, 120, False),
        (20, 3, 50, 120, True),
        (200, 1, None, 200, True),
    ],
)
def test_the_last_page_is_recognized(rows, page, sent_size, total, last):
    assert is_last(rows, page=page, asked_size=200, sent_size=sent_size, total=total) is last


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-01T10:00:00Z",
        "2026-01-01T10:00:00+00:00",
        "2026-01-01T02:00:00-08:00",
        "2026-01-01T10:00:00.000000001Z",
    ],
)
def test_every_form_of_a_time_is_one_moment(text):
    found = moment(text)
    assert found is not None
    assert found.replace(microsecond=0) == datetime(2026, 1, 1, 10, tzinfo=timezone.utc)


@given(st.one_of(st.none(), st.text(), st.integers(), st.floats(), st.lists(st.text())))
def test_what_is_no_time_is_none(value):
    found = moment(value)
    assert found is None or found.tzinfo is timezone.utc


@given(st.binary(max_size=300))
def test_any_bytes_are_a_page_or_a_typed_error(body):
    try:
        look(body)
        count_rows(body, "x")
    except MalformedAnswer:
        pass


# -- forms of lists ----------------------------------------------------------------------------------------------------


def stream(**more: object) -> Stream:
    return Stream("things", "/api/v9/things", "whole", **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("of", "body", "rows"),
    [
        (stream(form="object"), b'{"id": 1}', [{"id": 1}]),
        (stream(form="object"), b"null", None),
        (
            stream(form="texts", key=("workspace_id", "code")),
            b'["USD", {"code": "EUR"}]',
            [{"code": "USD"}, {"code": "EUR"}],
        ),
        (stream(form="envelopes"), b'[{"data": [1], "total_count": 1}]', {"data": [1], "total_count": 1}),
        (stream(form="envelopes"), b'{"data": [1]}', {"data": [1]}),
        (stream(form="records"), b'{"data": [{"a": 1}], "x": 2}', {"data": [{"a": 1, "record": {"a": 1}}], "x": 2}),
        (stream(form="envelopes"), b'[{"id": 1}]', [{"id": 1}]),
        (stream(secrets=("token",)), b'[{"id": 1, "token": "x"}, 5]', [{"id": 1}, 5]),
        (stream(secrets=("token",)), b'{"data": [{"token": "x"}]}', {"data": [{}]}),
        (stream(form="object", secrets=("token",)), b'{"token": "x"}', [{}]),
    ],
)
def test_an_answer_of_each_form_becomes_rows_without_secrets(of: Stream, body: bytes, rows: object) -> None:
    assert json.loads(as_rows(of, body)) == rows


@given(st.binary() | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps).map(str.encode))
def test_what_has_another_form_stays_and_is_no_error(body: bytes) -> None:
    assert as_rows(stream(), body) is body
    for form in ("object", "envelopes"):
        try:
            value = json.loads(body)
        except (ValueError, RecursionError):
            continue
        if not isinstance(value, dict):
            assert json.loads(as_rows(stream(form=form), body)) == value
