from __future__ import annotations

from typing import Any

import pytest
from support.connections import Connections

from airflow_provider_toggl.core.errors import ConfigurationError
from airflow_provider_toggl.hooks.subscriptions import get_callback_url, get_webhook_secret

pytestmark = pytest.mark.airflow


@pytest.fixture
def connect(connections: Connections):
    """Set the default connection with these extras."""
    return lambda **extra: connections.set("toggl_default", conn_type="toggl", password="t" * 32, extra=extra)


def test_the_secret_is_the_connection_s(connect):
    connect(webhook_secret="whsec-44e0")
    assert get_webhook_secret("toggl_default") == "whsec-44e0"


@pytest.mark.parametrize("extra", [{}, {"webhook_secret": ""}, {"webhook_secret": None}], ids=str)
def test_a_missing_secret_says_where_to_put_it(connect, extra: dict[str, Any]):
    connect(**extra)
    with pytest.raises(ConfigurationError, match=r"'toggl_default'.*webhook_secret of its extra"):
        get_webhook_secret("toggl_default")


@pytest.mark.parametrize(
    ("given", "callback"),
    [
        ("https://airflow.example.org", "https://airflow.example.org/toggl/webhooks/toggl_default"),
        ("https://airflow.example.org/", "https://airflow.example.org/toggl/webhooks/toggl_default"),
        ("https://airflow.example.org:8443?a=1", "https://airflow.example.org:8443/toggl/webhooks/toggl_default?a=1"),
        (" https://airflow.example.org/hook ", "https://airflow.example.org/hook"),
        ("http://127.0.0.1:8090/hook", "http://127.0.0.1:8090/hook"),
        ("http://[::1]:8090/hook", "http://[::1]:8090/hook"),
        ("http://localhost/hook", "http://localhost/hook"),
    ],
)
def test_a_callback_without_a_path_gets_the_receiver_s(connect, given: str, callback: str):
    connect(webhook_callback_url=given)
    assert get_callback_url("toggl_default") == callback
    connect(webhook_callback_url="https://other.example.org/")
    assert get_callback_url("toggl_default", given) == callback


def test_a_missing_callback_says_where_to_put_it(connect):
    connect()
    with pytest.raises(ConfigurationError, match="webhook_callback_url in the extra of connection 'toggl_default'"):
        get_callback_url("toggl_default")


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ("airflow.example.org", "web address"),
        ("ftp://airflow.example.org/", "web address"),
        ("https://", "web address"),
        ("https://[broken", "web address"),
        ("https://airflow.example.org:port/", "web address"),
        ("https://me:s3cr3t@airflow.example.org/", "no credentials"),
        ("https://airflow.example.org/#s3cr3t", "no credentials"),
        ("http://airflow.example.org/s3cr3t", "Use https"),
        ("http://127.0.0.1.example.org/", "Use https"),
    ],
)
def test_a_callback_that_must_not_be_used_is_refused(connect, given: str, word: str):
    connect()
    with pytest.raises(ConfigurationError, match=word) as caught:
        get_callback_url("toggl_default", given)
    assert "s3cr3t" not in str(caught.value)


def test_plain_http_may_be_allowed(connect):
    connect(allow_plain_http=True)
    assert get_callback_url("toggl_default", "http://receiver:8090/x") == "http://receiver:8090/x"
