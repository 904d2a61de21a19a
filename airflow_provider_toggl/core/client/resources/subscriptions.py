"""Webhook subscriptions as desired state: compares a declaration with Toggl, and plans one change. No I/O.

:mod:`airflow_provider_toggl.core.client.resources.ensure_subscription` carries the change out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

from airflow_provider_toggl.core.arguments import parse_list, show_value
from airflow_provider_toggl.core.errors import ConfigurationError, MalformedAnswer
from airflow_provider_toggl.core.wording import plural

SubscriptionAction = Literal["nothing", "create", "replace", "enable", "disable"]

ANY = "*"
UNEXPECTED_RESPONSE = "Try again. If this persists, a proxy answers in Toggl's place, or Toggl has changed its format."


@dataclass(frozen=True, order=True)
class SubscriptionFilter:
    """Selects the events of an entity and an action; either may be ``*``."""

    entity: str
    action: str

    def covers(self, other: SubscriptionFilter) -> bool:
        """Return whether every event that matches the other filter matches this one too."""
        return self.entity in (ANY, other.entity) and self.action in (ANY, other.action)

    def __str__(self) -> str:
        return f"{self.entity}:{self.action}"


@dataclass(frozen=True)
class SubscriptionSpec:
    """The declaration of a subscription.

    :param description: its name, unique in the workspace.
    :param callback_url: the URL that Toggl delivers to.
    :param secret: the secret that Toggl signs deliveries with.
    """

    description: str
    filters: tuple[SubscriptionFilter, ...]
    callback_url: str
    secret: str = field(repr=False)
    enabled: bool = True


@dataclass(frozen=True)
class Subscription:
    """A subscription in Toggl.

    :param secret: None if Toggl does not show it. Toggl shows it at most to the creator.
    :param user_id: the user who created it.
    """

    subscription_id: int
    description: str
    filters: tuple[SubscriptionFilter, ...]
    callback_url: str
    enabled: bool
    validated: bool
    secret: str | None = field(default=None, repr=False)
    user_id: int | None = None
    has_pending_events: bool = False

    @classmethod
    def from_http(cls, row: Any) -> Subscription:
        """Return the subscription of a response. Missing fields other than the ID count as not set.

        :raises MalformedAnswer: it has no integer ``subscription_id``.
        """
        number = row.get("subscription_id") if isinstance(row, dict) else None
        if not isinstance(number, int) or isinstance(number, bool):
            raise MalformedAnswer(
                "Toggl's response has a webhook subscription without a subscription_id. " + UNEXPECTED_RESPONSE
            )
        user_id, secret = row.get("user_id"), row.get("secret")
        return cls(
            subscription_id=number,
            description=str(row.get("description") or ""),
            filters=read_filters(row.get("event_filters")),
            callback_url=str(row.get("url_callback") or ""),
            enabled=row.get("enabled") is True,
            validated=bool(row.get("validated_at")),
            # A text of asterisks is a mask. Read as the secret, it would be replaced in every run.
            secret=secret if isinstance(secret, str) and secret.strip("*") else None,
            user_id=user_id if isinstance(user_id, int) else None,
            has_pending_events=row.get("has_pending_events") is True,
        )

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values, without its secret and without the query of its callback."""
        return {
            "subscription_id": self.subscription_id,
            "description": self.description,
            "filters": [str(each) for each in self.filters],
            "callback_url": re.split(r"[?#]", self.callback_url)[0],
            "enabled": self.enabled,
            "validated": self.validated,
            "has_pending_events": self.has_pending_events,
        }


@dataclass(frozen=True)
class SubscriptionLimits:
    """Limits of a plan: enabled webhooks, and filters per webhook; None if Toggl does not report a limit."""

    max_webhooks: int | None = None
    max_events_per_webhook: int | None = None


