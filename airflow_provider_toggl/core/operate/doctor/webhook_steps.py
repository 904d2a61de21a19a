"""The steps from Toggl to the receiver: the subscription, and what is sent by it."""

from __future__ import annotations

from airflow_provider_toggl.core.client.resources.subscriptions import Found
from airflow_provider_toggl.core.client.resources.webhooks import Webhooks
from airflow_provider_toggl.core.errors import TogglError
from airflow_provider_toggl.core.events.store import EventStore
from airflow_provider_toggl.core.operate.doctor import callback, subscription
from airflow_provider_toggl.core.operate.doctor.account_steps import note_failure
from airflow_provider_toggl.core.operate.doctor.context import NO_WEBHOOKS, QUOTA_NEEDED, CheckContext
from airflow_provider_toggl.core.operate.doctor.probe import ask_ping, knock
from airflow_provider_toggl.core.operate.doctor.timeout import CheckTimeout
from airflow_provider_toggl.core.operate.findings import unknown


def look_at_subscription(visit: CheckContext) -> None:
    """Find out whether Toggl would send events here."""
    if not visit.wants_webhooks:
        visit.skip(NO_WEBHOOKS, "subscription")
        return
    if visit.session is None or visit.workspace is None:
        gone = any(one.name == "quota_gone" for one in visit.findings)
        visit.skip(QUOTA_NEEDED if gone else "It needs the workspace.", "subscription")
        return
    webhooks = Webhooks(visit.session, int(visit.workspace["id"]))
    try:
        found = visit.within(webhooks.subscriptions)
        limits = visit.within(webhooks.limits)
    except (TogglError, CheckTimeout) as error:
        note_failure(visit, "subscription", error)
        return
    url = visit.callback_url
    conn_id = visit.order.conn_id
    visit.own = subscription.find_own(found, url, conn_id)
    wanted = shown(url) if url else f"the path /toggl/webhooks/{conn_id}"
    visit.add(*subscription.check_subscription(visit.own, found, limits, wanted=wanted, secrets=visit.accepted))


def look_at_callback(visit: CheckContext) -> None:
    """Find out whether what is sent arrives."""
    order = visit.order
    if not visit.wants_webhooks:
        visit.skip(NO_WEBHOOKS, "callback")
        return
    if not order.ping:
        visit.skip("No PING was wanted.", "callback")
        return
    url = visit.callback_url or (visit.own.callback_url if visit.own else "")
    knocked = pinged = None
    half = order.patience / 2
    if url and visit.secret:
        try:
            knocked = visit.within(lambda: knock(url, visit.secret, order.conn_id, visit.store, patience=half), 1.5)
        except (TogglError, CheckTimeout) as error:
            visit.add(unknown("callback", str(error)))
            return
    if visit.own is not None and visit.session is not None and visit.workspace is not None and visit.store is not None:
        pinged = _let_toggl_ping(visit, visit.own, visit.store)
    visit.add(*callback.check_callback(shown(url), knocked, pinged))


def _let_toggl_ping(visit: CheckContext, own: Found, opened: EventStore) -> callback.TogglPing | None:
    assert visit.session is not None  # noqa: S101 - asked before
    assert visit.workspace is not None  # noqa: S101 - likewise
    webhooks = Webhooks(visit.session, int(visit.workspace["id"]))
    half = visit.order.patience / 2
    try:
        return visit.within(lambda: ask_ping(webhooks, own, visit.order.conn_id, opened, patience=half), 2.0)
    except (TogglError, CheckTimeout) as error:
        note_failure(visit, "callback", error)
        return None


def shown(url: str) -> str:
    """Return an address without its query, which may be secret."""
    return url.split("?", maxsplit=1)[0].split("#", maxsplit=1)[0]
