from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.fakes import FakeTransport, answer, fake_session, quota_headers, replies

from airflow_provider_toggl.core import errors
from airflow_provider_toggl.core.client.resources.subscriptions import (
    SubscriptionFilter,
    SubscriptionLimits,
    SubscriptionSpec,
)
from airflow_provider_toggl.core.client.resources.webhooks import DeliveryLogPage, WebhooksClient
from airflow_provider_toggl.core.client.responses import TogglResponse
from airflow_provider_toggl.core.client.transport import OutgoingRequest

WANTED = SubscriptionSpec(
    "airflow", (SubscriptionFilter("time_entry", "*"),), "https://example.org/toggl/webhooks/t", "whsec-90ab"
)
ROW = {
    "subscription_id": 3,
    "workspace_id": 7,
    "description": "airflow",
    "enabled": True,
    "event_filters": [{"entity": "time_entry", "action": "*"}],
    "url_callback": "https://example.org/toggl/webhooks/t",
    "validated_at": None,
}
LIST = "/webhooks/api/v1/subscriptions/7"
CUT = errors.ConnectionTrouble("the connection was cut")


def build(reply: Callable[[OutgoingRequest], TogglResponse]) -> tuple[WebhooksClient, FakeTransport]:
    session, transport, _ = fake_session(reply)
    return WebhooksClient(session, 7), transport


def asked(transport: FakeTransport) -> list[str]:
    return [f"{call.method} {call.path.removeprefix('/webhooks/api/v1')}" for call in transport.calls]


def test_every_method_calls_its_endpoint():
    webhooks, transport = build(lambda call: answer(200, [ROW] if call.method == "GET" else ROW, call=call))
    webhooks.subscriptions()
    webhooks.create(WANTED)
    webhooks.replace(3, WANTED)
    webhooks.set_enabled(3, True)
    webhooks.ping(3)
    webhooks.validate(3, "89ab/..")
    assert asked(transport) == [
        "GET /subscriptions/7",
        "POST /subscriptions/7",
        "PUT /subscriptions/7/3",
        "PATCH /subscriptions/7/3",
        "POST /ping/7/3",
        "GET /validate/7/3/89ab%2F..",
    ]
    assert (
        transport.calls[1].payload
        == transport.calls[2].payload
        == {
            "description": "airflow",
            "enabled": True,
            "event_filters": [{"entity": "time_entry", "action": "*"}],
            "secret": "whsec-90ab",
            "url_callback": "https://example.org/toggl/webhooks/t",
        }
    )
    assert transport.calls[3].payload == {"enabled": True}


def test_deleted_subscriptions_are_not_listed():
    webhooks, _ = build(replies(answer(200, [{**ROW, "deleted_at": "2026-01-01T00:00:00Z"}, ROW])))
    assert [one.subscription_id for one in webhooks.subscriptions()] == [3]


@pytest.mark.parametrize("body", [{}, None, "[]", [{"id": 3}], b"<html>"], ids=str)
def test_a_response_that_is_not_a_list_is_malformed(body: Any):
    webhooks, _ = build(replies(answer(200, body)))
    with pytest.raises(errors.MalformedAnswer, match="proxy"):
        webhooks.subscriptions()


# -- whether it was made is not known ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "first", [CUT, answer(500, "oops"), answer(200, b'{"subscription_id": 3'), answer(200, None)], ids=str
)
def test_after_a_lost_response_the_subscription_is_found_and_not_created_twice(first: TogglResponse | Exception):
    webhooks, transport = build(replies(first, answer(200, [ROW])))
    assert webhooks.create(WANTED).subscription_id == 3
    assert asked(transport) == ["POST /subscriptions/7", "GET /subscriptions/7"]


def test_a_subscription_that_the_list_does_not_have_is_created_again():
    webhooks, transport = build(replies(CUT, answer(200, []), answer(200, ROW)))
    assert webhooks.create(WANTED).subscription_id == 3
    assert asked(transport) == ["POST /subscriptions/7", "GET /subscriptions/7", "POST /subscriptions/7"]


def test_a_subscription_that_a_slow_request_created_is_used():
    in_use = answer(400, "Subscription description 'airflow' is already in use for workspace 7")
    webhooks, _ = build(replies(CUT, answer(200, []), in_use, answer(200, [ROW])))
    assert webhooks.create(WANTED).subscription_id == 3


def test_a_description_in_use_is_refused():
    in_use = answer(400, "Subscription description 'airflow' is already in use for workspace 7")
    webhooks, _ = build(replies(in_use, answer(200, [{**ROW, "url_callback": "https://example.org/other"}])))
    with pytest.raises(errors.PayloadRefused, match="choose another description"):
        webhooks.create(WANTED)


def test_the_number_of_tries_to_create_is_limited():
    webhooks, transport = build(lambda call: answer(200, [], call=call) if call.method == "GET" else _cut())
    with pytest.raises(errors.ConnectionTrouble):
        webhooks.create(WANTED)
    assert len(asked(transport)) == 3


def _cut() -> TogglResponse:
    raise CUT


# -- single answers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body", ["Subscription description must not be empty", b"Subscription description must not be empty"]
)
def test_an_error_may_be_a_json_string_or_plain_text(body: Any):
    webhooks, _ = build(replies(answer(400, body)))
    with pytest.raises(errors.PayloadRefused, match="Give the subscription a description") as caught:
        webhooks.replace(3, WANTED)
    assert caught.value.text == "Subscription description must not be empty"


