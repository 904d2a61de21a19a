from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from datetime import datetime, timezone

import pytest
from support.metrics import recording
from support.waiting import until

from airflow_provider_toggl.core import metrics
from airflow_provider_toggl.core.events.activity_log import DeliveryCounts, RefusedDelivery
from airflow_provider_toggl.core.webhooks.outcome_buffer import MAX_REASONS, PERIODS_PER_LOG_LINE, OutcomeBuffer

pytestmark = pytest.mark.anyio

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
Saved = list[Mapping[str, DeliveryCounts]]


class Clock:
    """A clock that moves on by a number of seconds each time it is read."""

    def __init__(self, step: float = 0.0) -> None:
        self.seconds, self.step = -step, step

    def now(self) -> float:
        self.seconds += self.step
        return self.seconds

    def sleep(self, seconds: float) -> None: ...


def build(*, period: float = 60.0, step: float = 0.0) -> tuple[OutcomeBuffer, Saved]:
    saved: Saved = []

    async def save(received: Mapping[str, DeliveryCounts]) -> None:
        saved.append(received)

    return OutcomeBuffer(save, Clock(step), period=period), saved


async def test_a_flush_saves_counts_and_logs_the_outcomes(caplog: pytest.LogCaptureFixture) -> None:
    buffer, saved = build()
    with caplog.at_level(logging.INFO), recording() as recorder:
        for size in (10, 20):
            buffer.record("unsigned", "No signature.", conn_id="mine", size=size)
        buffer.record("stored", conn_id="mine")
        buffer.record("unknown_connection", "No such path.")
        await buffer.flush()
        await buffer.flush()
    refused = RefusedDelivery("mine", "unsigned", "No signature.", 2, EPOCH, EPOCH, 20)
    received = DeliveryCounts(EPOCH, {("mine", "unsigned"): 2, ("mine", "stored"): 1}, (refused,))
    assert saved == [{"mine": received}]
    expected = [({"outcome": "unsigned"}, 2), ({"outcome": "stored"}, 1), ({"outcome": "unknown_connection"}, 1)]
    assert recorder.of(metrics.DELIVERIES) == expected
    assert [record.getMessage() for record in caplog.records] == [
        "Deliveries: 1 stored, 1 unknown_connection (last: No such path.), 2 unsigned (last: No signature.)"
    ]


async def test_a_flush_waits_for_a_save_that_a_period_has_begun() -> None:
    events: list[str] = []
    begun, may_end = asyncio.Event(), asyncio.Event()

    async def save(_: Mapping[str, DeliveryCounts]) -> None:
        events.append("begun")
        begun.set()
        await may_end.wait()
        events.append("saved")

    buffer = OutcomeBuffer(save, Clock(), period=0.001)
    buffer.record("stored", conn_id="mine")
    await begun.wait()
    asyncio.get_running_loop().call_later(0.01, may_end.set)
    await buffer.flush()
    events.append("flushed")
    assert events == ["begun", "saved", "flushed"]


async def test_a_refusal_has_the_times_of_its_first_and_last_delivery() -> None:
    buffer, saved = build(step=1.0)
    for _ in range(3):
        buffer.record("unsigned", "No signature.", conn_id="mine")
    await buffer.flush()
    (refused,) = saved[0]["mine"].refused
    assert [refused.first_at.timestamp(), refused.last_at.timestamp(), refused.times] == [0, 2, 3]


async def test_reasons_over_the_limit_are_dropped_but_counted() -> None:
    buffer, saved = build()
    for number in range(1000):
        buffer.record("malformed", f"reason {number}", conn_id="mine")
    await buffer.flush()
    received = saved[0]["mine"]
    assert (len(received.refused), received.counts) == (MAX_REASONS, {("mine", "malformed"): 1000})


async def test_outcomes_are_saved_after_a_period_and_logged_after_several(caplog: pytest.LogCaptureFixture) -> None:
    buffer, saved = build(period=0.01)
    with caplog.at_level(logging.INFO):
        buffer.record("stored", conn_id="mine")
        await until(lambda: saved)
        assert not caplog.records
        buffer.record("stored", conn_id="mine")
        await until(lambda: caplog.records)
    assert buffer._timer is None  # nothing more follows
    assert buffer._periods == PERIODS_PER_LOG_LINE
    assert len(saved) == 2
    assert [record.getMessage() for record in caplog.records] == ["Deliveries: 2 stored"]