@dataclass(frozen=True)
class SubscriptionChanges:
    """The change that makes a subscription match its declaration.

    :param action: the one request that changes something, or ``nothing``.
    :param target: the subscription to change; None if it must be created.
    :param differences: names of the fields in which the target differs.
    :param enables: whether one more subscription will be enabled, which the workspace's plan limits.
    :param beside: other subscriptions with the same callback.
    """

    action: SubscriptionAction
    target: Subscription | None = None
    differences: tuple[str, ...] = ()
    enables: bool = False
    beside: tuple[Subscription, ...] = ()

    @property
    def adopts(self) -> bool:
        """Whether a subscription with another description is taken over."""
        return "description" in self.differences


def parse_filters(
    filters: str | SubscriptionFilter | Iterable[str | SubscriptionFilter | Mapping[str, str]],
    *,
    entities: Sequence[str],
    actions: Sequence[str],
) -> tuple[SubscriptionFilter, ...]:
    """Return the filters of an argument: ``time_entry``, ``time_entry:updated``, ``*:*`` or
    ``{"entity": …, "action": …}``.

    :param filters: one or several, or one text with commas between them.
    :param entities: the entities that Toggl knows.
    :param actions: the actions that Toggl knows.
    :raises ConfigurationError: there is no filter, or an entity or action is unknown.
    """
    parsed = normalize_filters(_parse_filter(one, entities, actions) for one in parse_list("filters", filters))
    if not parsed:
        raise ConfigurationError(
            "filters is empty: a subscription needs at least one event filter, such as time_entry or *:*."
        )
    return parsed


def normalize_filters(filters: Iterable[SubscriptionFilter]) -> tuple[SubscriptionFilter, ...]:
    """Return filters in order, without those that others cover. Toggl refuses duplicates."""
    unique = set(filters)
    return tuple(sorted(one for one in unique if not any(other != one and other.covers(one) for other in unique)))


def read_filters(rows: Any) -> tuple[SubscriptionFilter, ...]:
    """Return the filters of a request or a response; other values are ignored."""
    pairs = [row for row in rows if isinstance(row, Mapping)] if isinstance(rows, list | tuple) else []
    return normalize_filters(SubscriptionFilter(str(row.get("entity")), str(row.get("action"))) for row in pairs)


def plan_changes(
    spec: SubscriptionSpec, found: Sequence[Subscription], *, rotate_secret: bool = False
) -> SubscriptionChanges:
    """Return the smallest change that makes a subscription match its declaration.

    :param found: all subscriptions of the workspace that the token can see.
    :param rotate_secret: send the secret if Toggl hides the current one. A visible, different one is always replaced.
    """
    target = _find_target(spec, found)
    beside = tuple(one for one in found if one is not target and is_same_address(one.callback_url, spec.callback_url))
    if target is None:
        return SubscriptionChanges("create", enables=spec.enabled, beside=beside)
    differences = tuple(_differences(spec, target, rotate_secret))
    action: SubscriptionAction = "replace"
    if not differences:
        action = "nothing"
    elif differences == ("enabled",):
        action = "enable" if spec.enabled else "disable"
    return SubscriptionChanges(action, target, differences, enables=spec.enabled and not target.enabled, beside=beside)


def describe_too_many_filters(spec: SubscriptionSpec, limits: SubscriptionLimits) -> str | None:
    """Return the error text for more filters than the plan allows, None if it allows them."""
    most = limits.max_events_per_webhook
    if most is None or len(spec.filters) <= most:
        return None
    listed = ", ".join(map(str, spec.filters))
    return (
        f"The workspace's plan allows {plural(most, 'event filter')} for a webhook, and {spec.description!r} wants "
        f"{len(spec.filters)}: {listed}. Remove {len(spec.filters) - most} of them, or use * for several."
    )


