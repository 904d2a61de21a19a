from __future__ import annotations

import pytest

from airflow_provider_toggl.core.client.resources.webhook_errors import explain_denial, explain_refusal
from airflow_provider_toggl.core.errors import AccessDenied, PayloadRefused

CALLBACK = "https://airflow.example.org/toggl/webhooks/toggl_default"


def refused(text: str) -> PayloadRefused:
    return PayloadRefused(f"POST /webhooks/api/v1/subscriptions/7 was answered 400: {text}. …", status=400, text=text)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (f"URL endpoint {CALLBACK} responded with status 401 instead of 200", "same webhook_secret"),
        (f"URL endpoint {CALLBACK} responded with status 403 instead of 200", "firewall"),
        (f"URL endpoint {CALLBACK} responded with status 404 instead of 2xx", "receiver_connections"),
        (f"URL endpoint {CALLBACK} responded with status HTTP status code 503 instead of 2xx", "event store"),
        (f"URL endpoint {CALLBACK} responded with status 302 instead of 2xx", "log of the server"),
        (f"URL endpoint {CALLBACK} request failed with error: dial tcp: no such host", "could not reach it"),
        ("User 5 already reached the limit of 1 enabled subscriptions for workspace 7", "Disable or delete"),
        ("Subscription description must not be empty", "Give the subscription a description"),
        ("Subscription description 'airflow' is already in use for workspace 7", "choose another description"),
        ("The list of event filters must not be empty", "at least one"),
        (
            "The limit of 3 event filters for your subscription has been exceeded as you're trying to set 5 filters",
            "Remove filters",
        ),
        ("The following event filter appears more than once for your subscription: {tag created}", "once"),
        ("The entity field for each subscription event filter must be non-empty", "does not know"),
        ("The value 'a b' for the filter entity can only contain letters, numbers and '_' or be '*'", "does not know"),
        ("Invalid value 'done' for event filter action", "does not know"),
    ],
)
def test_each_known_refusal_says_what_to_do(text: str, word: str) -> None:
    for said in (text, text.lower(), text.upper()):
        error = explain_refusal(refused(said))
        assert word in str(error)
        assert said in str(error)
        assert (error.status, error.text) == (400, said)


def test_an_unknown_refusal_is_not_changed() -> None:
    error = refused("Something new")
    assert explain_refusal(error) is error


def test_an_error_contains_no_query_of_a_callback() -> None:
    error = explain_refusal(refused(f"URL endpoint {CALLBACK}?key=k-81f0 responded with status 500 instead of 200"))
    assert "k-81f0" not in f"{error} {error.text}"
    assert CALLBACK in str(error)


def test_a_denial_names_a_wrong_token_as_a_possible_cause() -> None:
    error = explain_denial(AccessDenied("…", status=403, text="User not found/accessible for workspace"))
    assert "API token" in str(error)
    assert "User not found/accessible for workspace" in str(error)
