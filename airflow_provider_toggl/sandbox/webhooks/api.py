"""Webhooks API v1: event filters, limits, subscriptions, PING, validation, status, and the log of events."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from airflow_provider_toggl.sandbox.rest_v9.serialize import micros_z
from airflow_provider_toggl.sandbox.routing import ApiRequest, ApiResponse, QuotaLane, Route
from airflow_provider_toggl.sandbox.webhooks.bodies import build_envelope, nanos_z, subscription_as_json
from airflow_provider_toggl.sandbox.webhooks.dispatcher import Dispatcher
from airflow_provider_toggl.sandbox.webhooks.registry import Filter, WebhookEvent, WebhookRegistry, WebhookSubscription
from airflow_provider_toggl.sandbox.workspace.records import User
from airflow_provider_toggl.sandbox.workspace.world import ErrorResponse

BASE = "/webhooks/api/v1"
ENTITIES = (
    "client",
    "project",
    "project_group",
    "project_user",
    "tag",
    "task",
    "time_entry",
    "workspace",
    "workspace_user",
)
ACTIONS = ("created", "updated", "deleted")

_ALL = f"{BASE}/subscriptions/{{workspace_id}}"
_ONE = f"{_ALL}/{{subscription_id}}"
_WORD = re.compile(r"[A-Za-z0-9_]+|\*", re.ASCII)


class WebhookEndpoints:
    """The endpoints.

    :param book: the subscriptions and events.
    :param engine: posts PINGs.
    """

    def __init__(self, book: WebhookRegistry, engine: Dispatcher) -> None:
        self._book = book
        self._engine = engine

    def routes(self) -> list[Route]:
        """Return the table of endpoints; those that post a PING before they answer run in a thread."""
        # Webhook calls may or may not count; `webhook_calls_count` decides, at the gate.
        lane: QuotaLane = "organization"
        return [
            Route("GET", f"{BASE}/event_filters", self.event_filters, "none", open_to_all=True),
            Route("GET", f"{BASE}/limits/{{workspace_id}}", self.limits, lane),
            Route("GET", f"{BASE}/status", self.status, "none", open_to_all=True),
            Route("GET", _ALL, self.list, lane),
            Route("POST", _ALL, self.create, lane, blocks=True),
            Route("PUT", _ONE, self.replace, lane, blocks=True),
            Route("PATCH", _ONE, self.set_enabled, lane, blocks=True),
            Route("DELETE", _ONE, self.delete, lane),
            Route("GET", f"{_ONE}/events", self.events, lane),
            Route("POST", f"{BASE}/ping/{{workspace_id}}/{{subscription_id}}", self.ping, lane, blocks=True),
            Route(
                "GET",
                f"{BASE}/validate/{{workspace_id}}/{{subscription_id}}/{{code:any}}",
                self.validate,
                "none",
                open_to_all=True,
            ),
        ]

    def event_filters(self, call: ApiRequest) -> ApiResponse:
        """Answer what can be subscribed to."""
        return ApiResponse({entity: list(ACTIONS) for entity in ENTITIES})

    def limits(self, call: ApiRequest) -> ApiResponse:
        """Answer what the plan allows."""
        webhooks, events = self._book.limits()
        return ApiResponse({"max_webhooks": webhooks, "max_events_per_webhook": events})

    def status(self, call: ApiRequest) -> ApiResponse:
        """Answer that webhooks are up."""
        return ApiResponse({"status": "OK"})

    def list(self, call: ApiRequest) -> ApiResponse:
        """Answer the subscriptions that somebody may see: administrators all, others their own."""
        visible = [one for one in self._book.live() if _may_see(call.actor, one)]
        told = call.settings.webhook_list_tells_secret
        return ApiResponse([self._told(one, with_secret=told and one.user_id == call.actor.id) for one in visible])

    def create(self, call: ApiRequest) -> ApiResponse:
        """Make a subscription: checked, then its callback is probed, then it is stored."""
        fields = self._read(call, None)
        book = self._book
        subscription = WebhookSubscription(
            id=book.next_subscription_id(),
            workspace_id=call.world.workspace.id,
            user_id=call.actor.id,
            validation_code=book.draw_hex(),
            created_at=call.world.now(),
            **{**fields, "secret": fields["secret"] or book.draw_hex(20)},
        )
        self._probe(call, subscription, "200")
        with book.lock:
            # Another one may have been made meanwhile.
            self._check_free(call, subscription.description, subscription.enabled, None)
            book.subscriptions[subscription.id] = subscription
        told = self._told(subscription, with_secret=True)
        if not call.settings.webhook_validated_in_answer:
            told["validated_at"] = None
        return ApiResponse(told)

    def replace(self, call: ApiRequest) -> ApiResponse:
        """Replace all fields of a subscription, when its callback has stood a probe."""
        subscription = self._get(call)
        fields = self._read(call, subscription)
        fields["secret"] = fields["secret"] or subscription.secret
        moved = fields["url_callback"] != subscription.url_callback and call.settings.webhook_url_change_unvalidates
        validated_at = None if moved else subscription.validated_at
        probed = replace(subscription, **{**fields, "validated_at": validated_at})
        self._probe(call, probed, "2xx")
        with self._book.lock:
            self._check_free(call, probed.description, probed.enabled, subscription)
            if moved or subscription.validated_at is None:
                subscription.validated_at = probed.validated_at
            for name, value in fields.items():
                setattr(subscription, name, value)
        self._enabled(call, subscription, probed.enabled)
        return ApiResponse(self._told(subscription, with_secret=True))

    def set_enabled(self, call: ApiRequest) -> ApiResponse:
        """Enable a subscription, after a probe, or disable it."""
        subscription = self._get(call)
        enabled = call.json_object().get("enabled")
        if not isinstance(enabled, bool):
            raise ErrorResponse(400, "Invalid JSON input")
        if enabled:
            self._check_count(call, subscription)
            self._probe(call, subscription, "200")
        with self._book.lock:
            if enabled:
                self._check_count(call, subscription)
            subscription.enabled = enabled
        self._enabled(call, subscription, enabled)
        return ApiResponse(self._told(subscription, with_secret=True))

    def delete(self, call: ApiRequest) -> ApiResponse:
        """Delete a subscription."""
        subscription = self._get(call)
        subscription.deleted_at = call.world.now()
        subscription.enabled = False
        self._engine.give_up(subscription.id)
        return ApiResponse(self._told(subscription, with_secret=True))

    def ping(self, call: ApiRequest) -> ApiResponse:
        """Post a PING."""
        self._engine.ping(self._get(call), site=call.site)
        return ApiResponse({"status": "OK"})

    def validate(self, call: ApiRequest) -> ApiResponse:
        """Validate a subscription by its code, as a click on the link in the PING does."""
        id_, workspace, code = call.path_id("subscription_id"), call.path_id("workspace_id"), call.path["code"]
        with self._book.lock:
            found = [one for one in self._book.live() if (one.id, one.workspace_id) == (id_, workspace)]
            if not found or found[0].validation_code != code:
                raise ErrorResponse(
                    400, f"subscription {id_} for workspace {workspace} and validation code '{code}' was not found"
                )
            if found[0].validated_at is not None:
                raise ErrorResponse(400, f"subscription {id_} has already been validated")
            found[0].validated_at = call.world.now()
        return ApiResponse("OK")

    def events(self, call: ApiRequest) -> ApiResponse:
        """Answer a page of what was attempted within a week, newest first."""
        if not call.settings.webhook_events_log:
            raise ErrorResponse(404, "Not Found")
        subscription = self._get(call)
        offset = call.whole("offset") or 0
        log = self._book.log_of(subscription.id)
        page = log[max(0, offset) : max(0, offset) + call.settings.webhook_events_page]
        return ApiResponse({"total": len(log), "events": [_logged(event, subscription) for event in page]})

    def _told(self, subscription: WebhookSubscription, *, with_secret: bool) -> dict[str, Any]:
        pending = self._engine.pending(subscription.id) > 0
        return subscription_as_json(subscription, with_secret=with_secret, pending=pending)

    def _get(self, call: ApiRequest) -> WebhookSubscription:
        id_ = call.path_id("subscription_id")
        subscription = self._book.subscriptions.get(id_)
        if subscription is None or subscription.deleted_at is not None or not _may_see(call.actor, subscription):
            raise ErrorResponse(404, f"subscription {id_} for workspace {call.path_id('workspace_id')} was not found")
        return subscription

    def _enabled(self, call: ApiRequest, subscription: WebhookSubscription, enabled: bool) -> None:
        """Note a change; what waits for one that is disabled is given up."""
        subscription.updated_at = call.world.now()
        if enabled:
            subscription.failures_in_a_row = 0
        else:
            self._engine.give_up(subscription.id)

    def _read(self, call: ApiRequest, itself: WebhookSubscription | None) -> dict[str, Any]:
        """Return the fields of a body that creates or replaces, all checked.

        :raises Refused: 400 with the documented texts.
        """
        told = call.json_object()
        texts = {name: told.get(name) or "" for name in ("description", "url_callback", "secret")}
        if not all(isinstance(text, str) for text in texts.values()):
            raise ErrorResponse(400, "Invalid JSON input")
        description = texts["description"]
        if not description.strip():
            raise ErrorResponse(400, "Subscription description must not be empty")
        filters = _read_filters(told.get("event_filters"))
        self._check_filters(call, filters)
        enabled = told.get("enabled", itself.enabled if itself else False)
        if not isinstance(enabled, bool):
            raise ErrorResponse(400, "Invalid JSON input")
        self._check_free(call, description, enabled, itself)
        return {**texts, "filters": filters, "enabled": enabled}

    def _check_filters(self, call: ApiRequest, filters: tuple[Filter, ...]) -> None:
        _, most = self._book.limits()
        count = len(filters)
        if call.settings.webhook_star_counts == "events":
            count = sum((len(ENTITIES) if e == "*" else 1) * (len(ACTIONS) if a == "*" else 1) for e, a in filters)
        if count > most:
            raise ErrorResponse(
                400,
                f"The limit of {most} event filters for your subscription has been exceeded as you're trying to set "
                f"{count} filters",
            )

    def _check_count(self, call: ApiRequest, itself: WebhookSubscription | None) -> None:
        most, _ = self._book.limits()
        enabled = sum(1 for one in self._book.live() if one.enabled and one is not itself)
        if enabled >= most:
            raise ErrorResponse(
                400,
                f"User {call.actor.id} already reached the limit of {most} enabled subscriptions for workspace "
                f"{call.world.workspace.id}",
            )

    def _check_free(
        self, call: ApiRequest, description: str, enabled: bool, itself: WebhookSubscription | None
    ) -> None:
        """Check what depends on the other subscriptions."""
        if any(one.description == description and one is not itself for one in self._book.live()):
            raise ErrorResponse(
                400,
                f"Subscription description '{description}' is already in use for workspace {call.world.workspace.id}",
            )
        if enabled:
            self._check_count(call, itself)

    def _probe(self, call: ApiRequest, subscription: WebhookSubscription, wanted: str) -> None:
        posted = self._engine.ping(subscription, site=call.site)
        if posted.delivered:
            return
        url = subscription.url_callback
        if posted.status is None:
            raise ErrorResponse(400, f"URL endpoint {url} {posted.error}")
        raise ErrorResponse(400, f"URL endpoint {url} responded with status {posted.status} instead of {wanted}")


def _may_see(user: User, subscription: WebhookSubscription) -> bool:
    return user.is_admin or subscription.user_id == user.id


def _read_filters(told: Any) -> tuple[Filter, ...]:
    if not isinstance(told, list) or not told:
        raise ErrorResponse(400, "The list of event filters must not be empty")
    filters: list[Filter] = []
    for one in told:
        if not isinstance(one, dict):
            raise ErrorResponse(400, "Invalid JSON input")
        filters.append((_read_word(one, "entity"), _read_word(one, "action")))
        if filters[-1][1] not in ("*", *ACTIONS):
            raise ErrorResponse(400, f"Invalid value '{filters[-1][1]}' for event filter action")
        if filters.count(filters[-1]) > 1:
            entity, action = filters[-1]
            raise ErrorResponse(
                400, f"The following event filter appears more than once for your subscription: {entity}:{action}"
            )
    return tuple(filters)


def _read_word(one: dict[str, Any], name: str) -> str:
    word = one.get(name)
    if not isinstance(word, str) or not word:
        raise ErrorResponse(400, f"The {name} field for each subscription event filter must be non-empty")
    if not _WORD.fullmatch(word):
        plural = {"entity": "entities", "action": "actions"}[name]
        raise ErrorResponse(
            400,
            f"The value '{word}' for the filter {name} can only contain letters, numbers and '_' or be '*' to match "
            f"all {plural}",
        )
    return word


def _logged(event: WebhookEvent, subscription: WebhookSubscription) -> dict[str, Any]:
    timestamp = nanos_z(event.last_attempt or event.created_at, 0)
    return {
        **build_envelope(event, subscription=subscription, timestamp=timestamp),
        "last_delivery_attempt": None if event.last_attempt is None else micros_z(event.last_attempt),
        "last_delivery_error": event.last_error,
        "failed_delivery_attempts": event.failures,
    }
