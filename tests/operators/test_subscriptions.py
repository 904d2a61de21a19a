from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

import pytest
from airflow.sdk.exceptions import TaskDeferred
from support.connections import WEBHOOK_SECRET, Connections, all_logs
from support.servers.http import Callback, open_callback

from airflow_provider_toggl.core import errors
from airflow_provider_toggl.core.events.model import Handshake
from airflow_provider_toggl.core.operate.health.diagnosis import diagnose
from airflow_provider_toggl.hooks.events import open_event_store
from airflow_provider_toggl.hooks.health import read_health
from airflow_provider_toggl.operators.subscriptions import (
    TogglDeleteSubscriptionOperator,
    TogglEnsureSubscriptionOperator,
    TogglListSubscriptionsOperator,
    TogglPingSubscriptionOperator,
    TogglReplayEventsOperator,
    TogglSetSubscriptionEnabledOperator,
    TogglValidateSubscriptionOperator,
)
from airflow_provider_toggl.sandbox.server import RunningSandbox

pytestmark = pytest.mark.airflow


@pytest.fixture
def callback(sandbox: RunningSandbox, connections: Connections) -> Iterator[Callback]:
    """Where the default connection lets Toggl deliver to."""
    with open_callback() as running:
        connections.toggl(sandbox, webhook_callback_url=running.server.url)
        yield running


def ensure(**options: Any) -> dict[str, Any]:
    fields = {"description": "airflow", "filters": ["time_entry"], **options}
    return TogglEnsureSubscriptionOperator(task_id="ensure", **fields).execute({})


def listed() -> list[dict[str, Any]]:
    return TogglListSubscriptionsOperator(task_id="list").execute({})


def shown() -> list[tuple[bool, bool]]:
    """Return what the page knows of each subscription without asking Toggl: enabled, validated."""
    return [(one.enabled, one.validated) for one in read_health("toggl_default").subscriptions or ()]


def state() -> tuple[str, str]:
    """Return the state of the subscription that the page shows."""
    finding = diagnose(read_health("toggl_default"))[0]
    return finding.status.value, finding.label


@pytest.mark.parametrize("validate", [True, False])
def test_the_page_shows_the_result_of_an_operator_at_once(callback: Callback, validate: bool):
    ensure(validate=validate)
    assert (shown(), state()) == ([(True, True)], ("ok", "enabled"))
    number = listed()[0]["subscription_id"]
    TogglSetSubscriptionEnabledOperator(task_id="off", subscription_id=number, enabled=False).execute({})
    assert (shown(), state()) == ([(False, True)], ("fault", "disabled"))
    TogglSetSubscriptionEnabledOperator(task_id="on", subscription_id=number, enabled=True).execute({})
    assert (shown(), state()) == ([(True, True)], ("ok", "enabled"))
    ensure(filters=["project"])
    assert read_health("toggl_default").subscriptions[0].filters == ("project:*",)
    ensure(enabled=False)
    assert state() == ("unused", "disabled")
    TogglDeleteSubscriptionOperator(task_id="delete", subscription_id=number).execute({})
    assert (shown(), state()) == ([], ("unused", "not used"))


# -- ensure ------------------------------------------------------------------------------------------------------------


def test_a_declared_subscription_is_created_validated_and_then_not_changed(callback: Callback):
    result = ensure()
    assert (result["action"], result["enabled"], result["validated"], result["adopted"]) == (
        "create",
        True,
        True,
        False,
    )
    assert (result["filters"], result["callback_url"]) == (["time_entry:*"], callback.url)
    again = ensure()
    assert (again["action"], again["requests"], again["differences"]) == ("nothing", 1, [])
    assert again["subscription_id"] == result["subscription_id"]


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"filters": ["time_entries"]}, "Known are client, project"),
        ({"filters": []}, "at least one"),
        ({"filters": ["time_entry:done"]}, "Known are created, updated, deleted"),
        ({"description": " "}, "description is ' '"),
        ({"callback_url": "http://airflow.example.org/"}, "Use https"),
    ],
    ids=str,
)
def test_an_invalid_declaration_is_refused_before_a_request(
    callback: Callback, sandbox: RunningSandbox, options: dict[str, Any], word: str
):
    sandbox.reset_requests()
    with pytest.raises(errors.ConfigurationError, match=word):
        ensure(**options)
    assert sandbox.requests()["total"] == 0


