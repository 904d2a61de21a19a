"""Webhook subscriptions as desired state: what is wanted, what Toggl has, and the least that makes the one the other.

Pure decisions; :mod:`airflow_provider_toggl.core.client.resources.ensure_subscription` carries them out.
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
UNEXPECTED_RESPONSE = "Try again; if it stays, a proxy answers in Toggl's place, or Toggl has changed its format."


@dataclass(frozen=True, order=True)
class SubscriptionFilter:
    """Which events are delivered: of an entity and an action, either of which may be ``*``."""

    entity: str
    action: str

    def covers(self, other: SubscriptionFilter) -> bool:
        """Whether every event that the other one lets through comes through this one too."""
        return self.entity in (ANY, other.entity) and self.action in (ANY, other.action)

    def __str__(self) -> str:
        return f"{self.entity}:{self.action}"


@dataclass(frozen=True)
class SubscriptionSpec:
    """A subscription as it is declared.

    :param description: its name, unique in the workspace.
    :param callback_url: where Toggl delivers to.
    :param secret: what Toggl signs deliveries with.
    """

    description: str
    filters: tuple[SubscriptionFilter, ...]
    callback_url: str
    secret: str = field(repr=False)
    enabled: bool = True


@dataclass(frozen=True)
class Subscription:
    """A subscription as Toggl tells of it.

    :param secret: None where Toggl does not show it: it shows it to the creator, and not always to them.
    :param user_id: who made it.
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
        """Read a subscription of an answer; whatever it lacks besides its id is taken for not set.

        :raises MalformedAnswer: it is no object with an integer ``subscription_id``.
        """
        number = row.get("subscription_id") if isinstance(row, dict) else None
        if not isinstance(number, int) or isinstance(number, bool):
            raise MalformedAnswer(
                "Toggl's answer has a webhook subscription without a subscription_id. " + UNEXPECTED_RESPONSE
            )
        rows = row.get("event_filters")
        pairs = [each for each in rows if isinstance(each, dict)] if isinstance(rows, list) else []
        user_id, secret = row.get("user_id"), row.get("secret")
        return cls(
            subscription_id=number,
            description=str(row.get("description") or ""),
            filters=normalize_filters(
                SubscriptionFilter(str(each.get("entity")), str(each.get("action"))) for each in pairs
            ),
            callback_url=str(row.get("url_callback") or ""),
            enabled=row.get("enabled") is True,
            validated=bool(row.get("validated_at")),
            # A row of stars would be a mask; taken for the secret, it would be replaced at every look.
            secret=secret if isinstance(secret, str) and secret.strip("*") else None,
            user_id=user_id if isinstance(user_id, int) else None,
            has_pending_events=row.get("has_pending_events") is True,
        )

    def as_dict(self) -> dict[str, Any]:
        """Return it as small, plain values: without its secret, and its callback without a query."""
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
    """What a plan allows: enabled webhooks, and filters of each; None where Toggl does not say."""

    max_webhooks: int | None = None
    max_events_per_webhook: int | None = None


@dataclass(frozen=True)
class SubscriptionChanges:
    """What is to be done.

    :param action: the one request that changes something.
    :param target: the subscription that it is about; None for one that is yet to be made.
    :param differences: in what the target differs, in words.
    :param enables: whether one more will be enabled, which is what the workspace's plan limits.
    :param beside: other subscriptions that deliver to the same callback.
    """

    action: SubscriptionAction
    target: Subscription | None = None
    differences: tuple[str, ...] = ()
    enables: bool = False
    beside: tuple[Subscription, ...] = ()

    @property
    def adopts(self) -> bool:
        """Whether the target is taken over from another description."""
        return "description" in self.differences


def parse_filters(
    given: str | SubscriptionFilter | Iterable[str | SubscriptionFilter | Mapping[str, str]],
    *,
    entities: Sequence[str],
    actions: Sequence[str],
) -> tuple[SubscriptionFilter, ...]:
    """Return declared filters: ``time_entry``, ``time_entry:updated``, ``*:*`` or ``{"entity": …, "action": …}``.

    :param given: several; or one text with commas between them, as a template renders.
    :param entities: the words that Toggl knows; likewise ``actions``.
    :raises ConfigurationError: there is none, or a word is unknown.
    """
    filters = normalize_filters(_parse_filter(one, entities, actions) for one in parse_list("filters", given))
    if not filters:
        raise ConfigurationError(
            "filters is empty: a subscription needs at least one event filter, such as time_entry or *:*."
        )
    return filters


def normalize_filters(filters: Iterable[SubscriptionFilter]) -> tuple[SubscriptionFilter, ...]:
    """Return filters in order, without those that others make needless; Toggl refuses one that is there twice."""
    unique = set(filters)
    return tuple(sorted(one for one in unique if not any(other != one and other.covers(one) for other in unique)))


