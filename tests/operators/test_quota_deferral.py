from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from airflow.providers.standard.triggers.temporal import DateTimeTrigger
from airflow.sdk.exceptions import TaskDeferred

from airflow_provider_toggl.core.errors import QuotaExhausted, RateLimited
from airflow_provider_toggl.operators.quota_deferral import SPREAD_SECONDS, QuotaDeferral

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
    assert isinstance(trigger, DateTimeTrigger)
    assert LATER <= trigger.moment <= LATER + timedelta(seconds=SPREAD_SECONDS)
    resume = getattr(operator, deferred.value.method_name)
    assert resume({}, None, **(deferred.value.kwargs or {})) == [1, 2, 3]


@pytest.mark.parametrize("stop", STOPS, ids=lambda stop: type(stop).__name__)
def test_it_fails_at_once_where_it_must_not_defer(stop: Exception):
    with pytest.raises(type(stop)):
        Counting(task_id="count", stop=stop, deferrable=False).execute({})


def test_it_begins_anew_where_its_progress_was_lost():
    operator = Counting(task_id="count", stop=STOPS[0])
    with pytest.raises(TaskDeferred):
        operator.resume({}, None)
