from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from airflow.sdk.exceptions import TaskDeferred
from support.log_lines import task_log
from support.measured import Recorder

from airflow_provider_toggl.core import metrics
from airflow_provider_toggl.core.errors import QuotaExhausted, RateLimited
from airflow_provider_toggl.operators import quota_deferral
from airflow_provider_toggl.operators.quota_deferral import SPREAD_SECONDS, QuotaDeferral
from airflow_provider_toggl.triggers.waiting import TogglWaitTrigger

pytestmark = pytest.mark.airflow

LATER = datetime.now(timezone.utc) + timedelta(minutes=20)
STOPS = [
    QuotaExhausted("used up", resets_at=LATER, lane="user", known_before=True),
    RateLimited("too many", retry_at=LATER, told=True),
]


class Counting(QuotaDeferral):
    """Counts to three, and is stopped at two."""

    def __init__(self, *, stop: Exception, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.stop = stop

    def work(self, progress: dict[str, Any]) -> list[int]:
        self.log.info("Begun.")
        counted = progress.setdefault("counted", [])
        if counted:
            return [*counted, 3]
        counted.extend([1, 2])
        raise self.stop


@pytest.mark.parametrize("stop", STOPS, ids=lambda stop: type(stop).__name__)
def test_it_waits_without_a_slot_until_it_may_go_on_and_then_goes_on(stop: Exception):
    operator = Counting(task_id="count", stop=stop)
    with pytest.raises(TaskDeferred) as deferred:
        operator.execute({})
    trigger = deferred.value.trigger
    assert isinstance(trigger, TogglWaitTrigger)
    assert LATER <= trigger.moment <= LATER + timedelta(seconds=SPREAD_SECONDS)
    resume = getattr(operator, deferred.value.method_name)
    assert resume({}, None, **(deferred.value.kwargs or {})) == [1, 2, 3]


def test_each_line_has_the_connection_and_that_of_the_wait_until_when():
    operator = Counting(task_id="count", stop=STOPS[0])
    operator.toggl_conn_id = "toggl_other"  # type: ignore[attr-defined]
    with task_log() as find, pytest.raises(TaskDeferred) as deferred:
        operator.execute({})
    assert find("Begun.")["connection"] == find("no worker slot")["connection"] == "toggl_other"
    assert find("no worker slot")["deferred_until"] == deferred.value.trigger.moment.isoformat()  # type: ignore[attr-defined]


@pytest.mark.parametrize(("stop", "reason"), [(STOPS[0], "quota"), (STOPS[1], "rate")])
def test_each_wait_is_counted_once(stop: Exception, reason: str, monkeypatch: pytest.MonkeyPatch):
    recorder = Recorder()
    monkeypatch.setattr(quota_deferral.telemetry, "connect", lambda: metrics.send_to(recorder))
    operator = Counting(task_id="count", stop=stop)
    with pytest.raises(TaskDeferred):
        operator.execute({})
    operator.resume({}, None, progress={"counted": [1, 2]})
    metrics.send_to(None)
    assert recorder.of(metrics.DEFERRALS) == [({"connection": "", "reason": reason}, 1)]


@pytest.mark.parametrize("stop", STOPS, ids=lambda stop: type(stop).__name__)
def test_it_fails_at_once_where_it_must_not_defer(stop: Exception):
    with pytest.raises(type(stop)):
        Counting(task_id="count", stop=stop, deferrable=False).execute({})


def test_it_begins_anew_where_its_progress_was_lost():
    operator = Counting(task_id="count", stop=STOPS[0])
    with pytest.raises(TaskDeferred):
        operator.resume({}, None)
