"""The Webhooks API of one workspace, typed, under the session's pace and quota.

https://engineering.toggl.com/docs/webhooks/subscriptions
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

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
from airflow_provider_toggl.core.client.verification import check_applied
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
    """A page of the log of what Toggl attempted to deliver.

    :param total: how many the whole log has, None where it does not say.
    :param events: as Toggl gives them.
    """

    total: int | None
    events: tuple[dict[str, Any], ...]


class WebhooksClient:
    """The webhooks of a workspace.

    :param session: asks; whether Toggl counts these requests is not documented, so they are charged like others of the
        workspace, and what the answers' headers say holds.
    :param told: gets every list of subscriptions that Toggl tells.
    :param changed: gets what a request changed: the ID of a subscription, and the fields that it has now (those of
        ``Found.as_dict``, or some of them), None for one that is deleted.
    """

    def __init__(
        self,
        session: TogglSession,
        workspace_id: int,
        *,
        told: Callable[[list[Subscription]], None] | None = None,
        changed: Callable[[int, Mapping[str, Any] | None], None] | None = None,
    ) -> None:
        self.session = session
        self.workspace_id = workspace_id
        self._told = told
        self._changed = changed

    def subscriptions(self) -> list[Subscription]:
        """Return the subscriptions that the token can see."""
        found = [
            Subscription.from_http(row) for row in self._list() if not (isinstance(row, dict) and row.get("deleted_at"))
        ]
        if self._told is not None:
            self._told(found)
        return found

    def create(self, wanted: SubscriptionSpec) -> Subscription:
        """Make a subscription; Toggl posts a signed PING to the callback before it answers.

        Where nobody knows whether Toggl made it, the list says so before anything is sent again.

        :raises PayloadRefused: with what to do about it.
        :raises NotApplied: Toggl made something else.
        """
        path = self._path("subscriptions")
        try:
            return self._create_once(path, wanted)
        except (ConnectionTrouble, ServerTrouble, MalformedAnswer) as error:
            log.warning("%s Whether the subscription was made is not known; the list will tell.", error)
        made = self._find_made(wanted)
        return made or self._create_once(path, wanted)

    def replace(self, subscription_id: int, wanted: SubscriptionSpec) -> Subscription:
        """Make a subscription what is wanted, its secret too.

        :raises PayloadRefused: with what to do about it.
        :raises NotApplied: Toggl answered that it was done, and it was not.
        """
        return self._change("PUT", subscription_id, _payload(wanted))

    def set_enabled(self, subscription_id: int, enabled: bool) -> Subscription:
        """Enable or disable a subscription; Toggl posts a PING to the callback of one that is enabled.

        :raises PayloadRefused: with what to do about it.
        :raises NotApplied: Toggl answered that it was done, and it was not.
        """
        return self._change("PATCH", subscription_id, {"enabled": enabled})

    def delete(self, subscription_id: int) -> bool:
        """Remove a subscription; return whether there was one.

        An answer that does not show it as deleted is checked against the list, which costs one request. One that is
        still there is deleted once more.

        :raises NotApplied: it is still there after that.
        """
        for was_there in (False, True):
            try:
                answer = self._ask("DELETE", self._path("subscriptions", subscription_id))
            except NotFound:
                self._report(subscription_id, None)
                return was_there
            if _shows_deleted(answer, subscription_id) or not self._is_listed(subscription_id):
                self._report(subscription_id, None)
                return True
            log.warning("Toggl answered that subscription %d was deleted, and still lists it.", subscription_id)
        raise NotApplied(
            f"Toggl answered twice that subscription {subscription_id} was deleted, and still lists it. It may go on "
            "delivering: look in Toggl's settings, and run the task again."
        )

    def ping(self, subscription_id: int) -> str:
        """Let Toggl post a PING to the callback; return what it says of that."""
        answer = self._ask("POST", self._path("ping", subscription_id), idempotent=False).json()
        return str(answer.get("status") if isinstance(answer, dict) else answer)

    def validate(self, subscription_id: int, code: str) -> bool:
        """Validate a subscription by the code that a PING brought; return False for a code that is not its (any more).

        One that is validated already is as good.
        """
        try:
            self._ask("GET", self._path("validate", subscription_id, quote(code, safe="")))
        except NotFound:
            return False
        except PayloadRefused as error:
            if not is_already_validated(error):
                return False
        self._report(subscription_id, {"validated": True})
        return True

    def event_filters(self) -> dict[str, tuple[str, ...]]:
        """Return the actions of each entity that Toggl tells events of."""
        answer = self._ask("GET", f"{BASE}/event_filters").json()
        if not isinstance(answer, dict):
            raise MalformedAnswer(
                "Toggl's answer is not the object of event filters that was asked for. " + UNEXPECTED_RESPONSE
            )
        return {entity: tuple(map(str, actions or ())) for entity, actions in answer.items()}

    def limits(self) -> SubscriptionLimits:
        """Return what the workspace's plan allows; what is missing or makes no sense is taken for not limited."""
        answer = self._ask("GET", self._path("limits")).json()
        answer = answer if isinstance(answer, dict) else {}
        return SubscriptionLimits(*(_positive(answer.get(name)) for name in ("max_webhooks", "max_events_per_webhook")))

    def find_log_page(self, subscription_id: int, offset: int) -> DeliveryLogPage | None:
        """Return what Toggl attempted to deliver in the last week, from so many on; None where it serves no such log.

        Toggl's documents no longer list this address.

        :raises NotFound: there is no such subscription.
        """
        try:
            answer = self._ask(
                "GET", self._path("subscriptions", subscription_id, "events"), params={"offset": offset}
            ).json()
        except (NotFound, Gone, PayloadRefused) as error:
            if is_subscription_missing(error.text):
                raise
            log.debug("%s", error)
            return None
        if not isinstance(answer, dict) or not isinstance(answer.get("events") or [], list):
            raise MalformedAnswer("Toggl's answer is not the log of events that was asked for. " + UNEXPECTED_RESPONSE)
        total = answer.get("total")
        events = tuple(row for row in answer.get("events") or () if isinstance(row, dict))
        return DeliveryLogPage(total if isinstance(total, int) else None, events)

    def own_user_id(self) -> int | None:
        """Return whose token it is."""
        me = self.session.request("GET", "/api/v9/me").json()
        number = me.get("id") if isinstance(me, dict) else None
        return number if isinstance(number, int) else None

    def _change(self, method: str, subscription_id: int, payload: dict[str, Any]) -> Subscription:
        """Change a subscription and return it; one that the answer does not have is looked for in the list."""
        path, what = self._path("subscriptions", subscription_id), f"Changing subscription {subscription_id}"
        answer = self._ask(method, path, payload)
        try:
            row = answer.json()
            found = Subscription.from_http(row)
        except MalformedAnswer as error:
            log.info("%s The list will tell what the subscription is now.", error)
            rows = {one.get("subscription_id"): one for one in self._list() if isinstance(one, dict)}
            row = rows.get(subscription_id)
            if row is None:
                raise
            found = Subscription.from_http(row)
        self._saw(found)
        check_applied(what, {"subscription_id": subscription_id, **payload}, row)
        return found

    def _is_listed(self, subscription_id: int) -> bool:
        """Whether a subscription is in the list; False where there is no quota left to look."""
        try:
            return any(one.subscription_id == subscription_id for one in self.subscriptions())
        except (QuotaExhausted, RateLimited) as error:
            log.warning("Whether subscription %d is really deleted was not checked: %s", subscription_id, error)
            return False

    def _list(self) -> list[Any]:
        rows = self._ask("GET", self._path("subscriptions")).json()
        if not isinstance(rows, list):
            raise MalformedAnswer(
                "Toggl's answer is not the list of webhook subscriptions that was asked for. " + UNEXPECTED_RESPONSE
            )
        return rows

    def _create_once(self, path: str, wanted: SubscriptionSpec) -> Subscription:
        payload = _payload(wanted)
        try:
            row = self._ask("POST", path, payload, idempotent=False).json()
            found = Subscription.from_http(row)
        except PayloadRefused as error:
            # A first request that was cut off, or another process, may have made it meanwhile.
            made = self._find_made(wanted) if is_description_in_use(error) else None
            if made is None:
                raise
            return made
        self._saw(found)
        check_applied(f"Creating subscription {found.subscription_id}", payload, row)
        return found

    def _saw(self, found: Subscription) -> None:
        self._report(found.subscription_id, found.as_dict())

    def _report(self, subscription_id: int, fields: Mapping[str, Any] | None) -> None:
        if self._changed is not None:
            self._changed(subscription_id, fields)

    def _find_made(self, wanted: SubscriptionSpec) -> Subscription | None:
        return next((one for one in self.subscriptions() if is_match(wanted, one)), None)

    def _path(self, name: str, *parts: object) -> str:
        return "/".join((BASE, name, str(self.workspace_id), *map(str, parts)))

    def _ask(
        self,
        method: str,
        path: str,
        payload: Any = None,
        *,
        params: dict[str, Any] | None = None,
        idempotent: bool = True,
    ) -> TogglResponse:
        """Ask; most of these requests have the same effect when they are sent twice."""
        try:
            return self.session.request(method, path, params=params, payload=payload, idempotent=idempotent)
        except PayloadRefused as error:
            raise explain_refusal(error) from None
        except AccessDenied as error:
            raise explain_denial(error) from None


def _payload(wanted: SubscriptionSpec) -> dict[str, Any]:
    return {
        "description": wanted.description,
        "enabled": wanted.enabled,
        "event_filters": [{"entity": one.entity, "action": one.action} for one in wanted.filters],
        "secret": wanted.secret,
        "url_callback": wanted.callback_url,
    }


def _shows_deleted(answer: TogglResponse, subscription_id: int) -> bool:
    """Whether an answer is the subscription with the time of its deletion."""
    try:
        row = answer.json()
    except MalformedAnswer:
        return False
    return isinstance(row, dict) and row.get("subscription_id") == subscription_id and bool(row.get("deleted_at"))


def _positive(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
