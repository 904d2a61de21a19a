"""What an answer is before its rows are looked at: JSON or not, a list or not, and text that Unicode allows."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec

from airflow_provider_toggl.core.errors import MalformedAnswer
from airflow_provider_toggl.core.land.shapes import Envelope

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def unwrap_list(stream: str, body: bytes) -> bytes:
    """Return the JSON list of an answer, also when it is wrapped in ``{"data": ...}`` or given as null.

    :raises MalformedAnswer: it is an object without ``data``.
    :raises msgspec.DecodeError: it is an object that is not JSON.
    """
    if body.lstrip()[:1] == b"{":
        try:
            data = msgspec.json.decode(body, type=Envelope).data
        except msgspec.ValidationError:
            raise MalformedAnswer(f"The answer for {stream} is an object without `data`: {begin_of(body)}") from None
        body = bytes(data)
    return b"[]" if body.strip() == b"null" else body


def repair_surrogates(stream: str, body: bytes) -> bytes:
    """Replace lone surrogates by U+FFFD: JSON allows them in escapes, no Unicode text can hold them.

    :raises MalformedAnswer: they are not what is wrong with it; it is not JSON.
    """
    try:
        value = json.loads(body, parse_constant=_refuse_constant)
        text = json.dumps(_without_surrogates(value), ensure_ascii=False)
    except ValueError as error:
        raise MalformedAnswer(
            f"The answer for {stream} is not JSON ({error}): {len(body)} bytes beginning {begin_of(body)}"
        ) from None
    return text.encode()


def begin_of(body: bytes) -> str:
    """Return the beginning of a body for an error's text."""
    return repr(body[:80].decode(errors="replace"))


def read_reason(error: Exception) -> str:
    """Return why a row was rejected, the field's name first."""
    text, _, path = str(error).partition(" - at `$")
    field = path.strip("`.")
    missing = re.fullmatch(r"Object missing required field `(.*)`", text)
    if missing:
        return f"{field}.{missing[1]}: missing".lstrip(".")
    return f"{field}: {text}" if field else text


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return _LONE_SURROGATE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(item) for key, item in value.items()}
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON value")
