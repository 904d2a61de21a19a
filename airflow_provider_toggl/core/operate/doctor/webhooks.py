"""Checks of webhooks: the subscription in Toggl, and whether deliveries reach the event store that is read here."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass

from airflow_provider_toggl.core.client.resources.subscriptions import Subscription, SubscriptionLimits
from airflow_provider_toggl.core.client.resources.webhooks import WebhooksClient
from airflow_provider_toggl.core.clock import utc
from airflow_provider_toggl.core.errors import ApiError, TogglError
from airflow_provider_toggl.core.events.activity_log import StatusEntry
from airflow_provider_toggl.core.events.store import EventStore
from airflow_provider_toggl.core.instants import rfc3339
from airflow_provider_toggl.core.operate.doctor.account import add_failure
from airflow_provider_toggl.core.operate.doctor.context import (
    NEEDS_QUOTA,
    NEEDS_WORKSPACE,
    NO_WEBHOOKS,
    CheckContext,
    CheckTimeout,
)
from airflow_provider_toggl.core.operate.findings import Finding, ok, skipped, unknown
from airflow_provider_toggl.core.operate.health.diagnosis import is_for_connection, subscription_faults
from airflow_provider_toggl.core.operate.health.records import subscriptions_from
from airflow_provider_toggl.core.operate.problems import problem
from airflow_provider_toggl.core.webhooks.delivery import last_ping_key
from airflow_provider_toggl.core.webhooks.signature import HEADER, sign
from airflow_provider_toggl.core.wording import plural

OWN_SUBSCRIPTION = 0
"""The subscription number in the doctor's own PING; Toggl's numbers start at 1."""
_POLL_SECONDS = 0.05
_QUERY = re.compile(r"[?#][^\s'\")]*")
_STATUS = re.compile(r"responded with status\D*(\d{3})", re.IGNORECASE)
_PROBLEM_OF_STATUS = {
    401: "wrong_secret",
    404: "unknown_connection",
    405: "callback_refused",
    503: "receiver_cannot_store",
}


@dataclass(frozen=True)
class ProbeResult:
    """The result of a signed PING that the doctor posted to the callback.

    :param status: of the answer, None if there was none.
    :param error: why there was none.
    :param is_stored: whether the receiver recorded it in the store that is read here; None if that was not tested.
    """

    status: int | None
    error: str = ""
    is_stored: bool | None = None

    def __str__(self) -> str:
        return f"answered {self.status}" if self.status is not None else self.error


@dataclass(frozen=True)
class TogglPing:
    """The result of a PING that Toggl was asked to send.

    :param arrived: whether the receiver recorded it in the store that is read here, with a valid signature.
    :param refusal: what Toggl reports of the callback if it did not arrive.
    """

    arrived: bool
    refusal: str = ""


def check_subscription(context: CheckContext) -> None:
    """Check whether Toggl sends events to this connection's receiver."""
    if not context.uses_webhooks:
        context.skip(NO_WEBHOOKS, "subscription")
        return
    if context.session is None or context.workspace is None:
        context.skip(NEEDS_QUOTA if context.has("quota_gone") else NEEDS_WORKSPACE, "subscription")
        return
    webhooks = WebhooksClient(context.session, int(context.workspace["id"]))
    try:
        found = context.within(webhooks.subscriptions)
        limits = context.within(webhooks.limits)
    except (TogglError, CheckTimeout) as error:
        add_failure(context, "subscription", error)
        return
    url, conn_id = context.callback_url, context.options.conn_id
    context.own = find_own(found, url, conn_id)
    expected = without_query(url) if url else f"the path /toggl/webhooks/{conn_id}"
    secrets = context.accepted_secrets
    context.add(*judge_subscription(context.own, found, limits, expected=expected, secrets=secrets))


def find_own(found: Sequence[Subscription], callback_url: str | None, conn_id: str) -> Subscription | None:
    """Return the subscription that delivers for a connection, preferably an enabled one.

    :param callback_url: where it must lead; None: to the receiver's path for the connection, on any host.
    """
    if callback_url is not None:
        own = [one for one in found if without_query(one.callback_url) == without_query(callback_url)]
    else:
        own = [one for one in found if is_for_connection(without_query(one.callback_url), conn_id)]
    return max(own, key=lambda one: (one.enabled, one.validated), default=None)


