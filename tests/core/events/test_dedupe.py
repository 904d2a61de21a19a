from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.event_stores import new_event

from airflow_provider_toggl.core.events.dedupe import event_key, number_key


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
def test_bodies_that_tell_different_things_are_different_events(one: str | bytes, other: str | bytes) -> None:
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


@given(st.binary(max_size=100))
def test_any_bytes_have_a_key(body: bytes) -> None:
    assert body_key(body) == body_key(body)