def test_deleting_a_missing_subscription_returns_false():
    webhooks, _ = build(replies(answer(404, "subscription 3 for workspace 7 was not found")))
    assert webhooks.delete(3) is False


GONE = {**ROW, "deleted_at": "2026-11-28T06:00:00Z"}


@pytest.mark.parametrize(
    ("script", "requests"),
    [
        ([answer(200, GONE)], 1),
        ([answer(200, "OK"), answer(200, [])], 2),
        ([answer(200, b""), answer(200, [GONE])], 2),
        ([answer(200, b"<html>"), answer(200, [])], 2),
        ([answer(200, ROW), answer(200, [])], 2),
        ([answer(200, {**GONE, "subscription_id": 4}), answer(200, [])], 2),
        ([answer(200, "OK"), answer(200, [ROW]), answer(200, GONE)], 3),
        ([answer(200, "OK"), answer(200, [ROW]), answer(404, "gone")], 3),
        ([answer(200, "OK"), answer(402, "hourly limit", headers=quota_headers(0, 60))], 2),
    ],
    ids=[
        "shown",
        "a word",
        "nothing",
        "no JSON",
        "not shown",
        "another",
        "at the second try",
        "late",
        "no quota to look",
    ],
)
def test_a_deletion_that_the_response_does_not_show_is_checked(script: list[TogglResponse], requests: int):
    session, transport, _ = fake_session(replies(*script))
    changes: list[Any] = []
    webhooks = WebhooksClient(session, 7, on_change=lambda *change: changes.append(change))
    assert webhooks.delete(3) is True
    assert changes == [(3, None)]
    assert len(transport.calls) == requests


def test_a_subscription_that_stays_after_two_deletions_fails():
    webhooks, transport = build(lambda call: answer(200, [ROW] if call.method == "GET" else "OK", call=call))
    with pytest.raises(errors.NotApplied, match="subscription 3 but still lists it"):
        webhooks.delete(3)
    assert len(transport.calls) == 4


@pytest.mark.parametrize("row", [{**ROW, "enabled": False}, ROW])
def test_after_a_change_whose_response_is_a_word_the_list_is_read(row: dict[str, Any]):
    webhooks, transport = build(replies(answer(200, "OK"), answer(200, [row])))
    if row["enabled"]:
        with pytest.raises(errors.NotApplied, match=r"subscription 3: .* enabled \(True, not False\)"):
            webhooks.set_enabled(3, False)
    else:
        assert webhooks.set_enabled(3, False).enabled is False
    assert len(transport.calls) == 2


@pytest.mark.parametrize("method", ["create", "replace"])
def test_a_response_with_a_different_field_fails(method: str):
    webhooks, transport = build(replies(answer(200, {**ROW, "event_filters": []})))
    with pytest.raises(errors.NotApplied, match="event_filters") as caught:
        webhooks.create(WANTED) if method == "create" else webhooks.replace(3, WANTED)
    assert "whsec" not in str(caught.value)
    assert len(transport.calls) == 1


@pytest.mark.parametrize(
    ("reply", "valid"),
    [
        (answer(200, "OK"), True),
        (answer(200, b"OK"), True),
        (answer(400, "subscription 3 has already been validated"), True),
        (answer(400, "subscription 3 for workspace 7 and validation code 'x' was not found"), False),
        (answer(404, "not found"), False),
    ],
    ids=["json", "text", "already", "wrong code", "no such address"],
)
def test_a_code_is_accepted_or_not(reply: TogglResponse, valid: bool):
    webhooks, _ = build(replies(reply))
    assert webhooks.validate(3, "x") is valid


@pytest.mark.parametrize(
    ("body", "limits"),
    [
        ({"max_webhooks": 2, "max_events_per_webhook": 6}, SubscriptionLimits(2, 6)),
        ({"max_webhooks": -1, "max_events_per_webhook": 0}, SubscriptionLimits()),
        ({"max_webhooks": "many"}, SubscriptionLimits()),
        ({}, SubscriptionLimits()),
        (None, SubscriptionLimits()),
    ],
    ids=str,
)
def test_limits_are_read(body: Any, limits: SubscriptionLimits):
    webhooks, _ = build(replies(answer(200, body)))
    assert webhooks.limits() == limits


# -- the log -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [404, 405, 410])
def test_without_a_log_there_is_no_page(status: int):
    webhooks, _ = build(replies(answer(status, b"404 page not found")))
    assert webhooks.find_log_page(3, 0) is None


def test_the_log_of_a_missing_subscription_is_an_error():
    webhooks, _ = build(replies(answer(404, "subscription 3 for workspace 7 was not found")))
    with pytest.raises(errors.NotFound):
        webhooks.find_log_page(3, 0)


def test_a_page_of_the_log_is_read():
    rows = {"total": 2, "events": [{"event_id": 9}, "?"]}
    webhooks, transport = build(replies(answer(200, rows), answer(200, {"total": 0, "events": None})))
    pages = [webhooks.find_log_page(3, 40) for _ in range(2)]
    assert pages == [DeliveryLogPage(2, ({"event_id": 9},)), DeliveryLogPage(0, ())]
    assert transport.calls[0].params == {"offset": 40}
