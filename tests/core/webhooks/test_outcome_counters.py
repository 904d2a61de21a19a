from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

import pytest
from support.waiting import until

from airflow_provider_toggl.core.webhooks.outcome_counters import LINE_EVERY, Counters


def test_counts_are_published_after_a_while_and_a_line_is_logged_later(caplog: pytest.LogCaptureFixture) -> None:
    published: list[Mapping[str, int]] = []

    async def scenario() -> None:
        counters = Counters(published.append, period=0.01)
        for _ in range(1000):
            counters.count("wrong_signature", "No live secret signed these bytes.")
        counters.count("stored")
        await until(lambda: caplog.records)
        assert counters.totals == {"wrong_signature": 1000, "stored": 1}

    with caplog.at_level(logging.INFO):
        asyncio.run(scenario())
    assert published == [{"wrong_signature": 1000, "stored": 1}]
    assert [record.getMessage() for record in caplog.records] == [
        "Deliveries: 1 stored, 1000 wrong_signature (last: No live secret signed these bytes.)"
    ]


def test_nothing_is_said_while_nothing_changes(caplog: pytest.LogCaptureFixture) -> None:
    published: list[Mapping[str, int]] = []

    async def scenario() -> None:
        counters = Counters(published.append, period=0.005)
        counters.count("stored")
        await asyncio.sleep(0.005 * LINE_EVERY * 4)

    with caplog.at_level(logging.INFO):
        asyncio.run(scenario())
    assert len(published) == len(caplog.records) == 1


def test_the_end_tells_what_was_not_told(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        counters = Counters(period=60)
        counters.count("stored")
        counters.flush()
        counters.flush()

    with caplog.at_level(logging.INFO):
        asyncio.run(scenario())
    assert [record.getMessage() for record in caplog.records] == ["Deliveries: 1 stored"]
