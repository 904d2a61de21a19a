"""Every operator that writes checks what Toggl did, because Toggl may accept a write without doing it."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from support.connections import Connections
from support.servers.http import Callback, open_callback

from airflow_provider_toggl.core.client import idempotency
from airflow_provider_toggl.core.errors import NotApplied
from airflow_provider_toggl.operators import catalog, entries, subscriptions
from airflow_provider_toggl.operators.catalog import (
    TogglEnsureClientOperator,
    TogglEnsureProjectOperator,
    TogglEnsureTagOperator,
    TogglEnsureTaskOperator,
)
from airflow_provider_toggl.operators.entries import (
    TogglCreateTimeEntryOperator,
    TogglStartTimeEntryOperator,
    TogglStopTimeEntryOperator,
    TogglUpdateTimeEntryOperator,
)
from airflow_provider_toggl.operators.subscriptions import (
    TogglDeleteSubscriptionOperator,
    TogglEnsureSubscriptionOperator,
    TogglListSubscriptionsOperator,
    TogglPingSubscriptionOperator,
    TogglReplayEventsOperator,
    TogglSetSubscriptionEnabledOperator,
    TogglValidateSubscriptionOperator,
)
from airflow_provider_toggl.sandbox.server import RunningSandbox, start_sandbox
from airflow_provider_toggl.sandbox.settings import Settings

pytestmark = pytest.mark.airflow

START, STOP = "2026-11-20T08:00:00Z", "2026-11-20T09:00:00Z"
numbers = itertools.count(1)


@pytest.fixture(scope="module")
def toggl() -> Iterator[RunningSandbox]:
    with start_sandbox(entries=20, days=5, settings=Settings(plan="starter", quota_enforced=False)) as running:
        yield running


@pytest.fixture
def callback(toggl: RunningSandbox, connections: Connections) -> Iterator[Callback]:
    toggl.clear_faults()
    with open_callback() as running:
        connections.toggl(toggl, webhook_callback_url=running.server.url)
        yield running
        toggl.clear_faults()
        for one in listed():
            TogglDeleteSubscriptionOperator(task_id="clean", subscription_id=one["subscription_id"]).execute({})


def listed() -> list[dict[str, Any]]:
    return TogglListSubscriptionsOperator(task_id="list").execute({})


def subscription(**options: Any) -> Any:
    operator = TogglEnsureSubscriptionOperator(task_id="ensure", description="airflow", filters="time_entry", **options)
    return operator.execute({})["subscription_id"]


def running_entry() -> Any:
    return TogglStartTimeEntryOperator(task_id="start").execute({})["id"]


def unvalidated(callback: Callback) -> dict[str, Any]:
    number = subscription(validate=False)
    return {"subscription_id": number, "validation_code": callback.find_code(number)}


def named(**options: Any) -> dict[str, Any]:
    return {"name": f"New {next(numbers)}", **options}


#: The arguments of a write, made after all that it needs, and the request that it is.
WRITES: dict[type, tuple[Callable[[Callback], dict[str, Any]], str, str]] = {
    TogglEnsureSubscriptionOperator: (lambda _: {"description": "airflow"}, "POST", "/subscriptions/"),
    TogglSetSubscriptionEnabledOperator: (
        lambda _: {"subscription_id": subscription(), "enabled": False},
        "PATCH",
        "/subscriptions/",
    ),
    TogglDeleteSubscriptionOperator: (lambda _: {"subscription_id": subscription()}, "DELETE", "/subscriptions/"),
    TogglValidateSubscriptionOperator: (unvalidated, "GET", "/validate/"),
    TogglCreateTimeEntryOperator: (
        lambda _: {"start": START, "stop": STOP, "description": f"created {next(numbers)}"},
        "POST",
        "/time_entries",
    ),
    TogglStartTimeEntryOperator: (lambda _: {"description": f"started {next(numbers)}"}, "POST", "/time_entries"),
    TogglStopTimeEntryOperator: (lambda _: {"time_entry_id": running_entry()}, "PATCH", "/stop"),
    TogglUpdateTimeEntryOperator: (
        lambda _: {"time_entry_id": running_entry(), "changes": {"description": "changed"}},
        "PUT",
        "/time_entries",
    ),
    TogglEnsureProjectOperator: (lambda _: named(), "POST", "/projects"),
    TogglEnsureClientOperator: (lambda _: named(), "POST", "/clients"),
    TogglEnsureTagOperator: (lambda _: named(), "POST", "/tags"),
    TogglEnsureTaskOperator: (
        lambda _: named(project_id=TogglEnsureProjectOperator(task_id="p", **named()).execute({})["id"]),
        "POST",
        "/tasks",
    ),
}


def prepare(kind: type, callback: Callback) -> tuple[Callable[[], Any], dict[str, str]]:
    """Return a write by an operator, and the request that it is."""
    build, method, path = WRITES[kind]
    options = build(callback)
    return lambda: kind(task_id="write", **options).execute({}), {"method": method, "path": path}


def test_every_operator_that_writes_is_tried() -> None:
    # A PING changes nothing that could be looked at; the others only read.
    others = {TogglPingSubscriptionOperator, TogglListSubscriptionsOperator, TogglReplayEventsOperator}
    operators = {
        one
        for module in (subscriptions, entries, catalog)
        for name, one in vars(module).items()
        if inspect.isclass(one) and name.startswith("Toggl") and name.endswith("Operator")
    }
    assert operators - others == set(WRITES)


#: Operators that do not send the request again, and the words of their error.
FAILING = {
    TogglSetSubscriptionEnabledOperator: r"enabled \(True, not False\)",
    TogglStopTimeEntryOperator: "still runs",
    TogglUpdateTimeEntryOperator: "description",
}


@pytest.mark.parametrize("kind", WRITES, ids=lambda kind: kind.__name__)
def test_a_write_that_toggl_accepts_without_doing_it_is_done_or_fails(
    toggl: RunningSandbox, callback: Callback, kind: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "LOOKUP_DELAYS", (0.0,))
    callback.echoes = kind is not TogglValidateSubscriptionOperator
    write, match = prepare(kind, callback)
    toggl.fault("status", status=200, body='"OK"', match=match, times=1)
    if kind in FAILING:
        with pytest.raises(NotApplied, match=FAILING[kind]):
            write()
        return
    result = write()
    if kind is TogglDeleteSubscriptionOperator:
        assert (result["deleted"], listed()) == (True, [])
    elif kind is TogglValidateSubscriptionOperator:
        assert result["validated"] is listed()[0]["validated"] is True
    elif kind is TogglEnsureSubscriptionOperator:
        assert [one["subscription_id"] for one in listed()] == [result["subscription_id"]]
    elif kind is TogglStartTimeEntryOperator:
        # Found: a lookup showed the entry, so nothing was sent again. Either way it is the one that runs.
        assert result["action"] in ("started", "found")
        where = f"{toggl.url}/api/v9/me/time_entries/current"
        current = requests.get(where, auth=(toggl.token, "api_token"), timeout=10).json()
        assert current["id"] == result["id"]
        assert current["description"].startswith("started")
    else:
        assert result["action"] == "created"


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    # Which fields are compared, and how, is tested in tests/core/client.
    [
        (TogglEnsureSubscriptionOperator, "event_filters", []),
        (TogglSetSubscriptionEnabledOperator, "subscription_id", 99),
        (TogglCreateTimeEntryOperator, "stop", "2026-11-20T10:00:00Z"),
        (TogglStartTimeEntryOperator, "duration", 60),
        (TogglUpdateTimeEntryOperator, "description", "other"),
        (TogglEnsureProjectOperator, "active", False),
        (TogglEnsureClientOperator, "name", "Other"),
        (TogglEnsureTagOperator, "name", "Other"),
        (TogglEnsureTaskOperator, "name", "Other"),
    ],
)
def test_a_response_that_differs_from_the_write_fails_with_the_name_of_the_field(
    toggl: RunningSandbox, callback: Callback, kind: type, field: str, value: Any
) -> None:
    write, match = prepare(kind, callback)
    toggl.fault("set_field", field=field, value=value, match=match, times=1)
    with pytest.raises(NotApplied, match=rf"Toggl accepted the request, but .*\b{field}\b"):
        write()


@pytest.mark.parametrize(
    "kind",
    [
        TogglSetSubscriptionEnabledOperator,
        TogglDeleteSubscriptionOperator,
        TogglCreateTimeEntryOperator,
        TogglStartTimeEntryOperator,
        TogglStopTimeEntryOperator,
        TogglUpdateTimeEntryOperator,
    ],
)
def test_checking_the_response_costs_no_request(toggl: RunningSandbox, callback: Callback, kind: type) -> None:
    write, _ = prepare(kind, callback)
    before = toggl.requests()["total"]
    write()
    assert toggl.requests()["total"] - before == 1
