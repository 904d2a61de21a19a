from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pendulum
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.event_stores import RECEIVED, new_event

from airflow_provider_toggl.core.errors import EventStoreDamaged
from airflow_provider_toggl.core.events.rows import (
    EVENT_COLUMNS,
    event_from_row,
    event_key,
    event_to_row,
    from_microseconds,
    json_text_from_bytes,
    json_text_to_bytes,
    number_key,
    to_microseconds,
)


def test_a_row_has_a_value_for_each_column() -> None:
    assert len(event_to_row(new_event())) == len(EVENT_COLUMNS)
    assert event_from_row((5, *event_to_row(new_event())[1:])).event == new_event()


@given(st.datetimes(timezones=st.timezones()))
def test_instants_come_back_as_they_were(moment: datetime) -> None:
    try:
        wanted = moment.astimezone(timezone.utc)
    except OverflowError:
        return
    assert from_microseconds(to_microseconds(moment)) == wanted


def test_pendulum_s_instants_are_as_good() -> None:
    # What a run's data interval begins at is one.
    assert to_microseconds(pendulum.instance(RECEIVED)) == to_microseconds(RECEIVED)
    assert to_microseconds(pendulum.datetime(1969, 12, 31, 23, 59, 59, 999_999)) == -1


@given(st.text() | st.text(st.characters(categories=["Cs"])))
def test_any_text_of_json_comes_back_as_it_was(text: str) -> None:
    assert json_text_from_bytes(json_text_to_bytes(text)) == text


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("body", b"other"),
        ("body", None),
        ("body", "text"),
        ("body_crc32", 0),
        ("event_id", "x"),
        ("event_id", None),
        ("subscription_id", ""),
        ("received_at", None),
        ("received_at", 2**62),
        ("created_at", "x"),
    ],
)
def test_a_row_that_cannot_be_what_was_stored_is_reported(column: str, value: Any) -> None:
    row = dict(zip(EVENT_COLUMNS, event_to_row(new_event()), strict=True)) | {column: value}
    with pytest.raises(EventStoreDamaged, match=r"Event 7 is not as it was stored.*delete the row of seq 7"):
        event_from_row((7, *list(row.values())[1:]))


def test_a_time_of_another_zone_is_kept_as_the_same_instant() -> None:
    tokyo = timezone(timedelta(hours=9))
    row = event_to_row(new_event(received_at=RECEIVED.astimezone(tokyo)))
    assert event_from_row((1, *row[1:])).event.received_at == RECEIVED


# -- keys of duplicates -----------------------------------------------------------------------------------------------


def body_key(body: bytes | str) -> str:
    return event_key(new_event(0, body=body.encode() if isinstance(body, str) else body))


def test_a_positive_id_decides_whatever_the_body_is() -> None:
    assert event_key(new_event(7, body=b"a")) == event_key(new_event(7, body=b"b")) == "10713/7"


@pytest.mark.parametrize("digits", [1, 40, 41, 4000])
def test_a_key_stays_short_however_long_the_number_is(digits: int) -> None:
    number = 10 ** (digits - 1)
    assert len(number_key(number)) <= 80
    assert number_key(number) != number_key(number + 1)


def test_only_the_outermost_timestamp_does_not_count() -> None:
    first = body_key('{"event_id":0,"timestamp":"1","payload":{"timestamp":"1"}}')
    assert first == body_key('{"event_id":0,"timestamp":"2","payload":{"timestamp":"1"}}')
    assert first != body_key('{"event_id":0,"timestamp":"1","payload":{"timestamp":"2"}}')


def test_a_negative_id_identifies_nothing_either() -> None:
    assert event_key(new_event(-1, body=b'{"timestamp":1}')) == event_key(new_event(-1, body=b'{"timestamp":2}'))
    assert event_key(new_event(-1, body=b"a")) != event_key(new_event(-1, body=b"b"))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"a":1}', '{"a":2}'),
        ('{"a":1}', '{"a":1.0}'),
        ('{"a":1.0}', '{"a":"1.0"}'),
        ('{"a":1.0}', '{"a":1.00}'),
        ('{"a":1e400}', '{"a":1e401}'),
        ('{"a":NaN}', '{"a":"NaN"}'),
        ('{"a":{"b":1}}', '{"a":["b",1]}'),
        ('{"a":{"b":1}}', '{"a":[["b",1]]}'),
        ('{"a":1,"a":2}', '{"a":2}'),
        ('{"a":true}', '{"a":1}'),
        ('{"a":"\\ud800"}', '{"a":"\\ud801"}'),
        ("[1]", "[2]"),
        ("not JSON", "not JSON either"),
        (b"\xff", b"\xfe"),
        ('{"a":' * 100_000, '{"b":' * 100_000),
        ('{"a":%s}' % ("9" * 5000), '{"a":%s}' % ("8" * 5000)),
    ],
)
def test_bodies_with_a_difference_have_different_keys(one: str | bytes, other: str | bytes) -> None:
    assert body_key(one) != body_key(other)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)


@given(st.dictionaries(st.text(max_size=9), JSON), JSON, JSON)
def test_a_body_sent_again_with_another_timestamp_is_the_same_event(fields: dict, one: object, other: object) -> None:
    keys = {body_key(json.dumps({**fields, "timestamp": timestamp})) for timestamp in (one, other)}
    assert len(keys) == 1
