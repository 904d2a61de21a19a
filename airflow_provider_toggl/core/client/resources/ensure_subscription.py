"""Creates or changes a webhook subscription so that it matches its declaration. One request if it matches already."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from airflow_provider_toggl.core.client.resources.subscriptions import (
    Subscription,
    SubscriptionChanges,
    SubscriptionLimits,
    SubscriptionSpec,
    describe_too_many_enabled,
    describe_too_many_filters,
    plan_changes,
)
from airflow_provider_toggl.core.client.resources.webhooks import WebhooksClient
from airflow_provider_toggl.core.clock import Clock, SystemClock
from airflow_provider_toggl.core.errors import ApiError, ConfigurationError, NotFound

log = logging.getLogger(__name__)

#: Returns the code of the last validation PING that the receiver got for a subscription ID.
FindCode = Callable[[int], "str | None"]

#: Seconds to wait for the receiver after a PING, before each request that checks whether it is validated.
VALIDATION_WAITS = (1.0, 3.0, 6.0)
#: Seconds between two checks for a code that the receiver has stored. These cost no request.
POLL_SECONDS = 0.25


@dataclass(frozen=True)
class EnsureResult:
    """The changes that were made, and the subscription as it is now."""

    subscription: Subscription
    changes: SubscriptionChanges


def ensure_subscription(
    webhooks: WebhooksClient,
    spec: SubscriptionSpec,
    *,
    rotate_secret: bool = False,
    validate: bool = True,
    find_code: FindCode,
    clock: Clock | None = None,
) -> EnsureResult:
    """Create or change a subscription so that it matches its declaration, and validate it.

    :param rotate_secret: send the secret even if Toggl does not show which one it has.
    :param validate: validate the subscription if it is enabled; Toggl delivers nothing before that.
    :param find_code: finds the validation code that the receiver has stored.
    :raises ConfigurationError: the workspace's plan does not allow it. Nothing was changed.
    :raises PayloadRefused: Toggl refuses it, for example because the callback did not answer.
    :raises ApiError: it exists but could not be validated.
    """
    found = webhooks.subscriptions()
    changes = plan_changes(spec, found, rotate_secret=rotate_secret)
    _check_limits(webhooks, spec, found, changes)
    for other in changes.beside:
        log.warning(
            "Subscription %d (%r) has the same callback; events that match both are delivered twice.",
            other.subscription_id,
            other.description,
        )
    subscription = _apply(webhooks, spec, changes)
    fresh = changes.action != "nothing"
    if validate and spec.enabled and not subscription.validated:
        subscription = ensure_validated(webhooks, subscription, fresh=fresh, find_code=find_code, clock=clock)
    elif fresh:
        subscription = _reload_unvalidated(webhooks, subscription)
    return EnsureResult(subscription, changes)


def set_enabled(webhooks: WebhooksClient, subscription_id: int, enabled: bool) -> Subscription:
    """Enable or disable a subscription, and return it as it is after that.

    :raises PayloadRefused: with what to do about it.
    """
    return _reload_unvalidated(webhooks, webhooks.set_enabled(subscription_id, enabled))


def ensure_validated(
    webhooks: WebhooksClient,
    subscription: Subscription,
    *,
    fresh: bool,
    find_code: FindCode,
    clock: Clock | None = None,
) -> Subscription:
    """Validate a subscription and return it.

    A receiver that echoes the code has validated it already. If the receiver stores the code instead, it is sent to
    Toggl here.

    :param fresh: whether it was just changed. Then Toggl has just sent a PING, and its response may be outdated.
    :param find_code: finds the validation code that the receiver has stored.
    :raises ApiError: the receiver neither echoed a code nor stored one.
    """
    clock = clock or SystemClock()
    tried = find_code(subscription.subscription_id)
    is_done = tried is not None and webhooks.validate(subscription.subscription_id, tried)
    if fresh or is_done:
        # Toggl's response to a code does not contain the subscription.
        subscription = _reload(webhooks, subscription)
        if subscription.validated:
            return subscription
        # A code that Toggl accepted without effect may have an effect the next time.
        tried = None if is_done else tried
    log.info("Subscription %d is not validated; requesting a PING from Toggl.", subscription.subscription_id)
    webhooks.ping(subscription.subscription_id)
    for seconds in VALIDATION_WAITS:
        code = _await_code(find_code, subscription.subscription_id, tried, seconds, clock)
        if code is not None:
            tried = None if webhooks.validate(subscription.subscription_id, code) else code
        subscription = _reload(webhooks, subscription)
        if subscription.validated:
            return subscription
    raise ApiError(
        f"Subscription {subscription.subscription_id} exists, but its receiver did not confirm the validation code, so "
        "Toggl delivers nothing. Check that the callback leads to this package's receiver, that the connection is in "
        "[toggl] receiver_connections, and that the receiver reads the same webhook_secret. Then run this again."
    )


def _check_limits(
    webhooks: WebhooksClient, spec: SubscriptionSpec, found: Sequence[Subscription], changes: SubscriptionChanges
) -> None:
    """Check the limits of the workspace's plan before anything is changed.

    :raises ConfigurationError: with what to remove.
    """
    if not changes.enables and changes.action != "create" and "filters" not in changes.differences:
        return
    limits = _limits(webhooks)
    problem = describe_too_many_filters(spec, limits)
    if problem is None and describe_too_many_enabled(changes, found, limits):
        # Toggl's documentation and its error disagree on whether other users' subscriptions count. So it is certain
        # only if this user alone exceeds the limit.
        problem = describe_too_many_enabled(changes, found, limits, user_id=webhooks.own_user_id())
    if problem is not None:
        raise ConfigurationError(problem)


def _limits(webhooks: WebhooksClient) -> SubscriptionLimits:
    try:
        return webhooks.limits()
    except NotFound as error:
        log.info("The plan's limits are unknown (%s); Toggl refuses what exceeds them.", error)
        return SubscriptionLimits()


def _apply(webhooks: WebhooksClient, spec: SubscriptionSpec, changes: SubscriptionChanges) -> Subscription:
    target = changes.target
    if target is None:
        log.info("Creating subscription %r.", spec.description)
        return webhooks.create(spec)
    if changes.action == "nothing":
        return target
    number = target.subscription_id
    log.info("Subscription %d: %s, because of %s.", number, changes.action, ", ".join(changes.differences))
    if changes.action == "replace":
        return webhooks.replace(number, spec)
    return webhooks.set_enabled(number, spec.enabled)


def _await_code(
    find_code: FindCode, subscription_id: int, tried: str | None, seconds: float, clock: Clock
) -> str | None:
    """Wait for a code that was not tried yet; return None if none came in time."""
    until = clock.now() + seconds
    while True:
        code = find_code(subscription_id)
        if code is not None and code != tried:
            return code
        if clock.now() >= until:
            return None
        clock.sleep(POLL_SECONDS)


def _reload_unvalidated(webhooks: WebhooksClient, subscription: Subscription) -> Subscription:
    """Return a subscription after its change: the response may be from before its PING was answered."""
    return _reload(webhooks, subscription) if subscription.enabled and not subscription.validated else subscription


def _reload(webhooks: WebhooksClient, subscription: Subscription) -> Subscription:
    """Return the subscription as the list shows it now.

    :raises NotFound: somebody has deleted it.
    """
    number = subscription.subscription_id
    now = next((one for one in webhooks.subscriptions() if one.subscription_id == number), None)
    if now is None:
        raise NotFound(
            f"Subscription {number} was deleted while it was being validated. Run the task again: it creates a new one."
        )
    return now
