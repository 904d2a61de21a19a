"""The Webhooks API of one workspace, typed, under the session's pace and quota.

https://engineering.toggl.com/docs/webhooks/subscriptions
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from airflow_provider_toggl.core.api.answers import Answer
from airflow_provider_toggl.core.api.session import TogglSession
from airflow_provider_toggl.core.api.subscriptions import ODD_ANSWER, Found, Limits, Wanted, is_as_wanted
from airflow_provider_toggl.core.api.webhook_refusals import (
    explained,
    explained_denial,
    is_already_validated,
    is_description_in_use,
    is_no_subscription,
)
from airflow_provider_toggl.core.errors import (
    AccessDenied,
    ConnectionTrouble,
    Gone,
    MalformedAnswer,
    NotFound,
    PayloadRefused,
    ServerTrouble,
)

log = logging.getLogger(__name__)

BASE = "/webhooks/api/v1"


@dataclass(frozen=True)
class LogPage:
    """A page of the log of what Toggl attempted to deliver.

    :param total: how many the whole log has, None where it does not say.
    :param events: as Toggl gives them.
    """

    total: int | None
    events: tuple[dict[str, Any], ...]


class Webhooks:
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
        told: Callable[[list[Found]], None] | None = None,
        changed: Callable[[int, Mapping[str, Any] | None], None] | None = None,
    ) -> None:
        self.session = session
        self.workspace_id = workspace_id
        self._told = told
        self._changed = changed

    def subscriptions(self) -> list[Found]:
        """Return the subscriptions that the token can see."""
        rows = self._ask("GET", self._path("subscriptions")).json()
        if not isinstance(rows, list):
            raise MalformedAnswer(
                "Toggl's answer is not the list of webhook subscriptions that was asked for. " + ODD_ANSWER
            )
        found = [Found.from_http(row) for row in rows if not (isinstance(row, dict) and row.get("deleted_at"))]
        if self._told is not None:
            self._told(found)
        return found

    def create(self, wanted: Wanted) -> Found:
        """Make a subscription; Toggl posts a signed PING to the callback before it answers.

        Where nobody knows whether Toggl made it, the list says so before anything is sent again.

        :raises PayloadRefused: with what to do about it.
        """
        path = self._path("subscriptions")
        try:
            return self._create_once(path, wanted)
        except (ConnectionTrouble, ServerTrouble, MalformedAnswer) as error:
            log.warning("%s Whether the subscription was made is not known; the list will tell.", error)
        made = self._find_made(wanted)
        return made or self._create_once(path, wanted)

    def replace(self, subscription_id: int, wanted: Wanted) -> Found:
        """Make a subscription what is wanted, its secret too.

        :raises PayloadRefused: with what to do about it.
        """
        path = self._path("subscriptions", subscription_id)
        return self._saw(Found.from_http(self._ask("PUT", path, _payload(wanted)).json()))

    def set_enabled(self, subscription_id: int, enabled: bool) -> Found:
        """Enable or disable a subscription; Toggl posts a PING to the callback of one that is enabled.

        :raises PayloadRefused: with what to do about it.
        """
        answer = self._ask("PATCH", self._path("subscriptions", subscription_id), {"enabled": enabled})
        return self._saw(Found.from_http(answer.json()))

    def delete(self, subscription_id: int) -> bool:
        """Remove a subscription; return whether there was one."""
        try:
            self._ask("DELETE", self._path("subscriptions", subscription_id))
            there = True
        except NotFound:
            there = False
        self._report(subscription_id, None)
        return there

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
            raise MalformedAnswer("Toggl's answer is not the object of event filters that was asked for. " + ODD_ANSWER)
        return {entity: tuple(map(str, actions or ())) for entity, actions in answer.items()}

    def limits(self) -> Limits:
        """Return what the workspace's plan allows; what is missing or makes no sense is taken for not limited."""
        answer = self._ask("GET", self._path("limits")).json()
        answer = answer if isinstance(answer, dict) else {}
        return Limits(*(_positive(answer.get(name)) for name in ("max_webhooks", "max_events_per_webhook")))

    def find_log_page(self, subscription_id: int, offset: int) -> LogPage | None:
        """Return what Toggl attempted to deliver in the last week, from so many on; None where it serves no such log.

        Toggl's documents no longer list this address.

        :raises NotFound: there is no such subscription.
        """
        try:
            answer = self._ask(
                "GET", self._path("subscriptions", subscription_id, "events"), params={"offset": offset}
            ).json()
        except (NotFound, Gone, PayloadRefused) as error:
            if is_no_subscription(error.text):
                raise
            log.debug("%s", error)
            return None
        if not isinstance(answer, dict) or not isinstance(answer.get("events") or [], list):
            raise MalformedAnswer("Toggl's answer is not the log of events that was asked for. " + ODD_ANSWER)
        total = answer.get("total")
        events = tuple(row for row in answer.get("events") or () if isinstance(row, dict))
        return LogPage(total if isinstance(total, int) else None, events)

    def own_user_id(self) -> int | None:
        """Return whose token it is."""
        me = self.session.request("GET", "/api/v9/me").json()
        number = me.get("id") if isinstance(me, dict) else None
        return number if isinstance(number, int) else None

    def _create_once(self, path: str, wanted: Wanted) -> Found:
        try:
            return self._saw(Found.from_http(self._ask("POST", path, _payload(wanted), idempotent=False).json()))
        except PayloadRefused as error:
            # A first request that was cut off, or another process, may have made it meanwhile.
            made = self._find_made(wanted) if is_description_in_use(error) else None
            if made is None:
                raise
            return made

    def _saw(self, found: Found) -> Found:
        self._report(found.subscription_id, found.as_dict())
        return found

    def _report(self, subscription_id: int, fields: Mapping[str, Any] | None) -> None:
        if self._changed is not None:
            self._changed(subscription_id, fields)

    def _find_made(self, wanted: Wanted) -> Found | None:
        return next((one for one in self.subscriptions() if is_as_wanted(wanted, one)), None)

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
    ) -> Answer:
        """Ask; most of these requests have the same effect when they are sent twice."""
        try:
            return self.session.request(method, path, params=params, payload=payload, idempotent=idempotent)
        except PayloadRefused as error:
            raise explained(error) from None
        except AccessDenied as error:
            raise explained_denial(error) from None


def _payload(wanted: Wanted) -> dict[str, Any]:
    return {
        "description": wanted.description,
        "enabled": wanted.enabled,
        "event_filters": [{"entity": one.entity, "action": one.action} for one in wanted.filters],
        "secret": wanted.secret,
        "url_callback": wanted.callback_url,
    }


def _positive(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
