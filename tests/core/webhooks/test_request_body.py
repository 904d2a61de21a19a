from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest

from airflow_provider_toggl.core.errors import DeliveryRefused
from airflow_provider_toggl.core.webhooks.request_body import Body, Budget


def receiving(*pieces: bytes, more: bool = False, stalls: bool = False):
    """A request's messages; ``more``: the sender hangs up after them, ``stalls``: it says nothing any more."""
    messages: list[dict[str, Any]] = [
        {"type": "http.request", "body": piece, "more_body": more or stalls or number < len(pieces)}
        for number, piece in enumerate(pieces, start=1)
    ]

    async def receive() -> dict[str, Any]:
        if messages:
            return messages.pop(0)
        if stalls:
            await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    return receive


def read(receive: Any, *, budget: Budget, cap: int = 100, patience: float = 30) -> bytes:
    return asyncio.run(Body(budget, cap=cap).read(receive, patience=patience))


def refusal(receive: Any, **options: Any) -> str:
    with pytest.raises(DeliveryRefused) as refused:
        read(receive, **options)
    return refused.value.outcome


@pytest.mark.parametrize("pieces", [[b"abc"], [b"a", b"bc"], [b"", b"abc", b""], [b"a", b"", b"b", b"c"]])
def test_pieces_become_the_body(pieces: Iterable[bytes]) -> None:
    assert read(receiving(*pieces), budget=Budget(1000)) == b"abc"


def test_a_body_may_have_as_many_bytes_as_the_cap_and_not_one_more() -> None:
    assert len(read(receiving(b"x" * 60, b"x" * 40), budget=Budget(1000))) == 100
    assert refusal(receiving(b"x" * 60, b"x" * 41), budget=Budget(1000)) == "too_large"


def test_reading_stops_at_the_piece_that_is_too_much() -> None:
    budget = Budget(1000)
    receive = receiving(b"x" * 60, b"x" * 41, b"x" * 60)
    body = Body(budget, cap=100)

    async def scenario() -> None:
        with pytest.raises(DeliveryRefused):
            await body.read(receive, patience=30)
        assert budget.held == 60
        assert (await receive())["more_body"] is False

    asyncio.run(scenario())
    body.release()
    assert budget.held == 0


def test_what_others_hold_is_not_there_for_one_more() -> None:
    budget = Budget(1000)
    budget.take(950)
    assert refusal(receiving(b"x" * 51), budget=budget) == "busy"
    assert read(receiving(b"x" * 50), budget=budget)
    assert budget.held == 1000


def test_a_sender_that_hangs_up_cuts_the_body() -> None:
    assert refusal(receiving(b"half", more=True), budget=Budget(1000)) == "cut"


def test_a_body_that_does_not_come_is_waited_for_only_so_long() -> None:
    assert refusal(receiving(b"half", stalls=True), budget=Budget(1000), patience=0.05) == "too_slow"


def test_a_request_that_is_cancelled_by_somebody_else_stays_cancelled() -> None:
    async def scenario() -> None:
        reading = asyncio.create_task(Body(Budget(1000), cap=100).read(receiving(b"half", stalls=True), patience=30))
        await asyncio.sleep(0)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading

    asyncio.run(scenario())
