from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from support.fakes import FakeClock
from support.sandboxes import HostedSandbox, SandboxHost
from support.servers.http import Callback, open_callback

from airflow_provider_toggl.core import errors
from airflow_provider_toggl.core.client.limits.leaky_bucket import Pace
from airflow_provider_toggl.core.client.limits.state import RateLimitState
from airflow_provider_toggl.core.client.resources.ensure_subscription import (
    EnsureResult,
    ensure_subscription,
    ensure_validated,
)
from airflow_provider_toggl.core.client.resources.subscriptions import SubscriptionFilter, SubscriptionSpec
from airflow_provider_toggl.core.client.resources.webhooks import WebhooksClient
from airflow_provider_toggl.core.client.session import TogglSession
from airflow_provider_toggl.core.client.transport import RequestsTransport
from airflow_provider_toggl.sandbox.settings import Settings
from airflow_provider_toggl.sandbox.workspace.seed import build_world

ENTRIES = (SubscriptionFilter("time_entry", "*"),)
PROJECTS = (SubscriptionFilter("project", "*"),)
SECRET = "whsec-11c0"


def serve(host: SandboxHost, **world: Any) -> HostedSandbox:
    return host.serve(build_world(entries=0, settings=Settings(quota_enforced=False), **world))


@pytest.fixture
def toggl(sandbox_host: SandboxHost) -> HostedSandbox:
    return serve(sandbox_host)


def open_client(sandbox: HostedSandbox) -> WebhooksClient:
    transport = RequestsTransport(sandbox.url, sandbox.token)
    session = TogglSession(transport, RateLimitState(None, "t"), pace=Pace(500.0), reserve=0)
    return WebhooksClient(session, sandbox.workspace_id)


@pytest.fixture
def webhooks(toggl: HostedSandbox) -> WebhooksClient:
    return open_client(toggl)


@pytest.fixture
def callback() -> Iterator[Callback]:
    with open_callback() as running:
        yield running


def wish(callback: Callback, **fields) -> SubscriptionSpec:
    return replace(SubscriptionSpec("airflow", ENTRIES, callback.url, SECRET), **fields)


def make(
    webhooks: WebhooksClient, callback: Callback, wanted: SubscriptionSpec | None = None, **options
) -> EnsureResult:
    wanted = wanted or wish(callback)
    return ensure_subscription(webhooks, wanted, find_code=callback.find_code, clock=FakeClock(), **options)


def spent(webhooks: WebhooksClient, run: Callable[[], object]) -> int:
    before = webhooks.session.spent
    run()
    return webhooks.session.spent - before


def test_a_new_subscription_is_validated_and_then_costs_one_request(webhooks: WebhooksClient, callback: Callback):
    ensured = make(webhooks, callback)
    assert ensured.changes.action == "create"
    (there,) = webhooks.subscriptions()
    assert (there.description, there.filters, there.callback_url) == ("airflow", ENTRIES, callback.url)
    assert (there.enabled, there.validated) == (True, True)
    assert spent(webhooks, lambda: make(webhooks, callback)) == 1
    assert make(webhooks, callback).changes.action == "nothing"


def test_filters_callback_and_secret_are_replaced(webhooks: WebhooksClient, callback: Callback):
    first = make(webhooks, callback).subscription
    with open_callback() as other:
        wanted = wish(other, filters=PROJECTS, secret="whsec-22c1")
        second = make(webhooks, other, wanted, rotate_secret=True).subscription
        assert second.subscription_id == first.subscription_id
        (there,) = webhooks.subscriptions()
        assert (there.filters, there.callback_url, there.validated) == (PROJECTS, other.url, True)
        assert make(webhooks, other, wanted).changes.action == "nothing"


def test_a_disabled_subscription_is_enabled(webhooks: WebhooksClient, callback: Callback):
    number = make(webhooks, callback).subscription.subscription_id
    webhooks.set_enabled(number, False)
    assert make(webhooks, callback).changes.action == "enable"
    assert webhooks.subscriptions()[0].enabled


def test_a_subscription_declared_as_disabled_is_disabled_and_not_pinged(webhooks: WebhooksClient, callback: Callback):
    make(webhooks, callback)
    pings = callback.pings
    assert make(webhooks, callback, wish(callback, enabled=False)).changes.action == "disable"
    assert not webhooks.subscriptions()[0].enabled
    assert callback.pings == pings


def test_a_subscription_created_by_hand_is_adopted(webhooks: WebhooksClient, callback: Callback):
    by_hand = make(webhooks, callback, wish(callback, description="by hand")).subscription
    ensured = make(webhooks, callback)
    assert ensured.changes.adopts
    assert ensured.subscription.subscription_id == by_hand.subscription_id
    assert [one.description for one in webhooks.subscriptions()] == ["airflow"]


