from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest

from airflow_provider_toggl.core.errors import DeliveryRefused
from airflow_provider_toggl.core.webhooks.request_body import ByteBudget, RequestBody

pytestmark = pytest.mark.anyio


def receiving(*pieces: bytes, more: bool = False, stalls: bool = False):
    """Messages of a request; ``more``: the sender then disconnects, ``stalls``: it then sends nothing."""
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


def read(receive: Any, *, budget: ByteBudget, max_bytes: int = 100, timeout: float = 30) -> bytes:
    return asyncio.run(RequestBody(budget, max_bytes=max_bytes).read(receive, timeout=timeout))


def refusal(receive: Any, **options: Any) -> str:
    with pytest.raises(DeliveryRefused) as refused:
        read(receive, **options)
    return refused.value.outcome


@pytest.mark.parametrize("pieces", [[b"abc"], [b"a", b"bc"], [b"", b"abc", b""], [b"a", b"", b"b", b"c"]])
def test_chunks_are_joined(pieces: Iterable[bytes]) -> None:
    assert read(receiving(*pieces), budget=ByteBudget(1000)) == b"abc"


def test_a_body_may_have_as_many_bytes_as_the_limit_and_not_one_more() -> None:
    assert len(read(receiving(b"x" * 60, b"x" * 40), budget=ByteBudget(1000))) == 100
    assert refusal(receiving(b"x" * 60, b"x" * 41), budget=ByteBudget(1000)) == "too_large"


async def test_reading_stops_at_the_chunk_that_exceeds_the_limit() -> None:
    budget = ByteBudget(1000)
    receive = receiving(b"x" * 60, b"x" * 41, b"x" * 60)
    body = RequestBody(budget, max_bytes=100)
    with pytest.raises(DeliveryRefused):
        await body.read(receive, timeout=30)
    assert budget.held == 60
    assert (await receive())["more_body"] is False
    body.release()
    assert budget.held == 0


def test_the_bodies_of_all_requests_share_the_budget() -> None:
    budget = ByteBudget(1000)
    budget.acquire(950)
    assert refusal(receiving(b"x" * 51), budget=budget) == "busy"
    assert read(receiving(b"x" * 50), budget=budget)
    assert budget.held == 1000


def test_a_body_is_refused_when_the_sender_disconnects() -> None:
    assert refusal(receiving(b"half", more=True), budget=ByteBudget(1000)) == "cut"


def test_a_body_that_does_not_arrive_times_out() -> None:
    assert refusal(receiving(b"half", stalls=True), budget=ByteBudget(1000), timeout=0.01) == "too_slow"


async def test_a_cancellation_by_the_server_is_not_taken_for_a_timeout() -> None:
    reading = asyncio.create_task(
        RequestBody(ByteBudget(1000), max_bytes=100).read(receiving(b"half", stalls=True), timeout=30)
    )
    await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
