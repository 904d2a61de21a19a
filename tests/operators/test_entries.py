from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
import requests
from support.connections import Connections, all_logs
from support.sandboxes import HostedSandbox
from support.task_attempts import Killed, context_of, task_state_store

from airflow_provider_toggl.core import errors
from airflow_provider_toggl.core.client.resources.time_entries_client import TimeEntriesClient
from airflow_provider_toggl.core.client.transport import RequestsTransport
from airflow_provider_toggl.operators.attempt_state import open_attempt_state
from airflow_provider_toggl.operators.entries import (
    TogglCreateTimeEntryOperator,
    TogglStartTimeEntryOperator,
    TogglStopTimeEntryOperator,
    TogglUpdateTimeEntryOperator,
)

pytestmark = pytest.mark.airflow

START, STOP = "2026-11-20T08:00:00Z", "2026-11-20T09:30:00Z"


@pytest.fixture(autouse=True)
def toggl(small_sandbox: HostedSandbox, connections: Connections) -> HostedSandbox:
    connections.toggl(small_sandbox)
    return small_sandbox


def run(operator: Any, try_number: int = 1, **context: Any) -> dict[str, Any]:
    result: dict[str, Any] = operator.execute(context_of(operator.task_id, try_number, **context))
    return result


def create(**options: Any) -> dict[str, Any]:
    return run(TogglCreateTimeEntryOperator(task_id="task", start=START, **options))