def describe_too_many_enabled(
    plan: SubscriptionChanges, found: Sequence[Subscription], limits: SubscriptionLimits, *, user_id: int | None = None
) -> str | None:
    """Return the error text for more enabled subscriptions than the plan allows, None if it allows them.

    Toggl's documentation says that the limit is per workspace; its error says that it is per user and workspace.

    :param user_id: count only the subscriptions of this user; None for those of all users.
    """
    if limits.max_webhooks is None or not plan.enables:
        return None
    others = [
        one for one in found if one.enabled and one is not plan.target and (user_id is None or one.user_id == user_id)
    ]
    if len(others) < limits.max_webhooks:
        return None
    listed = "; ".join(
        f"{one.subscription_id} ({one.description!r}{'' if one.validated else ', not validated'})" for one in others
    )
    return (
        f"The workspace's plan allows {limits.max_webhooks} enabled webhook subscriptions, and as many are enabled "
        f"already: {listed}. Disable or delete one, or combine the filters of several in one subscription."
    )


def is_same_address(one: str, other: str) -> bool:
    """Return whether two URLs differ at most in how they are written."""
    return one == other or _address(one) == _address(other)


def is_match(spec: SubscriptionSpec, found: Subscription) -> bool:
    """Return whether a subscription matches its declaration, apart from ``enabled``, ``validated`` and its secret."""
    return (
        found.description == spec.description
        and found.filters == normalize_filters(spec.filters)
        and is_same_address(found.callback_url, spec.callback_url)
    )


def _parse_filter(one: Any, entities: Sequence[str], actions: Sequence[str]) -> SubscriptionFilter:
    if isinstance(one, SubscriptionFilter):
        words = one
    elif isinstance(one, str):
        entity, colon, action = (part.strip() for part in one.partition(":"))
        words = SubscriptionFilter(entity, action if colon else ANY)
    elif isinstance(one, Mapping) and set(one) <= {"entity", "action"} and "entity" in one:
        words = SubscriptionFilter(str(one["entity"]), str(one.get("action", ANY)))
    else:
        raise ConfigurationError(
            f"filters has {show_value(one)}; a filter is text such as time_entry:updated, or an object with entity and "
            "action."
        )
    for kind, word, known in (("entity", words.entity, entities), ("action", words.action, actions)):
        if word not in (ANY, *known):
            raise ConfigurationError(
                f"filters has {show_value(str(words))}: there is no {kind} {show_value(word)}. "
                f"Known are {', '.join(known)} and *."
            )
    return words


def _find_target(spec: SubscriptionSpec, found: Sequence[Subscription]) -> Subscription | None:
    """Return the subscription with the same description, or else one with the same callback and related filters.

    Filters are related if one set covers the other.

    The same callback alone is not enough: one receiver may have two subscriptions with different filters, and two tasks
    would take over each other's subscription in every run.
    """
    named = [one for one in found if one.description == spec.description]
    similar = [
        one
        for one in found
        if is_same_address(one.callback_url, spec.callback_url)
        and (_covers(spec.filters, one.filters) or _covers(one.filters, spec.filters))
    ]
    equal = [one for one in similar if one.filters == normalize_filters(spec.filters)]
    return next((min(some, key=lambda one: one.subscription_id) for some in (named, equal, similar) if some), None)


def _covers(some: Sequence[SubscriptionFilter], others: Iterable[SubscriptionFilter]) -> bool:
    return all(any(one.covers(other) for one in some) for other in others)


def _differences(spec: SubscriptionSpec, target: Subscription, rotate_secret: bool) -> Iterable[str]:
    if target.description != spec.description:
        yield "description"
    if target.filters != normalize_filters(spec.filters):
        yield "filters"
    if not is_same_address(target.callback_url, spec.callback_url):
        yield "callback_url"
    if target.secret != spec.secret if target.secret is not None else rotate_secret:
        yield "secret"
    if target.enabled != spec.enabled:
        yield "enabled"


def _address(url: str) -> tuple[str, ...]:
    try:
        parts = urlsplit(url.strip())
        port = parts.port or {"https": 443, "http": 80}.get(parts.scheme)
    except ValueError:
        return (url,)
    return (parts.scheme, parts.hostname or "", str(port), parts.path or "/", parts.query)
