"""Reading of JSON: tolerant, for what strict decoders refuse, and without garbage collection, for large pages.

Typed msgspec decoders read nearly everything. This module reads the rest: lone surrogates, bytes that are not UTF-8,
raw control characters, ``NaN`` and ``Infinity``, numbers of any size, and deeply nested rows.
"""

from __future__ import annotations

import gc
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

REPLACEMENT = "\ufffd"
"""Replaces a character that Unicode text cannot contain."""

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_RAW_ROWS = msgspec.json.Decoder(list[msgspec.Raw])
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[][{},]', re.DOTALL)
_MOST_DIGITS = 40


@contextmanager
def paused_garbage_collection() -> Iterator[None]:
    """Pause garbage collection inside the block, which saves a tenth of the time of a load.

    Decoding a page creates thousands of lists and no cycles. If several threads are in such a block, the first one to
    leave resumes collection for all. That costs only time.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def split_list(body: bytes) -> list[bytes]:
    """Return the elements of a JSON list, each as bytes.

    Elements need not be valid JSON; only their brackets must be balanced.

    :raises ValueError: it is not a list, or it is cut off.
    """
    try:
        return list(map(bytes, _RAW_ROWS.decode(body)))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _split(body.strip())


def read_json(text: bytes) -> Any:
    """Return the value of a JSON text.

    Of duplicate keys the last one counts. ``NaN``, ``Infinity`` and numbers that exceed a double become floats that are
    not finite. Strings may contain lone surrogates; :func:`replace_surrogates` removes them.

    :raises ValueError: it is not JSON, or nested too deep.
    """
    try:
        return json.loads(_decode(text), parse_int=_parse_int, strict=False)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def replace_surrogates(text: str) -> str:
    """Return a text with U+FFFD for each lone surrogate, which JSON allows and encoded text cannot contain."""
    return _LONE_SURROGATE.sub(REPLACEMENT, text)


def decode_text(text: bytes) -> str:
    """Return bytes of a JSON text as a text, U+FFFD in it for each lone surrogate and for bytes that are not UTF-8."""
    return replace_surrogates(_decode(text))


def show_beginning(body: bytes) -> str:
    """Return the first 80 bytes of a body for an error message."""
    return repr(body[:80].decode(errors="replace"))


def _decode(text: bytes) -> str:
    try:
        return text.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return text.decode("utf-8", "replace")


def _split(body: bytes) -> list[bytes]:
    if body[:1] != b"[":
        raise ValueError("it is not a list")
    rows: list[bytes] = []
    depth, begin = 0, 1
    for token in _TOKEN.finditer(body):
        sign = token[0]
        if sign in (b"[", b"{"):
            depth += 1
        elif sign in (b"]", b"}"):
            depth -= 1
        if depth == 0 or (depth == 1 and sign == b","):
            row = body[begin : token.start()].strip()
            if row or rows or depth:
                rows.append(row)
            begin = token.end()
        if depth == 0:
            break
    if depth or begin == 1 or body[begin:] or b"" in rows:
        raise ValueError("it is cut off, or more follows it")
    return rows


def _parse_int(digits: str) -> int | float:
    # Python refuses to parse an integer of thousands of digits, and no column can store it.
    return int(digits) if len(digits) <= _MOST_DIGITS else float(digits)