def test_a_connection_without_a_secret_is_refused_before_a_request(sandbox: RunningSandbox, connections: Connections):
    connections.toggl(sandbox, webhook_secret=None, webhook_callback_url="https://airflow.example.org")
    sandbox.reset_requests()
    with pytest.raises(errors.ConfigurationError, match="webhook_secret"):
        ensure()
    assert sandbox.requests()["total"] == 0


def test_no_secret_is_in_a_log_a_result_a_template_or_an_error(callback: Callback, sandbox: RunningSandbox, capsys):
    operator = TogglEnsureSubscriptionOperator(task_id="ensure", description="airflow")
    with all_logs() as lines:
        results = [operator.execute({}), listed()]
        results.append(TogglPingSubscriptionOperator(task_id="ping", description="airflow").execute({}))
        callback.status = 500
        with pytest.raises(errors.PayloadRefused) as caught:
            ensure(filters="tag")
        callback.status = 200
    printed = capsys.readouterr()
    templates = {name: str(getattr(operator, name)) for name in operator.template_fields}
    for text in (
        *lines,
        printed.out,
        printed.err,
        json.dumps(results),
        str(caught.value),
        repr(caught.value),
        str(templates),
    ):
        assert WEBHOOK_SECRET not in text
        assert sandbox.token not in text


def test_results_are_small_and_plain(callback: Callback):
    results = [ensure(), listed()]
    assert json.loads(json.dumps(results)) == results
    assert len(json.dumps(results)) < 2000


def test_a_code_that_the_receiver_stored_validates(callback: Callback):
    callback.echoes = False
    number = ensure(validate=False)["subscription_id"]
    code = callback.find_code(number)
    assert code is not None
    with open_event_store("toggl_default") as store:
        store.record_handshake(Handshake(number, "toggl_default", code, datetime.now(timezone.utc)))
    result = ensure()
    assert (result["action"], result["validated"]) == ("nothing", True)
    assert listed()[0]["validated"]


def test_the_task_defers_for_the_quota(callback: Callback, sandbox: RunningSandbox):
    text = "You have hit your hourly limit for API calls. Your quota will reset in 600 seconds."
    sandbox.fault("status", status=402, body=text)
    operator = TogglEnsureSubscriptionOperator(task_id="ensure", description="airflow")
    with pytest.raises(TaskDeferred) as deferred:
        operator.execute({})
    sandbox.clear_faults()
    assert deferred.value.method_name == "resume"
    assert WEBHOOK_SECRET not in json.dumps(deferred.value.kwargs)


# -- the others --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["description", "subscription_id"])
def test_a_subscription_is_disabled_enabled_pinged_and_deleted(callback: Callback, by: str):
    which = {by: ensure()[by]}
    off = TogglSetSubscriptionEnabledOperator(task_id="off", enabled=False, **which)
    assert off.execute({})["enabled"] is False
    on = TogglSetSubscriptionEnabledOperator(task_id="on", enabled=True, **which)
    assert on.execute({})["enabled"] is True
    pings = callback.pings
    number = listed()[0]["subscription_id"]
    assert TogglPingSubscriptionOperator(task_id="ping", **which).execute({})["subscription_id"] == number
    assert callback.pings > pings
    delete = TogglDeleteSubscriptionOperator(task_id="delete", **which)
    assert delete.execute({}) == {"subscription_id": number, "deleted": True}
    assert delete.execute({})["deleted"] is False
    assert listed() == []


