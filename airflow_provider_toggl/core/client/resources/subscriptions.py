"""Webhook subscriptions as desired state: what is wanted, what Toggl has, and the least that makes the one the other.

Pure decisions; :mod:`airflow_provider_toggl.core.client.resources.ensure_subscription` carries them out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

from airflow_provider_toggl.core.arguments import parse_list, shown
from airflow_provider_toggl.core.errors import ConfigurationError, MalformedAnswer
from airflow_provider_toggl.core.wording import plural

Action = Literal["nothing", "create", "replace", "enable", "disable"]

ANY = "*"
ODD_ANSWER = "Try again; if it stays, a proxy answers in Toggl's place, or Toggl has changed its format."


@dataclass(frozen=True, order=True)
class Filter:
    """Which events are delivered: of an entity and an action, either of which may be ``*``."""

    entity: str
    action: str

    def covers(self, other: Filter) -> bool:
        """Whether every event that the other one lets through comes through this one too."""
        return self.entity in (ANY, other.entity) and self.action in (ANY, other.action)

    def __str__(self) -> str:
        return f"{self.entity}:{self.action}"


@dataclass(frozen=True)
class Wanted:
    """A subscription as it is declared.

    :param description: its name, unique in the workspace.
    :param callback_url: where Toggl delivers to.
    :param secret: what Toggl signs deliveries with.
    """

    description: str
    filters: tuple[Filter, ...]
    callback_url: str
    secret: str = field(repr=False)
    enabled: bool = True


@dataclass(frozen=True)
class Found:
    """A subscription as Toggl tells of it.

    :param secret: None where Toggl does not show it: it shows it to the creator, and not always to them.
    :param user_id: who made it.
    """

    subscription_id: int
    description: str
    filters: tuple[Filter, ...]
    callback_url: str
    enabled: bool
    validated: bool
    secret: str | None = field(default=None, repr=False)
    user_id: int | None = None
    has_pending_events: bool = False

    @classmethod
    def from_http(cls, row: Any) -> Found:
        """Read a subscription of an answer; whatever it lacks besides its id is taken for not set.

        :raises MalformedAnswer: it is no object with an integer ``subscription_id``.
        """
        number = row.get("subscription_id") if isinstance(row, dict) else None
        if not isinstance(number, int) or isinstance(number, bool):
            raise MalformedAnswer("Toggl's answer has a webhook subscription without a subscription_id. " + ODD_ANSWER)
        rows = row.get("event_filters")
        pairs = [each for each in rows if isinstance(each, dict)] if isinstance(rows, list) else []
        user_id, secret = row.get("user_id"), row.get("secret")
        return cls(
            subscription_id=number,
            description=str(row.get("description") or ""),
            filters=normalised(Filter(str(each.get("entity")), str(each.get("action"))) for each in pairs),
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
class Limits:
    """What a plan allows: enabled webhooks, and filters of each; None where Toggl does not say."""

    max_webhooks: int | None = None
    max_events_per_webhook: int | None = None


@dataclass(frozen=True)
class Plan:
    """What is to be done.

    :param action: the one request that changes something.
    :param target: the subscription that it is about; None for one that is yet to be made.
    :param differences: in what the target differs, in words.
    :param enables: whether one more will be enabled, which is what the workspace's plan limits.
    :param beside: other subscriptions that deliver to the same callback.
    """

    action: Action
    target: Found | None = None
    differences: tuple[str, ...] = ()
    enables: bool = False
    beside: tuple[Found, ...] = ()

    @property
    def adopts(self) -> bool:
        """Whether the target is taken over from another description."""
        return "description" in self.differences


def parse_filters(
    given: str | Filter | Iterable[str | Filter | Mapping[str, str]], *, entities: Sequence[str], actions: Sequence[str]
) -> tuple[Filter, ...]:
    """Return declared filters: ``time_entry``, ``time_entry:updated``, ``*:*`` or ``{"entity": …, "action": …}``.

    :param given: several; or one text with commas between them, as a template renders.
    :param entities: the words that Toggl knows; likewise ``actions``.
    :raises ConfigurationError: there is none, or a word is unknown.
    """
    filters = normalised(_parse_filter(one, entities, actions) for one in parse_list("filters", given))
    if not filters:
        raise ConfigurationError(
            "filters is empty: a subscription needs at least one event filter, such as time_entry or *:*."
        )
    return filters


def normalised(filters: Iterable[Filter]) -> tuple[Filter, ...]:
    """Return filters in order, without those that others make needless; Toggl refuses one that is there twice."""
    unique = set(filters)
    return tuple(sorted(one for one in unique if not any(other != one and other.covers(one) for other in unique)))


def plan_changes(wanted: Wanted, found: Sequence[Found], *, rotate_secret: bool = False) -> Plan:
    """Return the least that brings what is found to what is wanted.

    :param found: every subscription of the workspace that the token can see.
    :param rotate_secret: send the secret also where Toggl does not show which one it has.
    """
    target = _find_target(wanted, found)
    beside = tuple(one for one in found if one is not target and is_same_address(one.callback_url, wanted.callback_url))
    if target is None:
        return Plan("create", enables=wanted.enabled, beside=beside)
    differences = tuple(_differences(wanted, target, rotate_secret))
    action: Action = "replace"
    if not differences:
        action = "nothing"
    elif differences == ("enabled",):
        action = "enable" if wanted.enabled else "disable"
    return Plan(action, target, differences, enables=wanted.enabled and not target.enabled, beside=beside)


def too_many_filters(wanted: Wanted, limits: Limits) -> str | None:
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


def too_many_enabled(plan: Plan, found: Sequence[Found], limits: Limits, *, user_id: int | None = None) -> str | None:
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


def is_as_wanted(wanted: Wanted, found: Found) -> bool:
    """Whether one found is the one wanted, apart from its state and its secret."""
    return (
        found.description == wanted.description
        and found.filters == normalised(wanted.filters)
        and is_same_address(found.callback_url, wanted.callback_url)
    )


def _parse_filter(one: Any, entities: Sequence[str], actions: Sequence[str]) -> Filter:
    if isinstance(one, Filter):
        words = one
    elif isinstance(one, str):
        entity, colon, action = (part.strip() for part in one.partition(":"))
        words = Filter(entity, action if colon else ANY)
    elif isinstance(one, Mapping) and set(one) <= {"entity", "action"} and "entity" in one:
        words = Filter(str(one["entity"]), str(one.get("action", ANY)))
    else:
        raise ConfigurationError(
            f"filters has {shown(one)}, which is neither a text such as time_entry:updated nor an object of entity and "
            "action."
        )
    for kind, word, known in (("entity", words.entity, entities), ("action", words.action, actions)):
        if word not in (ANY, *known):
            raise ConfigurationError(
                f"filters has {shown(str(words))}: there is no {kind} {shown(word)}. "
                f"Known are {', '.join(known)} and *."
            )
    return words


def _find_target(wanted: Wanted, found: Sequence[Found]) -> Found | None:
    """Return the one of that description; else one that the wanted one makes needless, or the other way round.

    The same callback alone does not say so: a plan may give two subscriptions with their filters shared out, and two
    tasks that took over each other's would never rest.
    """
    named = [one for one in found if one.description == wanted.description]
    alike = [one for one in found if is_same_address(one.callback_url, wanted.callback_url) and _is_alike(wanted, one)]
    equal = [one for one in alike if one.filters == normalised(wanted.filters)]
    return next((min(some, key=_age) for some in (named, equal, alike) if some), None)


def _age(one: Found) -> int:
    return one.subscription_id


def _is_alike(wanted: Wanted, found: Found) -> bool:
    return _covers(wanted.filters, found.filters) or _covers(found.filters, wanted.filters)


def _covers(some: Iterable[Filter], others: Iterable[Filter]) -> bool:
    kept = tuple(some)
    return all(any(one.covers(other) for one in kept) for other in others)


def _differences(wanted: Wanted, target: Found, rotate_secret: bool) -> Iterable[str]:
    if target.description != wanted.description:
        yield "description"
    if target.filters != normalised(wanted.filters):
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
