"""Whether Toggl would send events to where they are expected."""

from __future__ import annotations

import re
from collections.abc import Sequence

from airflow_provider_toggl.core.client.resources.subscriptions import Found, Limits
from airflow_provider_toggl.core.operate.findings import Finding, fine, trouble
from airflow_provider_toggl.core.wording import plural


def find_own(found: Sequence[Found], callback_url: str | None, conn_id: str) -> Found | None:
    """Return the subscription that delivers for a connection: an enabled one before others.

    :param callback_url: where it should lead; None: to the receiver's path for the connection, at any host.
    """
    if callback_url is not None:
        own = [one for one in found if _bare(one.callback_url) == _bare(callback_url)]
    else:
        own = [one for one in found if _bare(one.callback_url).endswith(f"/toggl/webhooks/{conn_id}")]
    return max(own, key=lambda one: (one.enabled, one.validated), default=None)


def check_subscription(
    own: Found | None, found: Sequence[Found], limits: Limits, *, wanted: str, secrets: Sequence[str]
) -> list[Finding]:
    """Return how the subscription stands.

    :param own: the one that delivers for the connection, of all that were found.
    :param wanted: where it should lead, in words.
    :param secrets: those that the connection accepts.
    """
    if own is None:
        others = "; ".join(f"{one.subscription_id} ({one.description}) → {_bare(one.callback_url)}" for one in found)
        words = f"No subscription leads to {wanted}. There is: {others or 'none at all'}."
        return [trouble("no_subscription", words), *_check_count(found, limits)]
    name = f"Subscription {own.subscription_id} ({own.description})"
    findings = [*_check_count(found, limits), *_check_filters(own, name, limits)]
    if not own.enabled:
        findings.append(trouble("subscription_disabled", f"{name} is disabled."))
    if not own.validated:
        findings.append(trouble("subscription_unvalidated", f"{name} is not validated."))
    if own.secret is not None and secrets and own.secret not in secrets:
        words = f"Toggl signs the deliveries of {name} with another secret than the connection's."
        findings.append(trouble("wrong_secret", words))
    if own.has_pending_events:
        findings.append(trouble("events_pending", f"{name} has events that are still to be delivered."))
    filters = " ".join(map(str, own.filters))
    return findings or [fine("subscription", f"{name} is enabled and validated, for {filters} → {wanted}.")]


def _check_count(found: Sequence[Found], limits: Limits) -> list[Finding]:
    enabled = sum(one.enabled for one in found)
    if limits.max_webhooks is None or enabled <= limits.max_webhooks:
        return []
    words = f"{plural(enabled, 'enabled subscription')}; the plan allows {limits.max_webhooks}."
    return [trouble("plan_limit", words)]


def _check_filters(own: Found, name: str, limits: Limits) -> list[Finding]:
    most = limits.max_events_per_webhook
    if most is None or len(own.filters) <= most:
        return []
    return [trouble("plan_limit", f"{name} has {plural(len(own.filters), 'filter')}; the plan allows {most}.")]


def _bare(url: str) -> str:
    """Return an address without what may be secret in it."""
    return re.split(r"[?#]", url)[0].rstrip("/")
