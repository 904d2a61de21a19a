"""PINGs to the callback: one that is signed here, and one that Toggl is asked to send."""

from __future__ import annotations

import json
import re
import time
from datetime import datetime, timezone

from airflow_provider_toggl.core.client.resources.subscriptions import Found
from airflow_provider_toggl.core.client.resources.webhooks import Webhooks
from airflow_provider_toggl.core.errors import ApiError
from airflow_provider_toggl.core.events.store import EventStore, Mark
from airflow_provider_toggl.core.operate.doctor.callback import ProbeResult, TogglPing
from airflow_provider_toggl.core.webhooks.delivery import ping_mark
from airflow_provider_toggl.core.webhooks.signature import HEADER, sign

OWN_SUBSCRIPTION = 0
"""The number in a PING of the doctor; Toggl's begin at 1."""
_LOOK = 0.05
_QUERY = re.compile(r"[?#][^\s'\")]*")


def knock(url: str, secret: str, conn_id: str, store: EventStore | None, *, patience: float) -> ProbeResult:
    """Post a signed PING to the callback and return what came of it.

    :param store: where its mark is looked for; None: nowhere.
    :param patience: seconds for the answer, and for the mark.
    """
    import requests  # noqa: PLC0415 - no other command needs it loaded

    name = ping_mark(conn_id, OWN_SUBSCRIPTION)
    before = store.find_mark(name) if store else None
    body = _build_ping(url)
    headers = {"Content-Type": "application/json", HEADER: sign(secret, body)}
    try:
        answer = requests.post(url, data=body, headers=headers, timeout=patience, allow_redirects=False, stream=True)
        answer.close()
    except requests.RequestException as error:
        return ProbeResult(None, _reason(error))
    if store is None or answer.status_code != 200:
        return ProbeResult(answer.status_code)
    return ProbeResult(200, is_kept=_comes(store, name, before, patience))


def ask_ping(webhooks: Webhooks, own: Found, conn_id: str, store: EventStore, *, patience: float) -> TogglPing:
    """Let Toggl post a PING and return whether it came.

    What Toggl says to the request tells nothing of the callback. So where none came to a subscription that is enabled,
    it is enabled once more, which changes nothing: Toggl probes the callback then, and says what was wrong with it.

    :param patience: seconds that the PING may take.
    :raises ApiError: Toggl refuses to post one.
    """
    name = ping_mark(conn_id, own.subscription_id)
    before = store.find_mark(name)
    webhooks.ping(own.subscription_id)
    if _comes(store, name, before, patience):
        return TogglPing(arrived=True)
    if not own.enabled:
        return TogglPing(arrived=False)
    try:
        webhooks.set_enabled(own.subscription_id, True)
    except ApiError as error:
        return TogglPing(arrived=False, refusal=_QUERY.sub("", error.text or str(error)).rstrip("."))
    return TogglPing(arrived=_comes(store, name, before, _LOOK))


def _build_ping(url: str) -> bytes:
    now = datetime.now(timezone.utc).isoformat().replace("+00:00", "Z")
    ping = {
        "event_id": 0,
        "created_at": now,
        "creator_id": 0,
        "metadata": {"request_type": "POST", "event_user_id": 0},
        "payload": "ping",
        "subscription_id": OWN_SUBSCRIPTION,
        "timestamp": now,
        "url_callback": _QUERY.sub("", url),
    }
    return json.dumps(ping, separators=(",", ":")).encode()


def _comes(store: EventStore, name: str, before: Mark | None, patience: float) -> bool:
    """Whether a mark is made within so many seconds."""
    deadline = time.monotonic() + patience
    while (mark := store.find_mark(name)) is None or mark == before:
        if time.monotonic() > deadline:
            return False
        time.sleep(_LOOK)
    return True


def _reason(error: Exception) -> str:
    """Return why there is no answer, without the address's query."""
    cause = error.args[0] if error.args else error
    reason = getattr(cause, "reason", cause)
    text = str(reason).split(": ", maxsplit=1)[-1]
    return _QUERY.sub("", f"{type(error).__name__}, {text}").rstrip(".")
