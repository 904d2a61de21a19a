"""What Toggl says of the token: whose it is, in which workspace, on which plan, and how much it may still ask."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_toggl.core.client.limits.quota import Lane
from airflow_provider_toggl.core.client.responses import Answer
from airflow_provider_toggl.core.clock import utc
from airflow_provider_toggl.core.errors import (
    ApiError,
    ConnectionTrouble,
    MalformedAnswer,
    QuotaExhausted,
    RateLimited,
    ServerTrouble,
    TogglError,
    WrongCredentials,
)
from airflow_provider_toggl.core.operate.findings import Finding, fine, trouble, unknown
from airflow_provider_toggl.core.wording import plural

CLOCK_DRIFTS, CLOCK_OFF = 5.0, 30.0
"""Seconds between two clocks from which on it is worth a warning, and a fault."""
LOW = 0.1
"""The part of a lane under which it is worth a warning."""
_LIMITED = {"free": "1 webhook with 3 filters", "starter": "2 webhooks with 6 filters each"}
_OF_ERRORS: tuple[tuple[type[ApiError], str], ...] = (
    (WrongCredentials, "wrong_token"),
    (QuotaExhausted, "quota_gone"),
    (RateLimited, "rate_limited"),
    (ServerTrouble, "toggl_down"),
    (ConnectionTrouble, "toggl_unreachable"),
    (MalformedAnswer, "not_toggl"),
)


def judge_error(step: str, error: TogglError) -> Finding:
    """Return what an error of a request to Toggl says, whichever step asked."""
    for kind, name in _OF_ERRORS:
        if isinstance(error, kind):
            return trouble(name, str(error))
    return unknown(step, str(error))


def check_token(me: Mapping[str, Any]) -> Finding:
    """Return whose token it is; no e-mail address is told."""
    return fine("token", f"Toggl takes the token; it is of user {me.get('id')}, in zone {me.get('timezone')}.")


def check_clock(answer: Answer) -> Finding:
    """Return how far this machine's clock is from Toggl's, by the ``Date`` of an answer, which has whole seconds."""
    if "date" not in answer.headers:
        return unknown("clock", "Toggl's answer has no date.")
    # Cut to a whole second, so half a second later on average.
    return judge_offset("Toggl's clock", answer.received_at - answer.date.timestamp() - 0.5)


def judge_offset(whose: str, off: float) -> Finding:
    """Return what it means that this machine's clock is so many seconds ahead of another."""
    words = f"This machine's clock is {abs(off):.1f} s {'ahead of' if off > 0 else 'behind'} {whose}."
    if abs(off) > CLOCK_OFF:
        return trouble("clock_off", words)
    if abs(off) > CLOCK_DRIFTS:
        return trouble("clock_drifts", words)
    return fine("clock", words)


def check_quota(lanes: Mapping[str, Lane], now: float) -> list[Finding]:
    """Return how each lane stands.

    :param now: seconds since the epoch.
    """
    findings = []
    for name, lane in sorted(lanes.items()):
        resets = "" if lane.resets_at is None else f", reset at {utc(lane.resets_at):%H:%M:%S} UTC"
        if lane.resets_at is not None and lane.resets_at > now:
            resets += f" (in {(lane.resets_at - now) / 60:.0f} min)"
        words = f"{name}: {lane.remaining} of {lane.total} requests left{resets}."
        if lane.remaining is None or lane.total is None:
            findings.append(unknown("quota", f"{name}: what is left is not told."))
        elif lane.remaining <= 0:
            findings.append(trouble("quota_gone", words))
        elif lane.remaining < lane.total * LOW:
            findings.append(trouble("quota_low", words))
        else:
            findings.append(fine("quota", words))
    return findings or [unknown("quota", "Toggl tells of no quota.")]


def check_plan(workspace: Mapping[str, Any], lanes: Mapping[str, Lane]) -> Finding:
    """Return which plan the workspace is on, and what that limits."""
    plan = name_plan(workspace, lanes)
    lane = lanes.get(f"organization:{workspace.get('organization_id')}")
    an_hour = "" if lane is None or lane.total is None else f"{plural(lane.total, 'request')} an hour; "
    return fine("plan", f"{plan}: {an_hour}{_LIMITED.get(plan.lower(), 'webhooks by the plan, see subscription')}.")


def name_plan(workspace: Mapping[str, Any], lanes: Mapping[str, Lane]) -> str:
    """Return a workspace's plan; its flags leave two larger ones, which their quota tells apart."""
    if not workspace.get("premium"):
        return "Free"
    if not workspace.get("business_ws"):
        return "Starter"
    lane = lanes.get(f"organization:{workspace.get('organization_id')}")
    return "Enterprise" if lane is not None and (lane.total or 0) > 600 else "Premium"


def check_rights(workspace: Mapping[str, Any], *, member: bool) -> Finding:
    """Return whether the token's owner is an administrator.

    :param member: whether it is meant that they are not.
    """
    name = f"workspace {workspace.get('id')} ({workspace.get('name')})"
    if workspace.get("admin") or workspace.get("role") in ("admin", "owner"):
        return fine("rights", f"The token's owner is an administrator of {name}: nothing is hidden.")
    return trouble("member_only" if member else "not_admin", f"The token's owner is no administrator of {name}.")
