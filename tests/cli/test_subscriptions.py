from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from support.connections import WEBHOOK_SECRET, Connections
from support.servers.http import Callback, open_callback

from airflow_provider_toggl.__main__ import main
from airflow_provider_toggl.core.client.resources.subscriptions import SubscriptionFilter, SubscriptionSpec
from airflow_provider_toggl.hooks.subscriptions import open_webhooks
from airflow_provider_toggl.sandbox.server import RunningSandbox

pytestmark = pytest.mark.airflow


@pytest.fixture
def callback(sandbox: RunningSandbox, connections: Connections) -> Iterator[Callback]:
    """A callback with one subscription."""
    connections.toggl(sandbox)
    with open_callback() as running:
        filters = (SubscriptionFilter("time_entry", "*"), SubscriptionFilter("project", "created"))
        open_webhooks("toggl_default").create(
            SubscriptionSpec("airflow", filters, running.url + "?key=k-19a2", WEBHOOK_SECRET)
        )
        yield running


def call(*arguments: str) -> int:
    return main(["subscriptions", *arguments])


def listed(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    capsys.readouterr()
    assert call("list", "--json") == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_the_list_shows_the_subscriptions_of_toggl_without_secrets(callback: Callback, capsys):
    assert call("list") == 0
    printed = capsys.readouterr().out
    assert "airflow" in printed
    assert "project:created time_entry:*" in printed
    assert callback.url in printed
    (row,) = listed(capsys)
    assert (row["description"], row["enabled"], row["validated"]) == ("airflow", True, True)
    for text in (printed, str(row)):
        assert WEBHOOK_SECRET not in text
        assert "k-19a2" not in text


def test_a_subscription_is_disabled_enabled_pinged_and_deleted(callback: Callback, capsys):
    number = str(listed(capsys)[0]["subscription_id"])
    assert call("disable", number) == 0
    assert not listed(capsys)[0]["enabled"]
    assert call("enable", "airflow", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"subscription_id": int(number), "enabled": True}
    assert listed(capsys)[0]["enabled"]
    pings = callback.pings
    assert call("ping", number) == 0
    assert callback.pings > pings
    assert call("delete", number) == 0
    assert f"subscription_id: {number}, deleted: True" in capsys.readouterr().out
    assert listed(capsys) == []


@pytest.mark.usefixtures("callback")
def test_a_missing_subscription_exits_with_1(capsys):
    assert call("ping", "other") == 1
    assert "There is no subscription 'other'" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["list", "airflow"], ["ping"]])
def test_wrong_arguments_exit_with_2(arguments: list[str]):
    assert call(*arguments) == 2
