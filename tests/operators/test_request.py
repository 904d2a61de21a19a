from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred
from support.connections import Connections
from support.sandboxes import HostedSandbox
from support.task_attempts import RETRIES, Killed, TaskStateStore, context_of, task_state_store

from airflow_provider_toggl.core import errors
from airflow_provider_toggl.core.client.transport import RequestsTransport
from airflow_provider_toggl.operators.request import TogglRequestOperator, select_context

pytestmark = pytest.mark.airflow

TAGS = "/api/v9/workspaces/{workspace_id}/tags"


@pytest.fixture(autouse=True)
def toggl(small_sandbox: HostedSandbox, connections: Connections) -> HostedSandbox:
    connections.toggl(small_sandbox)
    return small_sandbox


def ask(try_number: int = 1, *, store: TaskStateStore | None = None, max_tries: int = RETRIES, **options: Any) -> Any:
    operator = TogglRequestOperator(**{"task_id": "ask", "endpoint": TAGS, **options})
    return operator.execute(context_of("ask", try_number, store=store, max_tries=max_tries))  # type: ignore[arg-type]


def post(try_number: int = 1, **options: Any) -> Any:
    return ask(try_number, **{"method": "POST", "json": {"name": "brand new"}, **options})


def sent(toggl: HostedSandbox) -> int:
    calls = toggl.requests()["calls"]
    return sum(1 for call in calls if call["method"] == "POST")


def made(toggl: HostedSandbox) -> int:
    return sum(1 for tag in toggl.truth("tags") if tag["name"] == "brand new")


def test_the_response_is_the_result_and_ids_are_filled_in(toggl: HostedSandbox):
    assert post()["name"] == "brand new"
    assert [tag["name"] for tag in ask(query={"search": "brand"})] == ["brand new"]
    organization = toggl.world.organization.id
    assert ask(endpoint="/api/v9/organizations/{organization_id}")["id"] == organization


def test_a_response_that_is_not_json_is_text_and_an_empty_one_is_none(toggl: HostedSandbox):
    toggl.fault("not_json", body="plain", content_type="text/plain")
    assert ask() == "plain"
    number = post()["id"]
    assert ask(method="DELETE", endpoint=f"{TAGS}/{number}") is None


def test_functions_get_the_response_and_values_of_the_context():
    assert ask(response_filter=lambda answer: len(answer.json())) > 0
    assert ask(response_filter=lambda answer, ti: (answer.status, ti.task_id)) == (200, "ask")
    assert ask(response_check=lambda answer, **context: "ti" in context and "[" in answer.text)


@pytest.mark.parametrize(
    ("function", "names"),
    [
        (lambda answer: 0, set()),
        (lambda answer, ti: 0, {"ti"}),
        (lambda answer, *, run_id, other=None: 0, {"run_id"}),
        (lambda answer, **context: 0, {"ti", "run_id"}),
        (min, set()),
    ],
)
def test_a_function_gets_the_values_it_has_parameters_for(function: Any, names: set[str]):
    assert set(select_context(function, {"ti": 1, "run_id": 2})) == names


def test_a_rejected_response_fails_and_a_write_is_not_sent_again(toggl: HostedSandbox):
    with pytest.raises(errors.MalformedAnswer, match="response_check"):
        post(response_check=lambda answer: False)
    with pytest.raises(errors.OutcomeUnknown):
        post(2)
    assert sent(toggl) == 1


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://example.org/api/v9/me",
        "//example.org/api/v9/me",
        "api/v9/me",
        "",
        "/api/v9/me?token=x",
        "/api/v9/me#x",
        "/\\example.org",
    ],
)
def test_an_endpoint_with_a_host_or_a_query_is_refused(toggl: HostedSandbox, endpoint: str):
    toggl.reset_requests()
    with pytest.raises(errors.ConfigurationError, match="endpoint must be"):
        ask(endpoint=endpoint)
    assert toggl.requests()["total"] == 0


FAULTS = [
    ({"kind": "hang_up", "takes_effect": True}, 1),
    ({"kind": "hang_up", "takes_effect": False}, 0),
    ({"kind": "cut", "fraction": 0.5}, 1),
    ({"kind": "status", "status": 502, "takes_effect": True}, 1),
]