def start(try_number: int = 1, *, context: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
    return run(TogglStartTimeEntryOperator(task_id="start", **options), try_number, **(context or {}))


def stop(try_number: int = 1, *, context: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
    return run(TogglStopTimeEntryOperator(task_id="stop", **options), try_number, **(context or {}))


def truth(toggl: HostedSandbox, number: int) -> dict[str, Any]:
    return next(row for row in toggl.truth("time_entries") if row["id"] == number)


def test_a_created_entry_has_the_given_fields(toggl: HostedSandbox):
    project = next(row["id"] for row in toggl.truth("projects") if row["active"] and not row["deleted_at"])
    result = create(stop=STOP, description="design", project_id=str(project), tags="new, airflow")
    found = truth(toggl, result["id"])
    assert (found["description"], found["project_id"], found["duration"]) == ("design", project, 5400)
    assert len(found["tag_ids"]) == 2
    assert (result["action"], result["requests"], result["tags"]) == ("created", 1, ["airflow", "new"])
    assert (result["start"], result["stop"], result["running"]) == (START, STOP, False)


def test_an_entry_may_have_a_duration_instead_of_a_stop():
    assert create(duration="5400")["stop"] == STOP
    assert create(duration=timedelta(minutes=90))["stop"] == STOP


@pytest.mark.parametrize(
    "options",
    [{}, {"stop": STOP, "duration": 5}, {"duration": "long"}, {"duration": -5}, {"stop": "noon"}],
    ids=str,
)
def test_an_entry_without_exactly_one_end_is_refused_before_a_request(toggl: HostedSandbox, options: dict[str, Any]):
    toggl.reset_requests()
    with pytest.raises(errors.ConfigurationError):
        create(**options)
    assert toggl.requests()["total"] == 0


def test_an_old_entry_is_found_when_the_run_that_made_it_is_cleared_after_its_end(toggl: HostedSandbox):
    now = toggl.world.now()
    old = {"start": (now - timedelta(days=200)).isoformat(), "duration": 60, "description": "old"}
    made = run(TogglCreateTimeEntryOperator(task_id="task", **old), started=now)
    toggl.advance(7200)
    # Airflow lets a run that had ended start anew.
    cleared = {"started": now + timedelta(hours=2), "run_after": now, "clear_number": 1}
    found = run(TogglCreateTimeEntryOperator(task_id="task", **old), 2, **cleared)
    assert (found["action"], found["id"]) == ("found", made["id"])


def test_results_are_small_and_plain_and_have_the_same_keys():
    results = [create(stop=STOP), start(), stop(), stop()]
    assert json.loads(json.dumps(results)) == results
    assert len({tuple(result) for result in results}) == 1
    assert [result["action"] for result in results] == ["created", "started", "stopped", "nothing"]
    assert results[3]["id"] is None


def test_starting_an_entry_stops_the_running_one(toggl: HostedSandbox):
    first, second = start(description="one"), start(description="two")
    assert truth(toggl, first["id"])["stop"] is not None
    assert truth(toggl, second["id"])["running"]


@pytest.mark.parametrize("airflow", ["3.3", "3.2"])
@pytest.mark.parametrize("was_stopped", [False, True])
def test_a_try_that_was_killed_has_its_timer_found_by_the_next_one(
    toggl: HostedSandbox, monkeypatch: pytest.MonkeyPatch, airflow: str, was_stopped: bool
):
    store = task_state_store(airflow)
    kill_after_next_write(monkeypatch)
    with pytest.raises(Killed):
        start(description="work", context={"store": store})
    (made,) = [row for row in toggl.truth("time_entries") if row["description"] == "work"]
    if was_stopped:
        stop()
    found = start(2, description="work", context={"store": store})
    assert (found["action"], found["id"], found["running"]) == ("found", made["id"], not was_stopped)


def test_a_started_entry_is_found_without_a_recorded_start(toggl: HostedSandbox):
    began = datetime.now(timezone.utc) - timedelta(minutes=40)
    other = start(description="work", start=(began - timedelta(minutes=10)).isoformat())
    made = start(description="work", start=(began + timedelta(minutes=10)).isoformat())
    found = start(2, description="work", context={"started": began})
    assert (found["action"], found["id"]) == ("found", made["id"])
    assert other["id"] != made["id"]
    # One that is asked for at a moment of its own is not taken for another.
    assert start(2, description="work", start=began, context={"started": began})["action"] == "started"


def test_a_stopped_entry_is_not_changed(toggl: HostedSandbox):
    running = start()
    assert stop(time_entry_id=running["id"])["action"] == "stopped"
    before = truth(toggl, running["id"])
    again = stop(2, time_entry_id=str(running["id"]))
    assert (again["action"], again["id"]) == ("already_stopped", running["id"])
    assert truth(toggl, running["id"]) == before


def test_stopping_a_missing_entry_fails():
    with pytest.raises(errors.NotFound):
        stop(time_entry_id=1)


@pytest.mark.parametrize("rendered", ["", "None", " ", None], ids=repr)
def test_an_id_that_a_template_renders_to_nothing_stops_nothing(toggl: HostedSandbox, rendered: str | None):
    somebodys = start(description="somebody's")
    operator = TogglStopTimeEntryOperator(task_id="stop", time_entry_id="{{ ti.xcom_pull('start')['id'] }}")
    # As Airflow does, a native environment None too.
    operator.time_entry_id = rendered
    with pytest.raises(errors.ConfigurationError, match="empty"):
        run(operator)
    assert truth(toggl, somebodys["id"])["running"]


def test_a_running_entry_that_is_deleted_before_the_stop_is_no_error(
    toggl: HostedSandbox, monkeypatch: pytest.MonkeyPatch
):
    running = start(description="deleted by a person")
    find_running = TimeEntriesClient.find_running

    def find_running_and_delete_it(tracking: TimeEntriesClient) -> Any:
        found = find_running(tracking)
        url = f"{toggl.url}/api/v9/workspaces/{toggl.workspace_id}/time_entries/{running['id']}"
        requests.delete(url, auth=(toggl.token, "api_token"), timeout=30).raise_for_status()
        return found

    monkeypatch.setattr(TimeEntriesClient, "find_running", find_running_and_delete_it)
    assert stop()["action"] == "nothing"


@pytest.mark.parametrize("airflow", ["3.3", "3.2"])
def test_a_run_that_is_cleared_a_day_later_starts_a_new_entry(toggl: HostedSandbox, airflow: str):
    store, tracked = task_state_store(airflow), {"description": "work"}
    yesterday = datetime.now(timezone.utc) - timedelta(days=1)
    # What a try of yesterday left when its outcome stayed unknown.
    notes = open_attempt_state(context_of("start", store=store), "toggl_default")
    notes.write({"start": yesterday.strftime("%Y-%m-%dT%H:%M:%SZ")})
    again = start(2, context={"store": store}, **tracked)
    assert again["action"] == "started"
    assert datetime.fromisoformat(again["start"]) > yesterday + timedelta(hours=23)


@pytest.mark.parametrize("airflow", ["3.3", "3.2"])
def test_a_try_after_an_interrupted_stop_does_not_stop_a_later_entry(
    toggl: HostedSandbox, monkeypatch: pytest.MonkeyPatch, airflow: str
):
    store = task_state_store(airflow)
    meant = start(description="meant")
    kill_after_next_write(monkeypatch)
    with pytest.raises(Killed):
        stop(context={"store": store})
    since = start(description="since")
    assert stop(2, context={"store": store})["id"] == meant["id"]
    assert truth(toggl, since["id"])["running"]


def test_without_a_record_a_retry_stops_only_an_entry_from_before_the_run(toggl: HostedSandbox):
    began = datetime.now(timezone.utc) - timedelta(minutes=40)
    running = start(start=(began + timedelta(minutes=1)).isoformat())
    with pytest.raises(errors.OutcomeUnknown, match="Set time_entry_id"):
        stop(2, context={"started": began})
    assert truth(toggl, running["id"])["running"]
    earlier = start(start=(began - timedelta(minutes=1)).isoformat())
    assert stop(2, context={"started": began})["id"] == earlier["id"]


def test_an_update_changes_only_the_given_fields(toggl: HostedSandbox):
    made = create(stop=STOP, description="design", tags=["old"])
    changes = {"description": "review", "tags": "new", "tag_action": "add"}
    update = TogglUpdateTimeEntryOperator(task_id="task", time_entry_id=str(made["id"]), changes=changes)
    result = run(update)
    assert (result["action"], result["tags"]) == ("updated", ["new", "old"])
    assert truth(toggl, made["id"])["description"] == "review"
    assert run(update, 2)["tags"] == ["new", "old"]
    with pytest.raises(errors.ConfigurationError, match="empty"):
        run(TogglUpdateTimeEntryOperator(task_id="task", time_entry_id="", changes=changes))


def test_no_token_is_in_a_log_a_result_a_template_or_an_error(toggl: HostedSandbox):
    operator = TogglCreateTimeEntryOperator(task_id="task", start=START, stop=STOP)
    with all_logs() as lines:
        result = run(operator)
        toggl.fault("status", status=400, body="no", match={"method": "POST"})
        with pytest.raises(errors.PayloadRefused) as caught:
            run(operator)
    texts = [
        *lines,
        json.dumps(result),
        repr(caught.value),
        *(str(getattr(operator, n)) for n in operator.template_fields),
    ]
    assert not [text for text in texts if toggl.token in text]


def kill_after_next_write(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the process end between the answer of the next write and everything else."""
    send = RequestsTransport.send

    def send_and_die(sender: Any, call: Any) -> Any:
        answer = send(sender, call)
        if call.method != "GET":
            monkeypatch.setattr(RequestsTransport, "send", send)
            raise Killed
        return answer

    monkeypatch.setattr(RequestsTransport, "send", send_and_die)