def test_a_code_that_the_receiver_stored_validates(webhooks: WebhooksClient):
    with open_callback(echoes=False) as keeping:
        assert make(webhooks, keeping).subscription.validated
        assert webhooks.subscriptions()[0].validated
        assert spent(webhooks, lambda: make(webhooks, keeping)) == 1


def test_a_subscription_that_is_not_validated_is_pinged(webhooks: WebhooksClient):
    with open_callback(echoes=False) as mute:
        there = make(webhooks, mute, validate=False).subscription
        assert not there.validated
        mute.echoes = True
        mute.codes.clear()
        ensured = make(webhooks, mute)
        assert ensured.changes.action == "nothing"
        assert ensured.subscription.validated


def test_an_outdated_code_is_followed_by_a_new_one(webhooks: WebhooksClient):
    with open_callback(echoes=False) as keeping:
        there = make(webhooks, keeping, validate=False).subscription
        keeping.codes[there.subscription_id] = "0" * 32
        assert make(webhooks, keeping).subscription.validated


def test_a_receiver_that_confirms_no_code_fails(webhooks: WebhooksClient):
    with open_callback(echoes=False) as mute, pytest.raises(errors.ApiError, match="same webhook_secret"):
        ensure_subscription(webhooks, wish(mute), find_code=lambda _: None, clock=FakeClock())


def test_a_subscription_that_is_deleted_meanwhile_fails(webhooks: WebhooksClient, callback: Callback):
    there = make(webhooks, callback, validate=False).subscription
    webhooks.delete(there.subscription_id)
    with pytest.raises(errors.NotFound, match=r"deleted.*creates a new one"):
        ensure_validated(webhooks, there, fresh=True, find_code=lambda _: None, clock=FakeClock())


@pytest.mark.parametrize(("status", "word"), [(401, "same webhook_secret"), (404, "receiver_connections")])
def test_a_callback_that_refuses_the_ping_fails_and_nothing_is_created(
    webhooks: WebhooksClient, status: int, word: str
):
    with open_callback(status=status) as refusing, pytest.raises(errors.PayloadRefused, match=word):
        make(webhooks, refusing)
    assert webhooks.subscriptions() == []


# -- what is not documented --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "switch",
    [
        {"webhook_validated_in_answer": False},
        {"webhook_url_change_unvalidates": False},
        {"webhook_list_returns_secret": False},
        {"webhook_errors": "text"},
        {"webhook_calls_count": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("echoes", [True, False], ids=["echoes", "keeps"])
def test_undocumented_behaviour_of_toggl_makes_no_difference(
    toggl: HostedSandbox, webhooks: WebhooksClient, echoes: bool, switch: dict[str, Any]
):
    toggl.set(**switch)
    with open_callback(echoes=echoes) as old, open_callback(echoes=echoes) as new:
        make(webhooks, old)
        assert webhooks.subscriptions()[0].validated
        old.status = 404
        with pytest.raises(errors.PayloadRefused, match="receiver_connections"):
            make(webhooks, old, wish(old, filters=PROJECTS))
        make(webhooks, new, wish(new, filters=PROJECTS))
        (there,) = webhooks.subscriptions()
        assert (there.callback_url, there.filters, there.validated) == (new.url, PROJECTS, True)
        assert spent(webhooks, lambda: make(webhooks, new, wish(new, filters=PROJECTS))) == 1


# -- an answer that is lost --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault", [{"kind": "cut"}, {"kind": "not_json"}, {"kind": "status", "status": 500, "takes_effect": True}]
)
def test_a_subscription_whose_response_is_lost_is_created_once(
    toggl: HostedSandbox, webhooks: WebhooksClient, callback: Callback, fault: dict[str, Any]
):
    toggl.fault(**fault, match={"method": "POST", "path": "/subscriptions/"})
    assert make(webhooks, callback).subscription.validated
    assert [one.description for one in webhooks.subscriptions()] == ["airflow"]
    assert callback.pings == 1


# -- limits ------------------------------------------------------------------------------------------------------------


def test_the_limits_of_the_plan_are_checked_before_a_change(sandbox_host: SandboxHost, callback: Callback):
    webhooks = open_client(serve(sandbox_host, plan="free"))
    many = tuple(SubscriptionFilter(entity, "*") for entity in ("client", "project", "tag", "task"))
    with pytest.raises(errors.ConfigurationError, match=r"allows 3 event filters.*Remove 1"):
        make(webhooks, callback, wish(callback, filters=many))
    make(webhooks, callback)
    with pytest.raises(errors.ConfigurationError, match=r"allows 1 enabled .* \('airflow'\)"):
        make(webhooks, callback, wish(callback, description="second", filters=PROJECTS))
    assert callback.pings == 1
    assert make(webhooks, callback, wish(callback, filters=PROJECTS)).changes.action == "replace"