def judge_subscription(
    own: Subscription | None,
    found: Sequence[Subscription],
    limits: SubscriptionLimits,
    *,
    expected: str,
    secrets: Sequence[str],
) -> list[Finding]:
    """Return the findings of the subscription.

    :param own: the one that delivers for the connection, of all that were found.
    :param expected: where it must lead, in words.
    :param secrets: those that the connection accepts.
    """
    findings = []
    enabled = sum(one.enabled for one in found)
    if limits.max_webhooks is not None and enabled > limits.max_webhooks:
        text = f"{plural(enabled, 'enabled subscription')}; the plan allows {limits.max_webhooks}."
        findings.append(problem("plan_limit", text))
    if own is None:
        others = "; ".join(
            f"{one.subscription_id} ({one.description}) → {without_query(one.callback_url)}" for one in found
        )
        return [
            problem("no_subscription", f"No subscription leads to {expected}. Found: {others or 'none'}."),
            *findings,
        ]
    name = f"Subscription {own.subscription_id} ({own.description})"
    most = limits.max_events_per_webhook
    if most is not None and len(own.filters) > most:
        text = f"{name} has {plural(len(own.filters), 'filter')}; the plan allows {most}."
        findings.append(problem("plan_limit", text))
    (state,) = subscriptions_from([own.as_dict()])
    findings += [problem(fault, f"{name} is {label}.") for fault, label in subscription_faults(state)]
    if own.secret is not None and secrets and own.secret not in secrets:
        findings.append(problem("wrong_secret", f"Toggl signs deliveries of {name} with another secret."))
    if state.pending:
        findings.append(problem("events_pending", f"{name} has undelivered events."))
    filters = " ".join(state.filters)
    return findings or [ok("subscription", f"{name} is enabled and validated, for {filters} → {expected}.")]


def check_callback(context: CheckContext) -> None:
    """Check whether deliveries arrive: with a PING from here, and with one from Toggl."""
    options = context.options
    if not context.uses_webhooks:
        context.skip(NO_WEBHOOKS, "callback")
        return
    if not options.ping:
        context.skip("Ping skipped.", "callback")
        return
    url = context.callback_url or (context.own.callback_url if context.own else "")
    probe = ping = None
    half = options.timeout / 2
    if url and context.secret:
        try:
            probe = context.within(
                lambda: post_ping(url, context.secret, options.conn_id, context.store, timeout=half), 1.5
            )
        except (TogglError, CheckTimeout) as error:
            context.add(unknown("callback", str(error)))
            return
    if context.own and context.session and context.workspace and context.store:
        webhooks, own, store = WebhooksClient(context.session, int(context.workspace["id"])), context.own, context.store
        try:
            ping = context.within(lambda: request_ping(webhooks, own, options.conn_id, store, timeout=half), 2.0)
        except (TogglError, CheckTimeout) as error:
            add_failure(context, "callback", error)
    context.add(judge_callback(without_query(url), probe, ping))


def post_ping(url: str, secret: str, conn_id: str, store: EventStore | None, *, timeout: float) -> ProbeResult:
    """Post a signed PING to the callback.

    :param store: the store that should have its record; None: not tested.
    :param timeout: seconds for the answer, and for the record.
    """
    import requests  # noqa: PLC0415 - no other command needs it loaded

    name = last_ping_key(conn_id, OWN_SUBSCRIPTION)
    before = store.activity_log.find_status(name) if store else None
    body = _build_ping(url)
    headers = {"Content-Type": "application/json", HEADER: sign(secret, body)}
    try:
        answer = requests.post(url, data=body, headers=headers, timeout=timeout, allow_redirects=False, stream=True)
        answer.close()
    except requests.RequestException as error:
        return ProbeResult(None, _reason(error))
    if store is None or answer.status_code != 200:
        return ProbeResult(answer.status_code)
    return ProbeResult(200, is_stored=_is_recorded(store, name, before, timeout))


