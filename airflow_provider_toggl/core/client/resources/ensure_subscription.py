"""Make a webhook subscription what is wanted, with as few requests as that takes: one where nothing is to do."""

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

#: Given a subscription's id, the code that its last validation PING brought to the receiver.
FindCode = Callable[[int], "str | None"]

#: Seconds to wait after a PING before Toggl is asked whether it has been answered; each asking is a request.
VALIDATION_WAITS = (1.0, 3.0, 6.0)
#: Seconds between two looks for a code that the receiver has kept; these cost no request.
POLL_SECONDS = 0.25


@dataclass(frozen=True)
class EnsureResult:
    """What was done, and what the subscription is now."""

    subscription: Subscription
    plan: SubscriptionChanges


def ensure_subscription(
    webhooks: WebhooksClient,
    wanted: SubscriptionSpec,
    *,
    rotate_secret: bool = False,
    validate: bool = True,
    find_code: FindCode,
    clock: Clock | None = None,
) -> EnsureResult:
    """Bring the subscription to what is wanted; what is already so is left alone.

    :param rotate_secret: send the secret also where Toggl does not show which one it has.
    :param validate: see to it that an enabled one is validated too; without that Toggl delivers nothing.
    :raises ConfigurationError: the workspace's plan does not allow it; nothing was changed.
    :raises PayloadRefused: Toggl refuses it, for example because the callback did not answer.
    :raises ApiError: it is there but could not be validated.
    """
    found = webhooks.subscriptions()
    plan = plan_changes(wanted, found, rotate_secret=rotate_secret)
    _check_limits(webhooks, wanted, found, plan)
    for other in plan.beside:
        log.warning(
            "Subscription %d (%r) delivers to the same callback; events that both let through come twice.",
            other.subscription_id,
            other.description,
        )
    subscription = _apply(webhooks, wanted, plan)
    fresh = plan.action != "nothing"
    if validate and wanted.enabled and not subscription.validated:
        subscription = ensure_validated(webhooks, subscription, fresh=fresh, find_code=find_code, clock=clock)
    elif fresh:
        subscription = _settled(webhooks, subscription)
    return EnsureResult(subscription, plan)


def set_enabled(webhooks: WebhooksClient, subscription_id: int, enabled: bool) -> Subscription:
    """Enable or disable a subscription; return what it is now.

    :raises PayloadRefused: with what to do about it.
    """
    return _settled(webhooks, webhooks.set_enabled(subscription_id, enabled))


def ensure_validated(
    webhooks: WebhooksClient,
    subscription: Subscription,
    *,
    fresh: bool,
    find_code: FindCode,
    clock: Clock | None = None,
) -> Subscription:
    """Return the subscription once it is validated.

    A receiver that echoes the code has validated it by that; of one that keeps it, the code is used here.

    :param fresh: it has just been changed, so Toggl has just sent a PING, and its answer may tell of before.
    :raises ApiError: the receiver neither echoed a code nor kept one.
    """
    clock = clock or SystemClock()
    tried = find_code(subscription.subscription_id)
    is_done = tried is not None and webhooks.validate(subscription.subscription_id, tried)
    if fresh or is_done:
        # Toggl's answer to a code is a word and not the subscription.
        subscription = _again(webhooks, subscription)
        if subscription.validated:
            return subscription
        # A code that was taken, and did not count, may count the next time.
        tried = None if is_done else tried
    log.info("Subscription %d is not validated: asking Toggl for a PING.", subscription.subscription_id)
    webhooks.ping(subscription.subscription_id)
    for patience in VALIDATION_WAITS:
        code = _await_code(find_code, subscription.subscription_id, tried, patience, clock)
        if code is not None:
            tried = None if webhooks.validate(subscription.subscription_id, code) else code
        subscription = _again(webhooks, subscription)
        if subscription.validated:
            return subscription
    raise ApiError(
        f"Subscription {subscription.subscription_id} is there, but the receiver did not prove that it is ours, so "
        "Toggl delivers nothing to it. Is the receiver at the callback this package's, is the connection in [toggl] "
        "receiver_connections, and does it read the same webhook_secret? Run this again when that is so."
    )


def _check_limits(
    webhooks: WebhooksClient, wanted: SubscriptionSpec, found: Sequence[Subscription], plan: SubscriptionChanges
) -> None:
    """Refuse beforehand what the workspace's plan surely does not allow.

    :raises ConfigurationError: with what to drop.
    """
    if not plan.enables and plan.action != "create" and "filters" not in plan.differences:
        return
    limits = _limits(webhooks)
    problem = describe_too_many_filters(wanted, limits)
    if problem is None and describe_too_many_enabled(plan, found, limits):
        # Whether others' count too is told in two ways: only who is over the limit alone is so for sure.
        problem = describe_too_many_enabled(plan, found, limits, user_id=webhooks.own_user_id())
    if problem is not None:
        raise ConfigurationError(problem)


def _limits(webhooks: WebhooksClient) -> SubscriptionLimits:
    try:
        return webhooks.limits()
    except NotFound as error:
        log.info("The plan's limits are not told (%s); Toggl will refuse what is too much.", error)
        return SubscriptionLimits()


def _apply(webhooks: WebhooksClient, wanted: SubscriptionSpec, plan: SubscriptionChanges) -> Subscription:
    target = plan.target
    if target is None:
        log.info("Creating subscription %r.", wanted.description)
        return webhooks.create(wanted)
    if plan.action == "nothing":
        return target
    number = target.subscription_id
    log.info("Subscription %d: %s, because of %s.", number, plan.action, ", ".join(plan.differences))
    if plan.action == "replace":
        return webhooks.replace(number, wanted)
    return webhooks.set_enabled(number, wanted.enabled)


def _await_code(
    find_code: FindCode, subscription_id: int, tried: str | None, patience: float, clock: Clock
) -> str | None:
    """Return a code that was not tried yet, None where the time is over without one."""
    until = clock.now() + patience
    while True:
        code = find_code(subscription_id)
        if code is not None and code != tried:
            return code
        if clock.now() >= until:
            return None
        clock.sleep(POLL_SECONDS)


def _settled(webhooks: WebhooksClient, subscription: Subscription) -> Subscription:
    """Return a subscription that was just changed as it is now: the answer may tell of before its PING was answered."""
    return _again(webhooks, subscription) if subscription.enabled and not subscription.validated else subscription


def _again(webhooks: WebhooksClient, subscription: Subscription) -> Subscription:
    """Return the subscription as the list has it now.

    :raises NotFound: somebody deleted it meanwhile.
    """
    number = subscription.subscription_id
    now = next((one for one in webhooks.subscriptions() if one.subscription_id == number), None)
    if now is None:
        raise NotFound(
            f"Subscription {number} is gone: somebody deleted it while it was being validated. Run the task again: it "
            "makes a new one."
        )
    return now
