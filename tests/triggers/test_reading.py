from __future__ import annotations

import asyncio
from typing import Any

from airflow_provider_toggl.core.errors import EventStoreUnavailable
from airflow_provider_toggl.triggers import reading
from airflow_provider_toggl.triggers.reading import retry_while_unavailable


def test_who_waits_is_patient_with_a_store_that_is_away(monkeypatch: Any, caplog: Any):
    monkeypatch.setattr(reading, "FIRST_PAUSE", 0.001)
    failures = [EventStoreUnavailable("away")] * 3

    def call() -> str:
        if failures:
            raise failures.pop()
        return "there"

    assert asyncio.run(retry_while_unavailable(call)) == "there"
    assert [record.retry_in for record in caplog.records] == [0.001, 0.002, 0.004]
