from __future__ import annotations

import json
from datetime import date, datetime, timedelta, timezone
from enum import Enum
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_toggl.core import arguments
from airflow_provider_toggl.core.arguments import Parser, parse_file
from airflow_provider_toggl.core.errors import ConfigurationError

NOON = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)

PARSERS: dict[str, Parser] = {
    name: one
    for name, one in vars(arguments).items()
    if name.startswith("parse_") and name not in ("parse_choice", "parse_instant")
} | {
    "a choice": partial(arguments.parse_choice, options=("a", "b")),
    "a look back with words": partial(arguments.parse_look_back, words=("data_interval",)),
    "something required": arguments.required(arguments.parse_text),
}
each_parser = pytest.mark.parametrize("parser", PARSERS.values(), ids=PARSERS)

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.decimals(allow_nan=True)
    | st.text()
    | st.binary()
    | st.dates()
    | st.datetimes(timezones=st.none() | st.timezones())
    | st.timedeltas()
    | st.sampled_from(
        ["7", "None", "true", "0:01:00", "2026-11-20", "2026-11-20T12:00:00Z", "[7]", "{'a': 1}", '{"a": 1}']
    )
    | st.sampled_from([np.int64(7), np.bool_(True), np.float64("nan"), np.datetime64("2026-11-20"), pd.NaT, pd.NA])
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner), max_leaves=5
)


@each_parser
@settings(max_examples=60)
@given(VALUES)
def test_a_parser_refuses_by_name_or_gives_what_it_takes_again(parser: Parser, value: Any):
    try:
        parsed = parser("the_name", value)
    except ConfigurationError:
        return
    assert parser("the_name", parsed) == parsed


@given(VALUES)
def test_what_json_can_hold_is_held_by_json(value: Any):
    try:
        parsed = arguments.parse_json("json", value)
    except ConfigurationError:
        return
    assert json.loads(json.dumps(parsed, allow_nan=False)) == parsed


@given(st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30), timezones=st.timezones()))  # noqa: DTZ001
def test_a_moment_keeps_its_instant_as_an_object_and_as_text(moment: datetime):
    for name in ("parse_day", "parse_moment"):
        parsed = PARSERS[name]("since", moment)
        assert type(parsed) is datetime
        assert parsed == moment.astimezone(timezone.utc)
    if not moment.utcoffset().total_seconds() % 60:  # type: ignore[union-attr]
        assert arguments.parse_moment("since", moment.isoformat()) == moment.astimezone(timezone.utc)


@given(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=36_000)))
def test_a_length_of_time_is_the_same_as_a_timedelta_as_its_text_and_in_seconds(length: timedelta):
    seconds = length.total_seconds()
    for value in (length, str(length), seconds):
        assert arguments.parse_seconds("overlap", value) == pytest.approx(seconds)


@pytest.mark.parametrize("parse", [arguments.parse_seconds, arguments.parse_look_back])
def test_a_length_of_time_is_from_nothing_to_a_century(parse: Any):
    century = 100 * 366 * 86_400
    for seconds in (0, century):
        assert parse("overlap", seconds) in (seconds, timedelta(seconds=seconds))
    for seconds in (-1, century + 1):
        with pytest.raises(ConfigurationError, match="overlap"):
            parse("overlap", seconds)


def test_an_object_is_returned_with_all_that_is_in_it():
    assert arguments.parse_json_object("where", {"a": [1, None]}) == {"a": [1, None]}
    assert arguments.parse_json_object("where", None) is None


@given(st.integers(min_value=1, max_value=2**63 - 1))
def test_an_id_keeps_every_digit(number: int):
    for value in (number, str(number), f" {number} ", np.int64(number)):
        assert arguments.parse_id("workspace_id", value) == number


@pytest.mark.parametrize("number", [7.5, float(2**53)])
def test_a_float_with_a_fraction_or_too_large_to_be_exact_is_no_whole_number(number: float):
    with pytest.raises(ConfigurationError, match=f"workspace_id is {number}"):
        arguments.parse_id("workspace_id", number)


def test_an_error_names_the_parameter_the_value_and_what_is_allowed():
    with pytest.raises(ConfigurationError) as caught:
        arguments.parse_whole("page_size", "many", minimum=1, maximum=10)
    assert str(caught.value) == "page_size is 'many'; it must be a whole number from 1 to 10."