def plan_changes(
    wanted: SubscriptionSpec, found: Sequence[Subscription], *, rotate_secret: bool = False
) -> SubscriptionChanges:
    """Return the least that brings what is found to what is wanted.

    :param found: every subscription of the workspace that the token can see.
    :param rotate_secret: send the secret also where Toggl does not show which one it has.
    """
    target = _find_target(wanted, found)
    beside = tuple(one for one in found if one is not target and is_same_address(one.callback_url, wanted.callback_url))
    if target is None:
        return SubscriptionChanges("create", enables=wanted.enabled, beside=beside)
    differences = tuple(_differences(wanted, target, rotate_secret))
    action: SubscriptionAction = "replace"
    if not differences:
        action = "nothing"
    elif differences == ("enabled",):
        action = "enable" if wanted.enabled else "disable"
    return SubscriptionChanges(
        action, target, differences, enables=wanted.enabled and not target.enabled, beside=beside
    )


def describe_too_many_filters(wanted: SubscriptionSpec, limits: SubscriptionLimits) -> str | None:
    """Return what to say of more filters than the plan allows, None where it allows them."""
    most = limits.max_events_per_webhook
    if most is None or len(wanted.filters) <= most:
        return None
    listed = ", ".join(map(str, wanted.filters))
    return (
        f"The workspace's plan allows {plural(most, 'event filter')} for a webhook, and {wanted.description!r} wants "
        f"{len(wanted.filters)}: {listed}. Drop {len(wanted.filters) - most} of them, or let one with * stand for "
        "several."
    )


def describe_too_many_enabled(
    plan: SubscriptionChanges, found: Sequence[Subscription], limits: SubscriptionLimits, *, user_id: int | None = None
) -> str | None:
    """Return what to say of more enabled subscriptions than the plan allows, None where it allows one more.

    Toggl's page says that the limit is of the workspace, its error says that it is of the user in the workspace.

    :param user_id: count only this user's; None: everybody's.
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
        f"The workspace's plan allows {limits.max_webhooks} enabled webhook subscriptions, and so many are enabled "
        f"already: {listed}. Disable or delete one, or put the filters of several into one subscription."
    )


def is_same_address(one: str, other: str) -> bool:
    """Whether two web addresses are the same but for how they are written."""
    return one == other or _address(one) == _address(other)


def is_match(wanted: SubscriptionSpec, found: Subscription) -> bool:
    """Whether one found is the one wanted, apart from its state and its secret."""
    return (
        found.description == wanted.description
        and found.filters == normalize_filters(wanted.filters)
        and is_same_address(found.callback_url, wanted.callback_url)
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
            f"filters has {show_value(one)}, which is neither text such as time_entry:updated nor an object with entity "
            "and action."
        )
    for kind, word, known in (("entity", words.entity, entities), ("action", words.action, actions)):
        if word not in (ANY, *known):
            raise ConfigurationError(
                f"filters has {show_value(str(words))}: there is no {kind} {show_value(word)}. "
                f"Known are {', '.join(known)} and *."
            )
    return words


def _find_target(wanted: SubscriptionSpec, found: Sequence[Subscription]) -> Subscription | None:
    """Return the one of that description; else one that the wanted one makes needless, or the other way round.

    The same callback alone does not say so: a plan may give two subscriptions with their filters shared out, and two
    tasks that took over each other's would never rest.
    """
    named = [one for one in found if one.description == wanted.description]
    alike = [one for one in found if is_same_address(one.callback_url, wanted.callback_url) and _is_alike(wanted, one)]
    equal = [one for one in alike if one.filters == normalize_filters(wanted.filters)]
    return next((min(some, key=_age) for some in (named, equal, alike) if some), None)


def _age(one: Subscription) -> int:
    return one.subscription_id


def _is_alike(wanted: SubscriptionSpec, found: Subscription) -> bool:
    return _covers(wanted.filters, found.filters) or _covers(found.filters, wanted.filters)


def _covers(some: Iterable[SubscriptionFilter], others: Iterable[SubscriptionFilter]) -> bool:
    kept = tuple(some)
    return all(any(one.covers(other) for one in kept) for other in others)


def _differences(wanted: SubscriptionSpec, target: Subscription, rotate_secret: bool) -> Iterable[str]:
    if target.description != wanted.description:
        yield "description"
    if target.filters != normalize_filters(wanted.filters):
        yield "filters"
    if not is_same_address(target.callback_url, wanted.callback_url):
        yield "callback_url"
    if target.secret != wanted.secret if target.secret is not None else rotate_secret:
        yield "secret"
    if target.enabled != wanted.enabled:
        yield "enabled"


def _address(url: str) -> tuple[str, ...]:
    try:
        parts = urlsplit(url.strip())
        port = parts.port or {"https": 443, "http": 80}.get(parts.scheme)
    except ValueError:
        return (url,)
    return (parts.scheme, parts.hostname or "", str(port), parts.path or "/", parts.query)
