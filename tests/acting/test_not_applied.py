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
    TogglSetSubscriptionEnabledOperator,
    TogglValidateSubscriptionOperator,
)
from airflow_provider_toggl.sandbox.server import RunningSandbox, start_sandbox
from airflow_provider_toggl.sandbox.settings import Settings

pytestmark = pytest.mark.airflow

START, STOP = "2026-11-20T08:00:00Z", "2026-11-20T09:00:00Z"


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
    given = {"description": "airflow", "filters": ["time_entry"], **options}
    return TogglEnsureSubscriptionOperator(task_id="ensure", **given).execute({})


def entry(**options: Any) -> Any:
    return TogglStartTimeEntryOperator(task_id="start", **options).execute({})["id"]


Write = Callable[[], Any]


numbers = itertools.count(1)


def prepare(kind: type, callback: Callback | None = None) -> tuple[Write, dict[str, str]]:
    """Return a write by an operator, with all before it done, and the request that it is."""
    table: dict[type, tuple[Callable[[], dict[str, Any]], str, str]] = {
        TogglEnsureSubscriptionOperator: (lambda: {"description": "airflow"}, "POST", "/subscriptions/"),
        TogglSetSubscriptionEnabledOperator: (
            lambda: {"subscription_id": subscription()["subscription_id"], "enabled": False},
            "PATCH",
            "/subscriptions/",
        ),
        TogglDeleteSubscriptionOperator: (
            lambda: {"subscription_id": subscription()["subscription_id"]},
            "DELETE",
            "/subscriptions/",
        ),
        TogglValidateSubscriptionOperator: (
            lambda: {
                "subscription_id": subscription(validate=False)["subscription_id"],
                "validation_code": None,
            },
            "GET",
            "/validate/",
        ),
        TogglCreateTimeEntryOperator: (
            lambda: {"start": START, "stop": STOP, "description": f"created {next(numbers)}"},
            "POST",
            "/time_entries",
        ),
        TogglStartTimeEntryOperator: (lambda: {"description": f"started {next(numbers)}"}, "POST", "/time_entries"),
        TogglStopTimeEntryOperator: (lambda: {"time_entry_id": entry()}, "PATCH", "/stop"),
        TogglUpdateTimeEntryOperator: (
            lambda: {"time_entry_id": entry(), "changes": {"description": "changed"}},
            "PUT",
            "/time_entries",
        ),
        TogglEnsureProjectOperator: (lambda: {"name": "New project"}, "POST", "/projects"),
        TogglEnsureClientOperator: (lambda: {"name": "New client"}, "POST", "/clients"),
        TogglEnsureTagOperator: (lambda: {"name": "New tag"}, "POST", "/tags"),
        TogglEnsureTaskOperator: (
            lambda: {
                "name": "New task",
                "project_id": TogglEnsureProjectOperator(task_id="p", name="For tasks").execute({})["id"],
            },
            "POST",
            "/tasks",
        ),
    }
    given, method, path = table[kind]
    options = given()
    if callback is not None and "validation_code" in options:
        options["validation_code"] = callback.find_code(options["subscription_id"])
    return lambda: kind(task_id="write", **options).execute({}), {"method": method, "path": path}


# A PING changes nothing that could be looked at; the others only read.
NOT_LOOKED_AT = {
    TogglPingSubscriptionOperator,
    TogglListSubscriptionsOperator,
    subscriptions.TogglReplayEventsOperator,
}
WRITING = [
    one
    for module in (subscriptions, entries, catalog)
    for name, one in vars(module).items()
    if inspect.isclass(one) and name.startswith("Toggl") and name.endswith("Operator") and one not in NOT_LOOKED_AT
]


