from __future__ import annotations

import asyncio
from typing import Any

from airflow_provider_toggl.core.errors import EventStoreUnavailable
from airflow_provider_toggl.triggers import reading
from airflow_provider_toggl.triggers.reading import retry_while_unavailable


def test_a_call_is_repeated_while_the_store_is_unavailable(monkeypatch: Any, caplog: Any):
    monkeypatch.setattr(reading, "FIRST_PAUSE", 0.001)
    failures = [EventStoreUnavailable("away")] * 3

    def call() -> str:
        if failures:
            raise failures.pop()
        return "there"

    assert asyncio.run(retry_while_unavailable(call)) == "there"
    assert [record.retry_in for record in caplog.records] == [0.001, 0.002, 0.004]
