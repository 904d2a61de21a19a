"""What Toggl's errors on webhook requests mean, and what to do about each.

The texts are from Toggl's description of its Webhooks API
(https://engineering.toggl.com/docs/webhooks/subscriptions). Case is ignored.
"""

from __future__ import annotations

import re

from airflow_provider_toggl.core.errors import AccessDenied, PayloadRefused

_DESCRIPTION_IN_USE = re.compile(r"description .* is already in use", re.IGNORECASE)
_ALREADY_VALIDATED = re.compile(r"has already been validated", re.IGNORECASE)
_NO_SUBSCRIPTION = re.compile(r"subscription \d+ for workspace \d+ .*was not found", re.IGNORECASE)
_ANSWERED = re.compile(r"url endpoint .* responded with status\D*(\d{3})", re.IGNORECASE)
_QUERY = re.compile(r"(https?://[^\s?#'\"]+)[?#][^\s'\"]*")

_MEANINGS = {
    "401": "The receiver has another secret: it must read the same connection, with the same webhook_secret.",
    "403": "Something in front of the receiver refused it, such as a firewall or a filter by country. Toggl publishes "
    "no addresses to allow.",
    "404": "The receiver does not know that path: the connection must be in [toggl] receiver_connections, and the "
    "path must be /toggl/webhooks/<connection ID>.",
    "503": "The receiver's event store cannot be written; its log says why.",
}
_ADVICE = {
    "request failed with error": "Toggl sends a PING to the callback before it answers, and could not reach it: the "
    "receiver must be running, its name public, its certificate trusted, and nothing may block it.",
    "already reached the limit of": "Disable or delete another subscription, or combine the filters of several in one: "
    "`python -m airflow_provider_toggl subscriptions list` shows them. Other users' subscriptions may count too.",
    _DESCRIPTION_IN_USE.pattern: "Another subscription of the workspace has this description, perhaps one that this "
    "token cannot see: choose another description.",
    "description must not be empty": "Give the subscription a description.",
    "list of event filters must not be empty": "Give at least one event filter.",
    "limit of .* event filters": "Remove filters, or use *:* for all of them.",
    "appears more than once": "Name each event filter once.",
    "invalid value|can only contain letters|must be non-empty": "Toggl does not know such an event filter.",
}


def explain_refusal(error: PayloadRefused) -> PayloadRefused:
    """Return the refusal with its meaning and what to do. URLs in it lose their queries, which may hold secrets."""
    said = _QUERY.sub(r"\1", error.text)
    advice = _advice(said)
    if not advice:
        return error
    return PayloadRefused(
        f"Toggl refused ({error.status}): {said.rstrip('.')}. {advice}", status=error.status, text=said
    )


def explain_denial(error: AccessDenied) -> AccessDenied:
    """Return the denial with its possible causes: here Toggl does not distinguish a wrong token from missing rights."""
    said = f" ({error.text.rstrip('.')})" if error.text else ""
    return AccessDenied(
        f"Toggl denies this token access to the webhooks of the workspace{said}. Check the workspace ID. Check with "
        "`quota` that the API token is valid (webhooks accept no other credentials). Its owner may have to be an "
        "administrator.",
        status=error.status,
        text=error.text,
    )


def is_description_in_use(error: PayloadRefused) -> bool:
    """Return whether a subscription with that description exists already."""
    return bool(_DESCRIPTION_IN_USE.search(error.text))


def is_already_validated(error: PayloadRefused) -> bool:
    """Return whether the subscription is validated already."""
    return bool(_ALREADY_VALIDATED.search(error.text))


def is_subscription_missing(text: str) -> bool:
    """Return whether the subscription is missing, and not the endpoint."""
    return bool(_NO_SUBSCRIPTION.search(text))


def _advice(said: str) -> str:
    answered = _ANSWERED.search(said)
    if answered:
        meaning = _MEANINGS.get(answered.group(1), "Check the log of the server that answers there.")
        return f"Toggl sent a PING to the callback and the answer was not 2xx. {meaning}"
    return next((advice for pattern, advice in _ADVICE.items() if re.search(pattern, said, re.IGNORECASE)), "")
