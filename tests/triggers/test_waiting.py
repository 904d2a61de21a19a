from __future__ import annotations

import asyncio
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
import structlog
from airflow.serialization.serialized_objects import BaseSerialization

from airflow_provider_toggl.triggers import waiting
from airflow_provider_toggl.triggers.waiting import TogglWaitTrigger

pytestmark = pytest.mark.airflow


def again(trigger: TogglWaitTrigger) -> TogglWaitTrigger:
    """Return the trigger as a triggerer builds it from what the metadata database has."""
    path, kwargs = trigger.serialize()
    assert path == "airflow_provider_toggl.triggers.waiting.TogglWaitTrigger"
    return TogglWaitTrigger(**BaseSerialization.deserialize(BaseSerialization.serialize(kwargs)))


def fire(trigger: TogglWaitTrigger) -> Any:
    async def first() -> Any:
        return await anext(trigger.run())

    return asyncio.run(first()).payload


def test_it_fires_at_its_moment_with_the_kept_arguments():
    moment = datetime.now(timezone.utc) + timedelta(seconds=0.2)
    trigger = again(TogglWaitTrigger(moment, "the hourly quota of Toggl", {"summary": {"rows": 7}}))
    assert trigger.moment == moment
    assert fire(trigger) == {"kept": {"summary": {"rows": 7}}}
    assert datetime.now(timezone.utc) >= moment


def test_it_fires_at_once_if_its_moment_has_passed():
    assert fire(TogglWaitTrigger(datetime.now(timezone.utc) - timedelta(hours=1), "it")) == {"kept": {}}


def test_it_logs_each_minute_how_much_time_is_left(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(waiting, "LOG_EVERY", 0.2)
    moment = datetime.now(timezone.utc) + timedelta(seconds=0.7)
    with structlog.testing.capture_logs() as lines:
        fire(TogglWaitTrigger(moment, "the hourly quota of Toggl"))
    logged = [line["event"] % line.get("positional_args", ()) for line in lines]
    assert 4 <= len(logged) <= 6
    begin = f"Waiting for the hourly quota of Toggl until {moment:%H:%M:%S} UTC: "
    assert [line for line in logged if not (line.startswith(begin) and line.endswith(" s left."))] == []