def request_ping(
    webhooks: WebhooksClient, own: Subscription, conn_id: str, store: EventStore, *, timeout: float
) -> TogglPing:
    """Ask Toggl for a PING and return whether it arrived.

    Toggl's answer to the request says nothing about the callback. So if no PING arrives for an enabled subscription,
    it is enabled once more. That changes nothing, but Toggl then tests the callback and reports the error.

    :param timeout: seconds that the PING may take.
    :raises ApiError: Toggl refuses to send one.
    """
    name = last_ping_key(conn_id, own.subscription_id)
    before = store.activity_log.find_status(name)
    webhooks.ping(own.subscription_id)
    if _is_recorded(store, name, before, timeout):
        return TogglPing(arrived=True)
    if not own.enabled:
        return TogglPing(arrived=False)
    try:
        webhooks.set_enabled(own.subscription_id, True)
    except ApiError as error:
        return TogglPing(arrived=False, refusal=_QUERY.sub("", error.text or str(error)).rstrip("."))
    return TogglPing(arrived=_is_recorded(store, name, before, _POLL_SECONDS))


def judge_callback(url: str, probe: ProbeResult | None, ping: TogglPing | None) -> Finding:
    """Return whether deliveries arrive, and if not where they are lost.

    :param url: the callback, without its query.
    :param probe: None if there is no secret to sign it with, or no address.
    :param ping: None if Toggl was not asked.
    """
    if ping is not None and ping.arrived:
        not_from_here = "" if probe is None or probe.status == 200 else f" (not from here: {probe})"
        return ok("callback", f"Toggl's PING arrived at {url}, with a valid signature, and was stored{not_from_here}.")
    if probe is not None and probe.status is None:
        return problem("callback_unreachable", f"{url} cannot be reached from here: {probe.error}.")
    if probe is not None and probe.status != 200:
        name = _PROBLEM_OF_STATUS.get(probe.status or 0, "callback_refused")
        return problem(name, f"{url} answered {probe.status} to a PING signed here with the connection's secret.")
    if probe is not None and probe.is_stored is False:
        return problem(
            "other_store", f"{url} accepted a signed PING, but the store that is read here does not have it."
        )
    if ping is not None:
        return _judge_refusal(url, ping.refusal)
    if probe is None:
        return skipped("callback", "There is no webhook secret, or no address to test.")
    return ok("callback", f"{url} accepted a PING signed here. Toggl was not asked for one.")


def _judge_refusal(url: str, refusal: str) -> Finding:
    """Return why Toggl's PING did not arrive although one from here did."""
    status = _STATUS.search(refusal)
    if status:
        name = _PROBLEM_OF_STATUS.get(int(status[1]), "callback_refused")
        return problem(name, f"{url} accepts a PING signed here and refuses Toggl's. Toggl reports: {refusal}.")
    if "failed" in refusal.lower():
        text = f"{url} can be reached from here but not from Toggl, which reports: {refusal}."
        return problem("callback_unreachable", text)
    return problem("ping_lost", f"{url} can be reached from here, but the PING from Toggl did not arrive.")


def without_query(url: str) -> str:
    """Return an address without its query, which may be secret."""
    return re.split(r"[?#]", url)[0].rstrip("/")


def _build_ping(url: str) -> bytes:
    now = rfc3339(utc(time.time()))
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


def _is_recorded(store: EventStore, name: str, before: StatusEntry | None, timeout: float) -> bool:
    """Whether a new mark appears in the store in time."""
    deadline = time.monotonic() + timeout
    while (mark := store.activity_log.find_status(name)) is None or mark == before:
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def _reason(error: Exception) -> str:
    """Return why there is no answer, without the query of the address."""
    cause = error.args[0] if error.args else error
    reason = getattr(cause, "reason", cause)
    text = str(reason).split(": ", maxsplit=1)[-1]
    return _QUERY.sub("", f"{type(error).__name__}, {text}").rstrip(".")
