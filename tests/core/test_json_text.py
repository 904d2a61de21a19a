from __future__ import annotations

import gc
import json
import math
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_toggl.core.json_text import (
    paused_garbage_collection,
    read_json,
    replace_surrogates,
    show_beginning,
    split_list,
)

VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(st.lists(VALUES))
def test_each_element_of_a_list_is_split_off_as_its_own_text(values: list[Any]) -> None:
    assert list(map(repr, map(read_json, split_list(json.dumps(values).encode())))) == list(map(repr, values))


@pytest.mark.parametrize(
    ("element", "texts"),
    [
        (b"NaN", [b"NaN"]),
        (rb'{"a": "],[\ud800\""}', [rb'{"a": "],[\ud800\""}']),
        (b'{"deep": ' + b"[" * 200_000 + b"]" * 200_000 + b"}", None),
        (b"1, 1e999", [b"1", b"1e999"]),
        (b"", []),
    ],
    ids=["not a number", "half a character", "nested without end", "out of range", "empty"],
)
def test_elements_around_one_that_is_not_json_are_split(element: bytes, texts: list[bytes] | None) -> None:
    assert split_list(b" [" + element + b"] ") == ([element] if texts is None else texts)
    assert split_list(b"[true, " + (element or b"1") + b", false]")[-1] == b"false"


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"<html>", b"[", b"[1", b"[1]]", b"[1] x", b"[1,]", b"[,1]", b'[{"a": NaN}', b"[NaN,,1]"]
)
def test_an_incomplete_list_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match="it is"):
        split_list(body)


@given(st.binary())
def test_any_bytes_raise_at_most_a_value_error(body: bytes) -> None:
    with suppress(ValueError):
        read_json(body)
    with suppress(ValueError):
        split_list(body)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (rb'"\ud83d\ude00"', "\U0001f600"),
        (b'"\xf0\x9f\x98\x80"', "\U0001f600"),
        (rb'"a\ud800"', "a\ufffd"),
        (b'"a\xed\xa0\x80"', "a\ufffd"),
        (b'"a\xff"', "a\ufffd"),
        (b'"a\x01"', "a\x01"),
    ],
)
def test_lone_surrogates_are_replaced(text: bytes, value: str) -> None:
    assert replace_surrogates(read_json(text)) == value


@pytest.mark.parametrize("text", [b"NaN", b"Infinity", b"-1e999", b"1" + b"0" * 5000])
def test_numbers_that_exceed_a_double_are_not_finite(text: bytes) -> None:
    assert not math.isfinite(read_json(text))


def test_deep_nesting_is_refused() -> None:
    with pytest.raises(ValueError, match="nested too deep"):
        read_json(b"[" * 200_000 + b"]" * 200_000)


def test_the_beginning_of_a_body_is_short_and_printable() -> None:
    assert len(show_beginning(b"\xff\n" * 1000)) < 200


def test_collection_is_paused_until_the_block_ends():
    with paused_garbage_collection():
        assert not gc.isenabled()
        with paused_garbage_collection():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(ValueError, match="bad page"), paused_garbage_collection():
        raise ValueError("bad page")
    assert gc.isenabled()


def test_disabled_collection_stays_disabled():
    gc.disable()
    try:
        with paused_garbage_collection():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
