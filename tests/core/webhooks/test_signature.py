from __future__ import annotations

import hmac
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.deliveries import CAPTURED, PREVIOUS_SECRET, PUBLISHED_PING, PUBLISHED_SIGNATURE, SECRET, sign

from airflow_provider_toggl.core.errors import DeliveryRefused
from airflow_provider_toggl.core.webhooks import signature as signatures
from airflow_provider_toggl.core.webhooks.signature import is_signed, parse_signature

BODY = CAPTURED[2]
RIGHT = sign(BODY)


def verifies(secrets: Sequence[str], body: bytes, values: list[bytes | str]) -> bool:
    return is_signed(secrets, body, parse_signature(values))


def refusal(*values: bytes | str) -> tuple[str, int]:
    with pytest.raises(DeliveryRefused) as refused:
        parse_signature(values)
    return refused.value.outcome, refused.value.status


def test_the_example_that_toggl_publishes_verifies() -> None:
    assert verifies([SECRET], PUBLISHED_PING, [PUBLISHED_SIGNATURE.encode()])


@pytest.mark.parametrize("secrets", [(SECRET, PREVIOUS_SECRET), (PREVIOUS_SECRET, SECRET), ("", SECRET)])
def test_any_of_the_secrets_may_have_signed(secrets: tuple[str, ...]) -> None:
    assert verifies(secrets, BODY, [RIGHT])
    assert verifies(secrets, BODY, [RIGHT.encode()])


def test_a_request_without_the_header_is_unsigned() -> None:
    assert refusal() == ("unsigned", 401)


@pytest.mark.parametrize(
    "values",
    [
        [RIGHT, RIGHT],
        ["sha1=" + "0" * 40],
        [RIGHT.removeprefix("sha256=")],
        [RIGHT.replace("sha256", "SHA256")],
        [RIGHT + "0"],
        [RIGHT[:-1] + "g"],
        [RIGHT + "\n"],
        [RIGHT + "\u00a0"],
        ["\v" + RIGHT],
        [RIGHT.replace("=", "= ")],
        [("sha256=" + "é" * 64)],
        ["sha256=" + "٣" * 64],
        [b"sha256=" + b"\xff" * 64],
        ["\ud800" * 71],
    ],
)
def test_a_repeated_header_or_one_of_another_form_is_malformed(values: list[bytes | str]) -> None:
    assert refusal(*values) == ("malformed_signature", 400)


@pytest.mark.parametrize(
    ("body", "secrets"),
    [
        (BODY + b"\n", (SECRET,)),
        (b"", (SECRET,)),
        (BODY, (PREVIOUS_SECRET,)),
        (BODY, ()),
        (BODY, (SECRET.lower(),)),
    ],
    ids=["one byte more", "empty", "another secret", "no secret", "secret in other case"],
)
def test_another_body_or_another_secret_is_a_wrong_signature(body: bytes, secrets: tuple[str, ...]) -> None:
    assert not verifies(secrets, body, [RIGHT])


def test_an_empty_secret_and_half_a_surrogate_pair_verify_nothing() -> None:
    assert not verifies(("", ""), BODY, [sign(BODY, "")])
    assert not is_signed(["\ud800"], BODY, bytes(32))


@given(st.text(" \t", max_size=9), st.text(" \t", max_size=9), st.booleans(), st.booleans())
def test_spaces_and_tabs_around_the_value_are_ignored(before: str, behind: str, raw: bool, upper: bool) -> None:
    value = f"{before}sha256={RIGHT[7:].upper() if upper else RIGHT[7:]}{behind}"
    assert verifies([SECRET], BODY, [value.encode() if raw else value])


@given(st.text(max_size=90) | st.binary(max_size=90))
def test_any_other_header_is_refused_with_400_or_401(value: str | bytes) -> None:
    assert refusal(value)[1] in (400, 401)


@given(st.binary(max_size=200), st.integers(0, 255), st.integers(0, 7))
def test_a_signature_with_one_bit_flipped_is_refused(body: bytes, place: int, bit: int) -> None:
    signature = bytearray(parse_signature([sign(body)]))
    assert is_signed([SECRET], body, bytes(signature))
    signature[place % 32] ^= 1 << bit
    assert not is_signed([SECRET], body, bytes(signature))


@pytest.mark.parametrize("right", [0, 1, 2, None], ids=["first", "second", "third", "none"])
def test_every_secret_is_compared_whichever_one_matches(right: int | None, monkeypatch) -> None:
    compared: list[bytes] = []
    real = hmac.compare_digest

    def compare(one: bytes, other: bytes) -> bool:
        compared.append(one)
        return real(one, other)

    monkeypatch.setattr(signatures.hmac, "compare_digest", compare)
    secrets = [SECRET if place == right else f"other-{place}" for place in range(3)]
    assert is_signed(secrets, BODY, parse_signature([RIGHT])) is (right is not None)
    assert len(compared) == 3


def test_sign_makes_a_header_that_verify_accepts() -> None:
    body = b'{"event_id":0}'
    assert verifies(["another", "a secret"], body, [signatures.sign("a secret", body)])
