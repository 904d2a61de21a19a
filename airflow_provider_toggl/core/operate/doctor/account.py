"""Checks of the account: whose token it is, in which workspace, on which plan, with which quota and rights."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from airflow_provider_toggl.core.client.limits.quota import Lane, find_plan, organization_lane
from airflow_provider_toggl.core.client.responses import TogglResponse
from airflow_provider_toggl.core.client.session import TogglSession
from airflow_provider_toggl.core.clock import SystemClock, utc
from airflow_provider_toggl.core.errors import (
    AccessDenied,
    ConnectionTrouble,
    MalformedAnswer,
    NotFound,
    QuotaExhausted,
    RateLimited,
    RateLimitStateError,
    RateLimitStateUnavailable,
    ServerTrouble,
    TogglError,
    WrongCredentials,
)
from airflow_provider_toggl.core.operate.doctor.context import (
    NEEDS_ANSWER,
    NEEDS_QUOTA,
    NEEDS_TOKEN,
    NEEDS_WORKSPACE,
    CheckContext,
    CheckTimeout,
)
from airflow_provider_toggl.core.operate.findings import Finding, ok, unknown
from airflow_provider_toggl.core.operate.health.collect import lanes_from
from airflow_provider_toggl.core.operate.health.diagnosis import quota_text
from airflow_provider_toggl.core.operate.problems import problem
from airflow_provider_toggl.core.wording import plural

CLOCK_DRIFTS, CLOCK_OFF = 5.0, 30.0
"""Seconds between two clocks from which on it is a warning, and a fault."""
LOW_QUOTA = 0.1
"""The share of a lane below which it is a warning."""
_WEBHOOK_LIMITS = {"Free": "1 webhook with 3 filters", "Starter": "2 webhooks with 6 filters each"}
_PROBLEM_OF_ERROR: tuple[tuple[type[TogglError], str], ...] = (
    (RateLimitStateUnavailable, "limits_unavailable"),
    (RateLimitStateError, "limits_unavailable"),
    (WrongCredentials, "wrong_token"),
    (QuotaExhausted, "quota_gone"),
    (RateLimited, "rate_limited"),
    (ServerTrouble, "toggl_down"),
    (ConnectionTrouble, "toggl_unreachable"),
    (MalformedAnswer, "not_toggl"),
)


def check_account(context: CheckContext) -> None:
    """Check the token, the quota, the workspace with its plan, the rights, and the clock."""
    session = context.session
    assert session is not None  # noqa: S101 - there is a connection
    me = _read_user(context, session)
    if me is None:
        return
    try:
        lanes = context.within(session.read_quota)
    except (TogglError, CheckTimeout) as error:
        lanes = {}
        add_failure(context, "quota", error)
    else:
        context.add(*judge_quota(lanes, SystemClock().now()))
    _check_workspace(context, session, me, lanes)


def _read_user(context: CheckContext, session: TogglSession) -> Mapping[str, Any] | None:
    """Return the token's owner, None if Toggl does not return one. Sends a request of the user's lane."""
    rest = ("plan", "quota", "rights", "clock")
    try:
        answer = context.within(lambda: session.request("GET", "/api/v9/me"))
        me = answer.json()
    except QuotaExhausted as error:
        context.add(judge_error("quota", error))
        context.skip(NEEDS_QUOTA, "token", "plan", "rights", "clock")
    except (TogglError, CheckTimeout) as error:
        add_failure(context, "token", error)
        context.skip(NEEDS_TOKEN, *rest)
    else:
        if isinstance(me, dict) and "id" in me:
            zone = me.get("timezone")
            context.add(ok("token", f"Token accepted: user {me['id']}, time zone {zone}."), judge_answer_clock(answer))
            return me
        context.add(problem("not_toggl", "The answer to GET /api/v9/me has no user."))
        context.skip(NEEDS_TOKEN, *rest)
    return None


def _check_workspace(
    context: CheckContext, session: TogglSession, me: Mapping[str, Any], lanes: Mapping[str, Lane]
) -> None:
    number = context.extra.get("workspace_id") or me.get("default_workspace_id")
    try:
        found = context.within(lambda: session.request("GET", f"/api/v9/workspaces/{int(str(number))}")).json()
    except ValueError:
        context.add(problem("connection_wrong", f"workspace_id is {number!r}; it must be a whole number."))
        context.skip(NEEDS_WORKSPACE, "plan", "rights")
    except (TogglError, CheckTimeout) as error:
        if isinstance(error, AccessDenied | NotFound):
            context.add(problem("no_workspace_access", str(error)))
        else:
            add_failure(context, "rights", error)
        context.skip(NEEDS_QUOTA if isinstance(error, QuotaExhausted) else NEEDS_WORKSPACE, "plan")
    else:
        if not isinstance(found, dict) or not isinstance(found.get("id"), int):
            context.add(problem("not_toggl", "The answer to the request for the workspace has none."))
            context.skip(NEEDS_WORKSPACE, "plan", "rights")
            return
        context.workspace = found
        context.add(judge_plan(found, lanes), judge_rights(found, member=context.options.member))


def add_failure(context: CheckContext, check: str, error: TogglError | CheckTimeout) -> None:
    """Add the finding of a request that failed or timed out; a problem that several checks meet is added once."""
    still = context.waits_until - time.monotonic()
    if isinstance(error, CheckTimeout) and still > 0:
        text = f"No request was sent: this host waits for {still:.0f} s more, after a 429 or for a permit."
        finding = problem("rate_limited", text)
    elif isinstance(error, CheckTimeout):
        finding = problem("toggl_unreachable", f"Toggl did not answer: {error}")
    else:
        finding = judge_error(check, error)
    if finding.problem is None or not context.has(finding.problem.name):
        context.add(finding)
    if finding.check != check:
        context.skip(NEEDS_QUOTA if isinstance(error, QuotaExhausted) else NEEDS_ANSWER, check)


def judge_error(check: str, error: TogglError) -> Finding:
    """Return the finding of an error of a request to Toggl."""
    for error_type, name in _PROBLEM_OF_ERROR:
        if isinstance(error, error_type):
            return problem(name, str(error))
    return unknown(check, str(error))


def judge_answer_clock(answer: TogglResponse) -> Finding:
    """Compare this machine's clock with Toggl's, by the ``Date`` of an answer."""
    if "date" not in answer.headers:
        return unknown("clock", "Toggl's answer has no date.")
    # Date is cut to whole seconds, so Toggl's time is half a second later on average.
    return judge_clock("Toggl's clock", answer.received_at - answer.date.timestamp() - 0.5)


def judge_clock(whose: str, ahead: float) -> Finding:
    """Return the finding of a clock that this machine's clock is ahead of by so many seconds."""
    text = f"This machine's clock is {abs(ahead):.1f} s {'ahead of' if ahead > 0 else 'behind'} {whose}."
    if abs(ahead) > CLOCK_OFF:
        return problem("clock_off", text)
    if abs(ahead) > CLOCK_DRIFTS:
        return problem("clock_drifts", text)
    return ok("clock", text)


