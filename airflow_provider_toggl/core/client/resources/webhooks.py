"""Typed client for the Webhooks API of one workspace.

https://engineering.toggl.com/docs/webhooks/subscriptions
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from airflow_provider_toggl.core.client.applied_writes import check_applied
from airflow_provider_toggl.core.client.resources.subscriptions import (
    UNEXPECTED_RESPONSE,
    Subscription,
    SubscriptionLimits,
    SubscriptionSpec,
    is_match,
)
from airflow_provider_toggl.core.client.resources.webhook_errors import (
    explain_denial,
    explain_refusal,
    is_already_validated,
    is_description_in_use,
    is_subscription_missing,
)
from airflow_provider_toggl.core.client.responses import TogglResponse
from airflow_provider_toggl.core.client.session import TogglSession
from airflow_provider_toggl.core.errors import (
    AccessDenied,
    ConnectionTrouble,
    Gone,
    MalformedAnswer,
    NotApplied,
    NotFound,
    PayloadRefused,
    QuotaExhausted,
    RateLimited,
    ServerTrouble,
)

log = logging.getLogger(__name__)

BASE = "/webhooks/api/v1"


@dataclass(frozen=True)
class DeliveryLogPage:
    """A page of the log of events that Toggl tried to deliver.

    :param total: number of events in the whole log, None if Toggl does not report it.
    :param events: as Toggl returns them.
    """

    total: int | None
    events: tuple[dict[str, Any], ...]


class WebhooksClient:
    """Lists, creates, changes and validates the webhook subscriptions of a workspace.

    :param session: whether Toggl counts these requests is not documented, so they are charged to the workspace's lane,
        and the headers of the responses correct the count.
    :param on_list: called with every list of subscriptions that Toggl returns.
    :param on_change: called after each change with the ID of the subscription and its new fields (all or some of those
        of ``Subscription.as_dict``), or None if it was deleted.
    """

    def __init__(
        self,
        session: TogglSession,
        workspace_id: int,
        *,
        on_list: Callable[[list[Subscription]], None] | None = None,
        on_change: Callable[[int, Mapping[str, Any] | None], None] | None = None,
    ) -> None:
        self.session = session
        self.workspace_id = workspace_id
        self._on_list = on_list
        self._on_change = on_change

    def subscriptions(self) -> list[Subscription]:
        """Return the subscriptions that the token can see."""
        found = [
            Subscription.from_http(row) for row in self._list() if not (isinstance(row, dict) and row.get("deleted_at"))
        ]
        if self._on_list is not None:
            self._on_list(found)
        return found

    def create(self, spec: SubscriptionSpec) -> Subscription:
        """Create a subscription. Toggl sends a signed PING to the callback before it answers.

        If the outcome is unknown, the list is read before the request is sent again.

        :raises PayloadRefused: with what to do about it.
        :raises NotApplied: Toggl created something else.
        """
        try:
            return self._create_once(spec)
        except (ConnectionTrouble, ServerTrouble, MalformedAnswer) as error:
            log.warning("%s Whether the subscription was created is unknown; the list is read.", error)
        return self._find_created(spec) or self._create_once(spec)

    def replace(self, subscription_id: int, spec: SubscriptionSpec) -> Subscription:
        """Replace all fields of a subscription, including its secret.

        :raises PayloadRefused: with what to do about it.
        :raises NotApplied: Toggl accepted the change and did not apply it.
        """
        return self._change("PUT", subscription_id, _payload(spec))

    def set_enabled(self, subscription_id: int, enabled: bool) -> Subscription:
        """Enable or disable a subscription. When it is enabled, Toggl sends a PING to the callback.

        :raises PayloadRefused: with what to do about it.
        :raises NotApplied: Toggl accepted the change and did not apply it.
        """
        return self._change("PATCH", subscription_id, {"enabled": enabled})

    def delete(self, subscription_id: int) -> bool:
        """Delete a subscription; return whether it existed.

        If the response does not show the deletion, the list is read, which costs one request. A subscription that is
        still listed is deleted once more.

        :raises NotApplied: it is still listed after that.
        """
        for existed in (False, True):
            try:
                response = self._request("DELETE", self._path("subscriptions", subscription_id))
            except NotFound:
                self._report(subscription_id, None)
                return existed
            if _shows_deletion(response, subscription_id) or not self._is_listed(subscription_id):
                self._report(subscription_id, None)
                return True
            log.warning("Toggl confirmed the deletion of subscription %d but still lists it.", subscription_id)
        raise NotApplied(
            f"Toggl confirmed twice the deletion of subscription {subscription_id} but still lists it. It may continue "
            "to deliver events: check Toggl's settings, and run the task again."
        )

    def ping(self, subscription_id: int) -> str:
        """Have Toggl send a PING to the callback; return the status that Toggl reports."""
        response = self._request("POST", self._path("ping", subscription_id), idempotent=False).json()
        return str(response.get("status") if isinstance(response, dict) else response)

    def validate(self, subscription_id: int, code: str) -> bool:
        """Validate a subscription with the code of a PING; return False if the code is wrong or outdated.

        Returns True if the subscription is validated already.
        """
        try:
            self._request("GET", self._path("validate", subscription_id, quote(code, safe="")))
        except NotFound:
            return False
        except PayloadRefused as error:
            if not is_already_validated(error):
                return False
        self._report(subscription_id, {"validated": True})
        return True

    def limits(self) -> SubscriptionLimits:
        """Return what the workspace's plan allows. Missing and invalid numbers mean no limit."""
        response = self._request("GET", self._path("limits")).json()
        response = response if isinstance(response, dict) else {}
        return SubscriptionLimits(
            *(_positive(response.get(name)) for name in ("max_webhooks", "max_events_per_webhook"))
        )

    def find_log_page(self, subscription_id: int, offset: int) -> DeliveryLogPage | None:
        """Return a page of the events that Toggl tried to deliver in the last week; None if Toggl has no such log.

        Toggl's documentation no longer lists this endpoint.

        :param offset: number of events to skip.
        :raises NotFound: the subscription does not exist.
        """
        try:
            response = self._request(
                "GET", self._path("subscriptions", subscription_id, "events"), params={"offset": offset}
            ).json()
        except (NotFound, Gone, PayloadRefused) as error:
            if is_subscription_missing(error.text):
                raise
            log.debug("%s", error)
            return None
        if not isinstance(response, dict) or not isinstance(response.get("events") or [], list):
            raise MalformedAnswer("Toggl's response is not a log of events. " + UNEXPECTED_RESPONSE)
        total = response.get("total")
        events = tuple(row for row in response.get("events") or () if isinstance(row, dict))
        return DeliveryLogPage(total if isinstance(total, int) else None, events)

    def own_user_id(self) -> int | None:
        """Return the ID of the token's owner."""
        me = self.session.request("GET", "/api/v9/me").json()
        number = me.get("id") if isinstance(me, dict) else None
        return number if isinstance(number, int) else None

    def _change(self, method: str, subscription_id: int, payload: dict[str, Any]) -> Subscription:
        """Change a subscription and return it. If the response does not contain it, the list is read."""
        path, what = self._path("subscriptions", subscription_id), f"Changing subscription {subscription_id}"
        response = self._request(method, path, payload)
        try:
            row = response.json()
            found = Subscription.from_http(row)
        except MalformedAnswer as error:
            log.info("%s The list of subscriptions is read instead.", error)
            rows = {one.get("subscription_id"): one for one in self._list() if isinstance(one, dict)}
            row = rows.get(subscription_id)
            if row is None:
                raise
            found = Subscription.from_http(row)
        self._report(found.subscription_id, found.as_dict())
        check_applied(what, {"subscription_id": subscription_id, **payload}, row)
        return found

    def _is_listed(self, subscription_id: int) -> bool:
        """Return whether a subscription is listed. False if there is no quota left to check."""
        try:
            return any(one.subscription_id == subscription_id for one in self.subscriptions())
        except (QuotaExhausted, RateLimited) as error:
            log.warning("The deletion of subscription %d was not checked: %s", subscription_id, error)
            return False

    def _list(self) -> list[Any]:
        rows = self._request("GET", self._path("subscriptions")).json()
        if not isinstance(rows, list):
            raise MalformedAnswer("Toggl's response is not a list of webhook subscriptions. " + UNEXPECTED_RESPONSE)
        return rows

    def _create_once(self, spec: SubscriptionSpec) -> Subscription:
        payload = _payload(spec)
        try:
            row = self._request("POST", self._path("subscriptions"), payload, idempotent=False).json()
            found = Subscription.from_http(row)
        except PayloadRefused as error:
            # An earlier request without a response, or another process, may have created it.
            created = self._find_created(spec) if is_description_in_use(error) else None
            if created is None:
                raise
            return created
        self._report(found.subscription_id, found.as_dict())
        check_applied(f"Creating subscription {found.subscription_id}", payload, row)
        return found

    def _report(self, subscription_id: int, fields: Mapping[str, Any] | None) -> None:
        if self._on_change is not None:
            self._on_change(subscription_id, fields)

    def _find_created(self, spec: SubscriptionSpec) -> Subscription | None:
        return next((one for one in self.subscriptions() if is_match(spec, one)), None)

    def _path(self, name: str, *parts: object) -> str:
        return "/".join((BASE, name, str(self.workspace_id), *map(str, parts)))

    def _request(
        self,
        method: str,
        path: str,
        payload: Any = None,
        *,
        params: dict[str, Any] | None = None,
        idempotent: bool = True,
    ) -> TogglResponse:
        """Send a request. Most requests here have the same effect when they are sent twice."""
        try:
            return self.session.request(method, path, params=params, payload=payload, idempotent=idempotent)
        except PayloadRefused as error:
            raise explain_refusal(error) from None
        except AccessDenied as error:
            raise explain_denial(error) from None


def _payload(spec: SubscriptionSpec) -> dict[str, Any]:
    return {
        "description": spec.description,
        "enabled": spec.enabled,
        "event_filters": [{"entity": one.entity, "action": one.action} for one in spec.filters],
        "secret": spec.secret,
        "url_callback": spec.callback_url,
    }


def _shows_deletion(response: TogglResponse, subscription_id: int) -> bool:
    """Return whether a response is the subscription with the time of its deletion."""
    try:
        row = response.json()
    except MalformedAnswer:
        return False
    return isinstance(row, dict) and row.get("subscription_id") == subscription_id and bool(row.get("deleted_at"))


def _positive(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