def test_a_number_is_within_its_limits():
    assert [arguments.parse_number("share", text, minimum=0, maximum=1) for text in ("0", "1")] == [0, 1]
    for number in (-0.1, 1.1):
        with pytest.raises(ConfigurationError, match=r"share is -?\d\.1; it must be a number from 0 to 1"):
            arguments.parse_number("share", number, minimum=0, maximum=1)


def test_a_long_value_is_cut_in_an_error():
    with pytest.raises(ConfigurationError) as caught:
        arguments.parse_id("project_id", "x" * 10_000)
    assert len(str(caught.value)) < 200


def test_members_of_an_enum_are_their_values():
    class Stream(str, Enum):
        ENTRIES = "time_entries"

    assert arguments.parse_stream("stream", Stream.ENTRIES) == "time_entries"


def test_plain_dates_are_returned_for_those_of_libraries():
    pendulum = pytest.importorskip("pendulum")
    for value, kind in (
        (pendulum.date(2026, 11, 20), date),
        (pendulum.datetime(2026, 11, 20, tz="Asia/Tokyo"), datetime),
    ):
        assert type(arguments.parse_day("since", value)) is kind
    assert type(arguments.parse_day("since", pd.Timestamp("2026-11-20T12:00", tz="UTC"))) is datetime


def test_text_of_code_is_read_and_not_run():
    with pytest.raises(ConfigurationError, match=r"^where is .* must be an object"):
        arguments.parse_object("where", "{'a': __import__('os').getpid()}")


def test_changes_of_an_entry_are_sent_in_toggl_s_form():
    changes = {
        "description": 5,
        "start": NOON,
        "stop": None,
        "duration": "60",
        "project_id": "8",
        "task_id": None,
        "tags": "a,b",
        "tag_ids": "4,,5",
        "tag_action": "add",
        "billable": "true",
    }
    assert arguments.parse_entry_changes("changes", changes) == {
        "description": "5",
        "start": "2026-11-20T12:00:00Z",
        "stop": None,
        "duration": 60,
        "project_id": 8,
        "task_id": None,
        "tags": ["a", "b"],
        "tag_ids": [4, 5],
        "tag_action": "add",
        "billable": True,
    }
    assert arguments.parse_entry_changes("changes", {"duration": -1}) == {"duration": -1}


@pytest.mark.parametrize(
    "changes", [{}, None, "x", {"colour": 1}, {"duration": "long"}, {"tag_ids": "4,None"}], ids=str
)
def test_changes_that_say_nothing_or_something_unknown_are_refused(changes: Any):
    with pytest.raises(ConfigurationError, match="changes"):
        arguments.parse_entry_changes("changes", changes)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (":memory:", "in memory is lost"),
        (":memory:shared", "in memory is lost"),
        ("/:memory:", "in memory is lost"),
        ("md:db?motherduck_token=secret-of-mine", "begins with 'md:'"),
        ("file:///tmp/secret-of-mine", "begins with 'file:'"),
        ("s3://bucket/secret-of-mine", "begins with 's3:'"),
        ("'/tmp/x'", "without quotation marks"),
        ('"/tmp/x"', "without quotation marks"),
        ("/tmp/a\0b", "without control characters"),
        ("/tmp/a\nb", "without control characters"),
        ("~nobody-has-this-name/x", "there is no such user"),
        ("${NOT_SET_ANYWHERE}/x", r"\${NOT_SET_ANYWHERE} is not set"),
        ("$NOT_SET_ANYWHERE/x", r"\$NOT_SET_ANYWHERE is not set"),
        ("/tmp/" + "x" * 300, "longer than a file's name can be"),
        (["/tmp/x"], "the path of a file"),
    ],
)
def test_what_is_no_file_of_this_host_is_refused_by_name(value: object, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        parse_file("the_name", value)
    assert str(caught.value).startswith("the_name ")
    assert "secret-of-mine" not in str(caught.value)


def test_a_path_is_taken_as_it_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/somewhere/me")
    monkeypatch.setenv("FOLDER", "/data")
    paths = {
        " ~/a.duckdb \n": "/somewhere/me/a.duckdb",
        "$FOLDER/a": "/data/a",
        "${FOLDER}/a": "/data/a",
        "/x/100%25 a'b\"c;?#$.db": "/x/100%25 a'b\"c;?#$.db",
        "relative/ü": "relative/ü",
    }
    assert {text: str(parse_file("x", text)) for text in paths} == paths
    assert parse_file("x", " ") is None
