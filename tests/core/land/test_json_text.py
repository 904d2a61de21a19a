from __future__ import annotations

import json

import msgspec
import pytest

from airflow_provider_toggl.core.errors import MalformedAnswer
from airflow_provider_toggl.core.land.json_text import begin_of, read_reason, repair_surrogates, unwrap_list


@pytest.mark.parametrize(
    ("body", "rows"),
    [
        (b"[1]", b"[1]"),
        (b"null", b"[]"),
        (b" null\n", b"[]"),
        (b'{"data": [1], "page": 1}', b"[1]"),
        (b'{"data":null}', b"[]"),
    ],
)
def test_the_list_is_taken_out_of_what_is_around_it(body: bytes, rows: bytes) -> None:
    assert unwrap_list("tasks", body) == rows


def test_an_object_that_wraps_nothing_is_malformed() -> None:
    with pytest.raises(MalformedAnswer, match="tasks is an object without `data`"):
        unwrap_list("tasks", b'{"error": "x"}')


def test_lone_surrogates_are_replaced_wherever_they_are() -> None:
    repaired = repair_surrogates("tags", rb'[{"a\ud800": ["\udfff", 1, null, true, 2.5, "\ud83d\ude00"]}]')
    assert json.loads(repaired) == [{"a\ufffd": ["\ufffd", 1, None, True, 2.5, "\U0001f600"]}]


def test_what_is_wrong_otherwise_is_told_with_its_beginning() -> None:
    with pytest.raises(MalformedAnswer, match=r"tags is not JSON \(.*\): 14 bytes beginning '<html>"):
        repair_surrogates("tags", b"<html>502</htm")


def test_the_beginning_of_a_body_is_short_and_printable() -> None:
    assert len(begin_of(b"\xff\n" * 1000)) < 200


class Inner(msgspec.Struct):
    n: int


class Outer(msgspec.Struct):
    inner: list[Inner]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{}", "inner: missing"),
        (b'{"inner": [{}]}', "inner[0].n: missing"),
        (b'{"inner": [{"n": "x"}]}', "inner[0].n: Expected `int`, got `str`"),
        (b"5", "Expected `object`, got `int`"),
    ],
)
def test_a_reason_names_the_field_first(body: bytes, reason: str) -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.json.decode(body, type=Outer)
    assert read_reason(caught.value) == reason
