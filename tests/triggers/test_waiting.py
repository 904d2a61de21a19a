from __future__ import annotations

from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest
import structlog
from airflow.serialization.serialized_objects import BaseSerialization

from airflow_provider_toggl.triggers import waiting
from airflow_provider_toggl.triggers.waiting import TogglWaitTrigger

pytestmark = [pytest.mark.airflow, pytest.mark.anyio]

NOON = datetime(2026, 5, 2, 12, tzinfo=timezone.utc)


class Clock:
    """A clock that moves on only by sleeping."""

    moment = NOON

    def now(self, _: timezone) -> datetime:
        return self.moment

    async def sleep(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(waiting, "datetime", clock)
    monkeypatch.setattr(waiting, "asyncio", SimpleNamespace(sleep=clock.sleep))
    return clock


async def fire(trigger: TogglWaitTrigger) -> Any:
    return (await anext(trigger.run())).payload


async def test_it_fires_at_its_moment_with_the_kept_arguments(clock: Clock):
    moment = NOON + timedelta(seconds=100.5)
    path, kwargs = TogglWaitTrigger(moment, "the quota", {"summary": {"rows": 7}}).serialize()
    assert path == "airflow_provider_toggl.triggers.waiting.TogglWaitTrigger"
    # As a triggerer builds it from what the metadata database has.
    trigger = TogglWaitTrigger(**BaseSerialization.deserialize(BaseSerialization.serialize(kwargs)))
    assert await fire(trigger) == {"kept": {"summary": {"rows": 7}}}
    assert clock.moment == moment


async def test_it_fires_at_once_if_its_moment_has_passed(clock: Clock):
    assert await fire(TogglWaitTrigger(NOON - timedelta(hours=1), "it")) == {"kept": {}}
    assert clock.moment == NOON


async def test_it_logs_each_minute_how_much_time_is_left():
    with structlog.testing.capture_logs() as lines:
        await fire(TogglWaitTrigger(NOON + timedelta(seconds=150), "the hourly quota of Toggl"))
    begin = "Waiting for the hourly quota of Toggl until 12:02:30 UTC: "
    assert [line["event"] % line.get("positional_args", ()) for line in lines] == [
        f"{begin}{left} left." for left in ("2 min", "90 s", "30 s")
    ]
