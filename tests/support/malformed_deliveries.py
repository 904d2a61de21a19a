"""Malformed deliveries: captured bodies and signatures with random changes."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import Any

from support.deliveries import CAPTURED, PREVIOUS_SECRET, SECRET, event_body, sign

_UNEXPECTED_VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 2**31, 2**53 + 1, 2**63, -(2**63) - 1, 10**400, 1.5, 1e308, "", "ping", "\u0000", "\ud800",
    "é" * 300, "9" * 5000, [], {}, [[]], {"id": "x"}, float("nan"), float("inf"),
)  # fmt: skip


@dataclass(frozen=True)
class Delivery:
    """One delivery.

    :param signatures: the values of the header.
    :param signed: whether there is exactly one signature, by a valid secret.
    """

    body: bytes
    signatures: tuple[bytes, ...]
    signed: bool


def mutate_delivery(chance: random.Random, secrets: tuple[str, ...] = (SECRET, PREVIOUS_SECRET)) -> Delivery:
    """Return a delivery with a changed body, a changed signature, both or neither."""
    own = event_body(chance.randrange(1, 2**63))
    body = chance.choice((*CAPTURED, own, own, own))
    for _ in range(chance.choice((0, 1, 1, 2, 5))):
        body = chance.choice((_flip, _cut, _insert, _change_field, _change_field, _nest, _repeat_key))(chance, body)
    return _sign(chance, body, secrets)


def is_event(body: bytes) -> bool:
    """Whether the bytes are a JSON object with an integer ``event_id`` and ``subscription_id``, and no PING."""
    try:
        document = json.loads(body.decode())
    except (ValueError, RecursionError):
        return False
    if not isinstance(document, dict) or b"NaN" in body or b"Infinity" in body or document.get("payload") == "ping":
        return False
    return all(type(document.get(name)) is int for name in ("event_id", "subscription_id"))


def _sign(chance: random.Random, body: bytes, secrets: tuple[str, ...]) -> Delivery:
    right = sign(body, chance.choice(secrets)).encode()
    if chance.random() < 0.6:
        return Delivery(body, (right,), True)
    ways: tuple[tuple[bytes, ...], ...] = (
        (),
        (right, right),
        (sign(body, "another").encode(),),
        (sign(body + b" ").encode(),),
        (sign(body, "").encode(),),
        (right[:-1],),
        (bytes(chance.randrange(256) for _ in range(chance.randrange(100))),),
        (right.replace(b"sha256=", b"sha256= "),),
        (right.removeprefix(b"sha256="),),
        (("sha256=" + "é" * 64).encode(),),
    )
    return Delivery(body, chance.choice(ways), False)


def _flip(chance: random.Random, body: bytes) -> bytes:
    place = chance.randrange(len(body) + 1)
    return body[:place] + bytes([chance.randrange(256)]) + body[place + 1 :]


def _cut(chance: random.Random, body: bytes) -> bytes:
    return body[: chance.randrange(len(body) + 1)]


def _insert(chance: random.Random, body: bytes) -> bytes:
    place = chance.randrange(len(body) + 1)
    what = chance.choice((b"\x00", b"{", b"}", b'"', b"[", b",", b"\xff", b"NaN", b"\xef\xbb\xbf", b"1e999", b"\\u"))
    return body[:place] + what * chance.choice((1, 1, 3)) + body[place:]


def _change_field(chance: random.Random, body: bytes) -> bytes:
    try:
        document = json.loads(body.decode())
    except (ValueError, RecursionError):
        return body
    inner = document
    while isinstance(inner, dict) and inner:
        key = chance.choice(list(inner))
        if isinstance(inner[key], dict) and chance.random() < 0.7:
            inner = inner[key]
            continue
        if chance.random() < 0.3:
            del inner[key]
        else:
            inner[key] = chance.choice(_UNEXPECTED_VALUES)
        break
    return json.dumps(document).encode()


def _nest(chance: random.Random, body: bytes) -> bytes:
    depth = chance.choice((3, 60, 70, 5000))
    opening, closing = chance.choice(((b"[", b"]"), (b'{"a":', b"}")))
    return body.replace(b"null", opening * depth + b"1" + closing * depth, 1)


def _repeat_key(chance: random.Random, body: bytes) -> bytes:
    return body.replace(b"{", b'{"event_id":%d,' % chance.choice((0, 5, 2**70)), 1)