@pytest.mark.parametrize("kind", WRITING, ids=lambda kind: kind.__name__)
def test_a_write_that_toggl_accepts_without_doing_it_is_done_or_fails(
    toggl: RunningSandbox, callback: Callback, kind: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_toggl.core.client.idempotency.LOOKUP_DELAYS", (0.0,))
    if kind is TogglValidateSubscriptionOperator:
        callback.echoes = False
    write, match = prepare(kind, callback)
    toggl.fault("status", status=200, body='"OK"', match=match, times=1)
    text = None
    try:
        result = write()
    except NotApplied as error:
        text = str(error)
    if kind is TogglSetSubscriptionEnabledOperator:
        assert text is not None
        assert "enabled (True, not False)" in text
    elif kind is TogglStopTimeEntryOperator:
        assert text is not None
        assert "still runs" in text
    elif kind is TogglUpdateTimeEntryOperator:
        assert text is not None
        assert "description" in text
    elif kind is TogglDeleteSubscriptionOperator:
        assert result["deleted"] is True
        assert listed() == []
    elif kind is TogglValidateSubscriptionOperator:
        assert result["validated"] is True
        assert listed()[0]["validated"] is True
    elif kind is TogglEnsureSubscriptionOperator:
        assert [one["subscription_id"] for one in listed()] == [result["subscription_id"]]
    elif kind is TogglStartTimeEntryOperator:
        # Found: a look showed the entry, so nothing was sent again. Either way it is the one that runs.
        assert result["action"] in ("started", "found")
        where = f"{toggl.url}/api/v9/me/time_entries/current"
        current = requests.get(where, auth=(toggl.token, "api_token"), timeout=10).json()
        assert current["id"] == result["id"]
        assert current["description"].startswith("started")
    else:
        assert result["action"] in ("created", "started")


#: Which fields are compared, and how, is tested in tests/core/client.
FIELDS: list[tuple[type, str, Any]] = [
    (TogglEnsureSubscriptionOperator, "event_filters", []),
    (TogglSetSubscriptionEnabledOperator, "subscription_id", 99),
    (TogglCreateTimeEntryOperator, "stop", "2026-11-20T10:00:00Z"),
    (TogglStartTimeEntryOperator, "duration", 60),
    (TogglUpdateTimeEntryOperator, "description", "other"),
    (TogglEnsureProjectOperator, "active", False),
    (TogglEnsureClientOperator, "name", "Other"),
    (TogglEnsureTagOperator, "name", "Other"),
    (TogglEnsureTaskOperator, "name", "Other"),
]


@pytest.mark.parametrize(("kind", "field", "value"), FIELDS)
def test_a_response_that_differs_from_the_write_fails_with_the_name_of_the_field(
    toggl: RunningSandbox, callback: Callback, kind: type, field: str, value: Any
) -> None:
    write, match = prepare(kind)
    if kind.__name__.startswith("TogglEnsure") and "Subscription" not in kind.__name__:
        original = write
        write = lambda: kind(**{**_options(original), "name": f"{field} of {kind.__name__}"}).execute({})  # noqa: E731
    toggl.fault("set_field", field=field, value=value, match=match, times=1)
    with pytest.raises(NotApplied, match=rf"Toggl accepted the request, but .*\b{field}\b"):
        write()


def _options(write: Write) -> dict[str, Any]:
    given = inspect.getclosurevars(write).nonlocals["options"]
    return {"task_id": "write", **given}


@pytest.mark.parametrize(
    ("kind", "requests"),
    [
        (TogglSetSubscriptionEnabledOperator, 1),
        (TogglDeleteSubscriptionOperator, 1),
        (TogglCreateTimeEntryOperator, 1),
        (TogglStartTimeEntryOperator, 1),
        (TogglStopTimeEntryOperator, 1),
        (TogglUpdateTimeEntryOperator, 1),
    ],
)
def test_checking_the_response_costs_no_request(
    toggl: RunningSandbox, callback: Callback, kind: type, requests: int
) -> None:
    write, _ = prepare(kind)
    before = toggl.requests()["total"]
    write()
    assert toggl.requests()["total"] - before == requests