def judge_quota(lanes: Mapping[str, Lane], now: float) -> list[Finding]:
    """Return a finding for each lane.

    :param now: seconds since the epoch.
    """
    findings = []
    for lane in lanes_from(lanes):
        text = f"{quota_text(lane, utc(now))}."
        if lane.remaining is None or lane.total is None:
            findings.append(unknown("quota", text))
        elif lane.remaining <= 0:
            findings.append(problem("quota_gone", text))
        elif lane.remaining < lane.total * LOW_QUOTA:
            findings.append(problem("quota_low", text))
        else:
            findings.append(ok("quota", text))
    return findings or [unknown("quota", "Toggl reports no quota.")]


def judge_plan(workspace: Mapping[str, Any], lanes: Mapping[str, Lane]) -> Finding:
    """Return the plan of the workspace, with its limits."""
    total = lanes.get(organization_lane(workspace.get("organization_id")), Lane()).total
    plan = find_plan(workspace, lanes)
    quota = "" if total is None else f"{plural(total, 'request')} per hour; "
    return ok("plan", f"{plan}: {quota}{_WEBHOOK_LIMITS.get(plan, 'for webhooks see subscription')}.")


def judge_rights(workspace: Mapping[str, Any], *, member: bool) -> Finding:
    """Return whether the token's owner is an administrator.

    :param member: they are not meant to be one.
    """
    name = f"workspace {workspace.get('id')} ({workspace.get('name')})"
    if workspace.get("admin") or workspace.get("role") in ("admin", "owner"):
        return ok("rights", f"The token's owner is an administrator of {name}.")
    return problem("member_only" if member else "not_admin", f"The token's owner is no administrator of {name}.")
