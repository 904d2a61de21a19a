from __future__ import annotations

from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import TaskDeferred
from support.connections import Connections
from support.fakes import FakeClock, FakeTransport, answer, replies
from support.metrics import Recorder
from support.task_log import task_log

from airflow_provider_toggl.core import metrics
from airflow_provider_toggl.core.client.limits.state import RateLimitState
from airflow_provider_toggl.core.client.session import TogglSession
from airflow_provider_toggl.core.errors import QuotaExhausted, RateLimited, RateLimitStateUnavailable
from airflow_provider_toggl.hooks.activity import read_waiting
from airflow_provider_toggl.operators import quota_deferral
from airflow_provider_toggl.operators.quota_deferral import SPREAD_SECONDS, QuotaDeferral
from airflow_provider_toggl.triggers.waiting import TogglWaitTrigger

pytestmark = pytest.mark.airflow

LATER = datetime.now(timezone.utc) + timedelta(minutes=20)
STOPS = [
    QuotaExhausted("used up", resets_at=LATER, lane="user", known_before=True),
    RateLimited("too many", retry_at=LATER, reported=True),
    QuotaExhausted("many wait", resets_at=LATER, lane="user", known_before=True, waits_for="permit"),
    RateLimitStateUnavailable("down", resets_at=LATER),
]
REASONS = list(zip(STOPS, ["quota", "rate", "permit", "database"], strict=True))


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
def test_a_task_defers_and_then_continues(stop: Exception):
    operator = Counting(task_id="count", stop=stop)
    with pytest.raises(TaskDeferred) as deferred:
        operator.execute({})
    trigger = deferred.value.trigger
    assert isinstance(trigger, TogglWaitTrigger)
    assert LATER <= trigger.moment <= LATER + timedelta(seconds=SPREAD_SECONDS)
    resume = getattr(operator, deferred.value.method_name)
    assert resume({}, None, **(deferred.value.kwargs or {})) == [1, 2, 3]


def test_log_lines_have_the_connection_and_the_end_of_the_wait():
    operator = Counting(task_id="count", stop=STOPS[0])
    operator.toggl_conn_id = "toggl_other"  # type: ignore[attr-defined]
    with task_log() as find, pytest.raises(TaskDeferred) as deferred:
        operator.execute({})
    assert find("Begun.")["connection"] == find("no worker slot")["connection"] == "toggl_other"
    assert find("no worker slot")["deferred_until"] == deferred.value.trigger.moment.isoformat()  # type: ignore[attr-defined]


@pytest.mark.parametrize(("stop", "reason"), REASONS)
def test_each_deferral_is_counted_once(stop: Exception, reason: str, monkeypatch: pytest.MonkeyPatch):
    recorder = Recorder()
    monkeypatch.setattr(quota_deferral.telemetry, "connect", lambda: metrics.send_to(recorder))
    operator = Counting(task_id="count", stop=stop)
    with pytest.raises(TaskDeferred):
        operator.execute({})
    operator.resume({}, None, progress={"counted": [1, 2]})
    metrics.send_to(None)
    assert recorder.of(metrics.DEFERRALS) == [({"connection": "toggl_default", "reason": reason}, 1)]


@pytest.mark.parametrize("stop", STOPS, ids=lambda stop: type(stop).__name__)
def test_a_task_that_must_not_defer_fails(stop: Exception):
    with pytest.raises(type(stop)):
        Counting(task_id="count", stop=stop, deferrable=False).execute({})


def test_a_task_without_its_progress_starts_again():
    operator = Counting(task_id="count", stop=STOPS[0])
    with pytest.raises(TaskDeferred):
        operator.resume({}, None)


# -- what others see of a wait -----------------------------------------------------------------------------------------


@pytest.fixture
def connected(connections: Connections) -> None:
    """A connection, whose event store has the records."""
    connections.set("toggl_default", conn_type="toggl", password="t" * 32, extra={"workspace_id": 1})


def context(**changes: Any) -> Any:
    ti = {"dag_id": "sync", "task_id": "count", "run_id": "noon", "map_index": -1, "try_number": 1} | changes
    return {"ti": SimpleNamespace(**ti)}


@pytest.mark.parametrize(("stop", "reason"), REASONS)
@pytest.mark.usefixtures("connected")
def test_a_wait_is_recorded_until_the_task_continues(stop: Exception, reason: str):
    operator = Counting(task_id="count", stop=stop)
    with pytest.raises(TaskDeferred) as deferred:
        operator.execute(context())
    (waiting,) = read_waiting("toggl_default")
    assert (waiting.task, waiting.reason) == ("sync.count (noon)", reason)
    assert waiting.until == deferred.value.trigger.moment  # type: ignore[attr-defined]
    operator.resume(context(), None, **(deferred.value.kwargs or {}))
    assert read_waiting("toggl_default") == ()


@pytest.mark.usefixtures("connected")
def test_the_next_try_removes_the_record_of_an_interrupted_wait():
    operator = Counting(task_id="count", stop=STOPS[0])
    with pytest.raises(TaskDeferred):
        operator.execute(context())
    operator.work = lambda progress: "done"  # type: ignore[method-assign]
    assert operator.execute(context(map_index=3)) == "done"
    assert len(read_waiting("toggl_default")) == 1
    assert operator.execute(context(try_number=2)) == "done"
    assert read_waiting("toggl_default") == ()


@pytest.mark.usefixtures("connected")
def test_a_long_wait_in_the_slot_is_recorded_while_it_lasts():
    clock, book = FakeClock(datetime.now(timezone.utc).timestamp()), RateLimitState(None, "t")
    seen: list[Any] = []

    class Watched(FakeClock):
        def sleep(self, seconds: float) -> None:
            seen.extend(read_waiting("toggl_default"))
            clock.sleep(seconds)

        def now(self) -> float:
            return clock.now()

    session = TogglSession(FakeTransport(replies(answer())), book, clock=Watched())
    book.hold_back(45.0, clock.now())
    operator = Counting(task_id="count", stop=STOPS[0])
    operator.work = lambda progress: session.request("GET", "/api/v9/me").status  # type: ignore[method-assign]
    assert operator.execute(context(map_index=7)) == 200
    assert {(one.task, one.reason) for one in seen} == {("sync.count[7] (noon)", "permit")}
    assert read_waiting("toggl_default") == ()


def test_a_resume_with_only_the_event_has_the_whole_progress():
    operator = Counting(task_id="count", stop=STOPS[0])
    with pytest.raises(TaskDeferred) as deferred:
        operator.execute({})
    trigger = deferred.value.trigger
    assert isinstance(trigger, TogglWaitTrigger)
    assert operator.resume({}, {"kept": trigger.kept}) == [1, 2, 3]