@pytest.mark.parametrize(("fault", "effect"), FAULTS, ids=str)
@pytest.mark.parametrize("airflow", ["3.3", "3.2"])
def test_a_write_with_an_unknown_outcome_is_not_sent_again(
    toggl: HostedSandbox, fault: dict[str, Any], effect: int, airflow: str
):
    order, store = dict(fault), task_state_store(airflow)
    toggl.fault(order.pop("kind"), **order, match={"method": "POST"})
    with pytest.raises(errors.OutcomeUnknown, match="not sent again") as caught:
        post(store=store)
    # Airflow does not try such a task again by itself; and if somebody clears it, it is not sent either.
    assert isinstance(caught.value, AirflowFailException)
    with pytest.raises(errors.OutcomeUnknown, match="earlier try"):
        post(2, store=store)
    assert (sent(toggl), made(toggl)) == (1, effect)


@pytest.mark.parametrize("airflow", ["3.3", "3.2"])
def test_after_an_interrupted_try_the_request_is_not_sent_again(
    toggl: HostedSandbox, monkeypatch: pytest.MonkeyPatch, airflow: str
):
    send = RequestsTransport.send

    def send_and_die(*arguments: Any) -> Any:
        send(*arguments)
        raise Killed

    store = task_state_store(airflow)
    monkeypatch.setattr(RequestsTransport, "send", send_and_die)
    with pytest.raises(Killed):
        post(store=store)
    monkeypatch.setattr(RequestsTransport, "send", send)
    with pytest.raises(errors.OutcomeUnknown):
        post(2, store=store)
    assert (sent(toggl), made(toggl)) == (1, 1)


def test_a_write_that_was_refused_may_be_sent_by_the_next_try(toggl: HostedSandbox):
    toggl.fault("status", status=400, body="no", match={"method": "POST"})
    with pytest.raises(errors.PayloadRefused):
        post()
    assert post(2)["name"] == "brand new"


@pytest.mark.parametrize("airflow", ["3.3", "3.2"])
def test_clearing_the_task_sends_the_request_again(toggl: HostedSandbox, airflow: str):
    store = task_state_store(airflow)
    post(store=store)
    with pytest.raises(errors.PayloadRefused, match="already exists"):
        post(2, store=store, max_tries=RETRIES + 1)
    assert sent(toggl) == 2


@pytest.mark.parametrize("airflow", ["3.3", "3.2"])
def test_a_request_is_not_sent_again_if_airflow_could_not_store_the_result(toggl: HostedSandbox, airflow: str):
    store = task_state_store(airflow)
    post(store=store)
    # The result was no XCom, or the worker ended before Airflow knew of it: a retry, which nobody asked for.
    with pytest.raises(errors.OutcomeUnknown, match="was answered") as caught:
        post(2, store=store)
    assert isinstance(caught.value, AirflowFailException)
    assert sent(toggl) == 1


def test_a_new_run_ignores_the_state_of_a_deleted_run_of_the_same_name(toggl: HostedSandbox):
    toggl.fault("hang_up", takes_effect=False, match={"method": "POST"})
    with pytest.raises(errors.OutcomeUnknown):
        post()
    assert post()["name"] == "brand new"


@pytest.mark.parametrize("json", [{"name": {1, 2}}, {"name": float("nan")}], ids=["a set", "no number"])
def test_a_body_that_is_not_json_is_refused_and_not_recorded_as_sent(toggl: HostedSandbox, json: Any):
    toggl.reset_requests()
    with pytest.raises(errors.ConfigurationError, match="JSON"):
        post(json=json)
    assert toggl.requests()["total"] == 0
    assert post(2)["name"] == "brand new"


def test_secrets_of_a_response_are_not_in_the_result(toggl: HostedSandbox):
    me = ask(endpoint="/api/v9/me", query={"with_related_data": "true"})
    assert me["email"]
    assert me["api_token"] == "***"
    assert {workspace["api_token"] for workspace in me["workspaces"]} == {"***"}
    assert toggl.token not in json.dumps(me)
    # Who filters has the whole of it, and answers for the result.
    assert ask(endpoint="/api/v9/me", response_filter=lambda answer: answer.json()["api_token"]) == toggl.token


def test_a_write_that_is_idempotent_is_sent_again(toggl: HostedSandbox):
    toggl.fault("hang_up", takes_effect=False, match={"method": "POST"})
    assert post(idempotent=True)["name"] == "brand new"
    assert sent(toggl) == 2


def test_the_task_defers_for_the_quota_and_records_nothing_as_sent(toggl: HostedSandbox):
    toggl.set(quota_enforced=True, organization_quota=1)
    ask()
    with pytest.raises(TaskDeferred) as deferred:
        post()
    assert (deferred.value.kwargs or {})["progress"] == {"sent": None}
    assert made(toggl) == 0
