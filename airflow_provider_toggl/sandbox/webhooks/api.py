"""The endpoints of the Webhooks API v1: filters, limits, subscriptions, PING, validation, status, and the event log."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from airflow_provider_toggl.sandbox.formats import micros_z
from airflow_provider_toggl.sandbox.routing import ApiRequest, ApiResponse, QuotaLane, Route
from airflow_provider_toggl.sandbox.webhooks.bodies import build_envelope, nanos_z, subscription_as_json
from airflow_provider_toggl.sandbox.webhooks.dispatcher import Dispatcher
from airflow_provider_toggl.sandbox.webhooks.records import Filter, WebhookEvent, WebhookSubscription
from airflow_provider_toggl.sandbox.webhooks.registry import WebhookRegistry
from airflow_provider_toggl.sandbox.workspace.records import User
from airflow_provider_toggl.sandbox.workspace.world import ErrorResponse

BASE = "/webhooks/api/v1"
ENTITIES = (
    "client", "project", "project_group", "project_user", "tag", "task", "time_entry", "workspace",
    "workspace_user",
)  # fmt: skip
ACTIONS = ("created", "updated", "deleted")

_ALL = f"{BASE}/subscriptions/{{workspace_id}}"
_ONE = f"{_ALL}/{{subscription_id}}"
_WORD = re.compile(r"[A-Za-z0-9_]+|\*", re.ASCII)


class WebhookEndpoints:
    """The endpoints.

    :param dispatcher: posts PINGs.
    """

    def __init__(self, registry: WebhookRegistry, dispatcher: Dispatcher) -> None:
        self._registry = registry
        self._dispatcher = dispatcher

    def routes(self) -> list[Route]:
        """Return the routes; endpoints that post a PING before they answer run in a thread."""
        # Whether these requests count is undocumented; the setting `webhook_calls_count` decides.
        lane: QuotaLane = "organization"
        return [
            Route("GET", f"{BASE}/event_filters", self.event_filters, "none", public=True),
            Route("GET", f"{BASE}/limits/{{workspace_id}}", self.limits, lane),
            Route("GET", f"{BASE}/status", self.status, "none", public=True),
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
                public=True,
            ),
        ]

    def event_filters(self, request: ApiRequest) -> ApiResponse:
        """Return the entities and actions that a subscription can filter."""
        return ApiResponse({entity: list(ACTIONS) for entity in ENTITIES})

    def limits(self, request: ApiRequest) -> ApiResponse:
        """Return how many enabled webhooks, and filters of each, the plan allows."""
        webhooks, events = self._registry.limits()
        return ApiResponse({"max_webhooks": webhooks, "max_events_per_webhook": events})

    def status(self, request: ApiRequest) -> ApiResponse:
        """Return ``OK``."""
        return ApiResponse({"status": "OK"})

    def list(self, request: ApiRequest) -> ApiResponse:
        """List the subscriptions that the user may see: all for administrators, otherwise their own."""
        visible = [one for one in self._registry.live() if _may_see(request.actor, one)]
        shows_secret = request.settings.webhook_list_returns_secret
        return ApiResponse(
            [self._as_json(one, with_secret=shows_secret and one.user_id == request.actor.id) for one in visible]
        )

    def create(self, request: ApiRequest) -> ApiResponse:
        """Create a subscription: check it, PING its callback, then store it."""
        fields = self._read(request, None)
        registry = self._registry
        subscription = WebhookSubscription(
            id=registry.next_subscription_id(),
            workspace_id=request.world.workspace.id,
            user_id=request.actor.id,
            validation_code=registry.draw_hex(),
            created_at=request.world.now(),
            **{**fields, "secret": fields["secret"] or registry.draw_hex(20)},
        )
        self._check_callback(request, subscription, "200")
        with registry.lock:
            # Another request may have created one meanwhile.
            self._check_free(request, subscription.description, subscription.enabled, None)
            registry.subscriptions[subscription.id] = subscription
        shown = self._as_json(subscription, with_secret=True)
        if not request.settings.webhook_validated_in_answer:
            shown["validated_at"] = None
        return ApiResponse(shown)

    def replace(self, request: ApiRequest) -> ApiResponse:
        """Replace all fields of a subscription after a PING of its callback."""
        subscription = self._get(request)
        fields = self._read(request, subscription)
        fields["secret"] = fields["secret"] or subscription.secret
        moved = fields["url_callback"] != subscription.url_callback and request.settings.webhook_url_change_unvalidates
        validated_at = None if moved else subscription.validated_at
        changed = replace(subscription, **{**fields, "validated_at": validated_at})
        self._check_callback(request, changed, "2xx")
        with self._registry.lock:
            self._check_free(request, changed.description, changed.enabled, subscription)
            if moved or subscription.validated_at is None:
                subscription.validated_at = changed.validated_at
            for name, value in fields.items():
                setattr(subscription, name, value)
        self._enabled(request, subscription, changed.enabled)
        return ApiResponse(self._as_json(subscription, with_secret=True))

    def set_enabled(self, request: ApiRequest) -> ApiResponse:
        """Enable a subscription after a PING of its callback, or disable it: ``{"enabled": false}``."""
        subscription = self._get(request)
        enabled = request.json_object().get("enabled")
        if not isinstance(enabled, bool):
            raise ErrorResponse(400, "Invalid JSON input")
        if enabled:
            self._check_count(request, subscription)
            self._check_callback(request, subscription, "200")
        with self._registry.lock:
            if enabled:
                self._check_count(request, subscription)
            subscription.enabled = enabled
        self._enabled(request, subscription, enabled)
        return ApiResponse(self._as_json(subscription, with_secret=True))

    def delete(self, request: ApiRequest) -> ApiResponse:
        """Delete a subscription."""
        subscription = self._get(request)
        subscription.deleted_at = request.world.now()
        subscription.enabled = False
        self._dispatcher.give_up(subscription.id)
        return ApiResponse(self._as_json(subscription, with_secret=True))

    def ping(self, request: ApiRequest) -> ApiResponse:
        """Post a PING."""
        self._dispatcher.ping(self._get(request), site=request.site)
        return ApiResponse({"status": "OK"})

    def validate(self, request: ApiRequest) -> ApiResponse:
        """Validate a subscription by its code, as a click on the link in the PING does."""
        id_, workspace, code = request.path_id("subscription_id"), request.path_id("workspace_id"), request.path["code"]
        with self._registry.lock:
            found = [one for one in self._registry.live() if (one.id, one.workspace_id) == (id_, workspace)]
            if not found or found[0].validation_code != code:
                raise ErrorResponse(
                    400, f"subscription {id_} for workspace {workspace} and validation code '{code}' was not found"
                )
            if found[0].validated_at is not None:
                raise ErrorResponse(400, f"subscription {id_} has already been validated")
            found[0].validated_at = request.world.now()
        return ApiResponse("OK")

    def events(self, request: ApiRequest) -> ApiResponse:
        """Return attempts of the last week, newest first; ``?offset=`` skips so many."""
        if not request.settings.webhook_events_log:
            raise ErrorResponse(404, "Not Found")
        subscription = self._get(request)
        offset = request.integer("offset") or 0
        log = self._registry.log_of(subscription.id)
        page = log[max(0, offset) : max(0, offset) + request.settings.webhook_events_page]
        return ApiResponse({"total": len(log), "events": [_log_row(event, subscription) for event in page]})

    def _as_json(self, subscription: WebhookSubscription, *, with_secret: bool) -> dict[str, Any]:
        pending = self._dispatcher.pending(subscription.id) > 0
        return subscription_as_json(subscription, with_secret=with_secret, pending=pending)

    def _get(self, request: ApiRequest) -> WebhookSubscription:
        id_ = request.path_id("subscription_id")
        subscription = self._registry.subscriptions.get(id_)
        if subscription is None or subscription.deleted_at is not None or not _may_see(request.actor, subscription):
            raise ErrorResponse(
                404, f"subscription {id_} for workspace {request.path_id('workspace_id')} was not found"
            )
        return subscription

    def _enabled(self, request: ApiRequest, subscription: WebhookSubscription, enabled: bool) -> None:
        """Finish a change: a disabled subscription gives up its waiting deliveries."""
        subscription.updated_at = request.world.now()
        if enabled:
            subscription.failures_in_a_row = 0
        else:
            self._dispatcher.give_up(subscription.id)

    def _read(self, request: ApiRequest, itself: WebhookSubscription | None) -> dict[str, Any]:
        """Return the checked fields of a body that creates or replaces a subscription.

        :raises ErrorResponse: 400 with the documented texts.
        """
        body = request.json_object()
        texts = {name: body.get(name) or "" for name in ("description", "url_callback", "secret")}
        if not all(isinstance(text, str) for text in texts.values()):
            raise ErrorResponse(400, "Invalid JSON input")
        description = texts["description"]
        if not description.strip():
            raise ErrorResponse(400, "Subscription description must not be empty")
        filters = _read_filters(body.get("event_filters"))
        self._check_filters(request, filters)
        enabled = body.get("enabled", itself.enabled if itself else False)
        if not isinstance(enabled, bool):
            raise ErrorResponse(400, "Invalid JSON input")
        self._check_free(request, description, enabled, itself)
        return {**texts, "filters": filters, "enabled": enabled}

    def _check_filters(self, request: ApiRequest, filters: tuple[Filter, ...]) -> None:
        _, most = self._registry.limits()
        count = len(filters)
        if request.settings.webhook_star_counts == "events":
            count = sum((len(ENTITIES) if e == "*" else 1) * (len(ACTIONS) if a == "*" else 1) for e, a in filters)
        if count > most:
            raise ErrorResponse(
                400,
                f"The limit of {most} event filters for your subscription has been exceeded as you're trying to set "
                f"{count} filters",
            )

    def _check_count(self, request: ApiRequest, itself: WebhookSubscription | None) -> None:
        most, _ = self._registry.limits()
        enabled = sum(1 for one in self._registry.live() if one.enabled and one is not itself)
        if enabled >= most:
            raise ErrorResponse(
                400,
                f"User {request.actor.id} already reached the limit of {most} enabled subscriptions for workspace "
                f"{request.world.workspace.id}",
            )

    def _check_free(
        self, request: ApiRequest, description: str, enabled: bool, itself: WebhookSubscription | None
    ) -> None:
        """Check that the description is free and, if enabled, that the plan allows one more."""
        if any(one.description == description and one is not itself for one in self._registry.live()):
            raise ErrorResponse(
                400,
                f"Subscription description '{description}' is already in use for workspace "
                f"{request.world.workspace.id}",
            )
        if enabled:
            self._check_count(request, itself)

    def _check_callback(self, request: ApiRequest, subscription: WebhookSubscription, wanted: str) -> None:
        result = self._dispatcher.ping(subscription, site=request.site)
        if result.delivered:
            return
        url = subscription.url_callback
        if result.status is None:
            raise ErrorResponse(400, f"URL endpoint {url} {result.error}")
        raise ErrorResponse(400, f"URL endpoint {url} responded with status {result.status} instead of {wanted}")


def _may_see(user: User, subscription: WebhookSubscription) -> bool:
    return user.is_admin or subscription.user_id == user.id


def _read_filters(value: Any) -> tuple[Filter, ...]:
    if not isinstance(value, list) or not value:
        raise ErrorResponse(400, "The list of event filters must not be empty")
    filters: list[Filter] = []
    for one in value:
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


def _log_row(event: WebhookEvent, subscription: WebhookSubscription) -> dict[str, Any]:
    timestamp = nanos_z(event.last_attempt or event.created_at, 0)
    return {
        **build_envelope(event, subscription=subscription, timestamp=timestamp),
        "last_delivery_attempt": None if event.last_attempt is None else micros_z(event.last_attempt),
        "last_delivery_error": event.last_error,
        "failed_delivery_attempts": event.failures,
    }
