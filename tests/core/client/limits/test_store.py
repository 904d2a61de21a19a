from __future__ import annotations

import logging

import pytest

from airflow_provider_toggl.core.client.limits.fair_shares import Claimant
from airflow_provider_toggl.core.client.limits.leaky_bucket import Pace
from airflow_provider_toggl.core.client.limits.quota import QuotaReading
from airflow_provider_toggl.core.client.limits.store import decode_state, encode_state
from airflow_provider_toggl.core.client.limits.token_state import Asker, Permit, TokenState, Wait

T = 1_780_000_000.0


def test_a_state_is_the_same_after_it_was_stored() -> None:
    state = TokenState()
    asker = Asker("a", Claimant("load", 3), "host-1")
    permit = state.acquire("user", asker, pace=Pace(), reserve=2, now=T)
    assert isinstance(permit, Permit)
    assert isinstance(state.acquire("user", Asker("b"), pace=Pace(), reserve=2, now=T), Wait)
    state.release(permit, QuotaReading(7, 100.0), T + 0.2)
    state.learn_organization(5, 3)
    state.hold_back(9.0, T, scope="host-1")
    assert decode_state(encode_state(state)) == state


def test_fields_of_a_later_version_are_ignored() -> None:
    assert decode_state(b'{"permits": 7, "colour": "red"}') == TokenState(permits=7)


@pytest.mark.parametrize("text", [b"{", b'{"permits": "many"}', b"[]", b"\xff"])
def test_a_state_that_is_not_readable_is_replaced_with_a_warning(text: bytes, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert decode_state(text) == TokenState()
    assert "is damaged and is replaced" in caplog.text


@pytest.mark.parametrize("text", [None, "", b""])
def test_without_a_stored_state_a_new_one_begins(text: str | None, caplog: pytest.LogCaptureFixture) -> None:
    assert decode_state(text) == TokenState()
    assert caplog.text == ""