def test_a_subscription_is_validated_by_a_given_code_or_by_a_ping(callback: Callback):
    callback.echoes = False
    number = ensure(validate=False)["subscription_id"]
    code = callback.find_code(number)
    by_code = TogglValidateSubscriptionOperator(task_id="validate", subscription_id=number, validation_code=code)
    assert by_code.execute({})["validated"] is True
    assert shown() == [(True, True)]
    TogglDeleteSubscriptionOperator(task_id="delete", subscription_id=number).execute({})
    ensure(validate=False)
    callback.echoes = True
    by_ping = TogglValidateSubscriptionOperator(task_id="validate", description="airflow")
    assert by_ping.execute({})["validated"] is True
    assert by_ping.execute({})["validated"] is True


def test_the_error_for_a_missing_subscription_lists_the_existing_ones(callback: Callback):
    number = ensure()["subscription_id"]
    with pytest.raises(errors.NotFound, match=rf"'other'.*{number} \('airflow'\)"):
        TogglPingSubscriptionOperator(task_id="ping", description="other").execute({})
    with pytest.raises(errors.NotFound, match=f"{number}"):
        TogglValidateSubscriptionOperator(task_id="validate", subscription_id=number + 1).execute({})


def test_a_description_or_an_id_is_required(callback: Callback):
    with pytest.raises(errors.ConfigurationError, match="subscription is not given"):
        TogglPingSubscriptionOperator(task_id="ping").execute({})
    with pytest.raises(errors.ConfigurationError, match="whole number"):
        TogglPingSubscriptionOperator(task_id="ping", subscription_id="three").execute({})


# -- replay ------------------------------------------------------------------------------------------------------------


def replay() -> TogglReplayEventsOperator:
    return TogglReplayEventsOperator(task_id="replay", description="airflow")


@pytest.fixture
def missed(callback: Callback, sandbox: RunningSandbox) -> list[int]:
    """The ids of events that Toggl attempted to deliver and nobody took."""
    sandbox.set(webhook_events_page=7, webhook_retry_seconds="0.01")
    ensure(filters="*:*")
    callback.status = 503
    sandbox.mutate(seed=4, n=25, kinds=["create", "late_edit", "delete_entry", "rename_project"])
    assert sandbox.flush_webhooks() == 0
    return sorted(event["event_id"] for event in sandbox.webhook_events())


def stored() -> list[int]:
    with open_event_store("toggl_default") as store:
        return sorted(event.event.event_id for event in store.read(0))


def test_missed_events_are_appended_once(missed: list[int]):
    assert len(missed) >= 20
    result = replay().execute({})
    assert (result["appended"], result["duplicates"], result["unusable"]) == (len(missed), 0, 0)
    assert (result["served"], result["complete"]) == (True, True)
    assert stored() == missed
    assert replay().execute({})["appended"] == 0
    assert stored() == missed


def test_progress_is_in_the_log_and_payloads_are_not(missed: list[int], sandbox: RunningSandbox, capsys):
    with all_logs() as lines:
        replay().execute({})
    lines.append(capsys.readouterr().out)
    assert f"of {len(missed)} events read" in "\n".join(lines)
    descriptions = {row["description"] for row in sandbox.truth("time_entries") if len(row["description"] or "") > 8}
    assert not [line for line in lines if any(text in line for text in descriptions)]


def test_without_a_log_the_task_succeeds_with_a_warning(missed: list[int], sandbox: RunningSandbox, capsys):
    sandbox.set(webhook_events_log=False)
    result = replay().execute({})
    assert (result["served"], result["complete"], result["appended"]) == (False, False, 0)
    assert "The incremental pull (TogglToSqlOperator) finds" in capsys.readouterr().out


def test_a_replay_continues_after_the_reset(missed: list[int], sandbox: RunningSandbox):
    text = "You have hit your hourly limit for API calls. Your quota will reset in 0 seconds."
    sandbox.fault("status", status=402, body=text, match={"path": "/events"})
    operator = replay()
    with pytest.raises(TaskDeferred) as deferred:
        operator.execute({})
    kwargs = json.loads(json.dumps(deferred.value.kwargs))
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with contextlib.suppress(TaskDeferred):
            assert operator.resume({}, None, **kwargs)["appended"] == len(missed)
            break
    assert stored() == missed
