"""The steps that are about the token: whose it is, what it may ask and see."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from airflow_provider_toggl.core.client.limits.quota import Lane
from airflow_provider_toggl.core.client.session import TogglSession
from airflow_provider_toggl.core.clock import SystemClock
from airflow_provider_toggl.core.errors import AccessDenied, NotFound, QuotaExhausted, TogglError
from airflow_provider_toggl.core.operate.doctor import account
from airflow_provider_toggl.core.operate.doctor.context import ANSWER_NEEDED, QUOTA_NEEDED, TOKEN_NEEDED, CheckContext
from airflow_provider_toggl.core.operate.doctor.timeout import CheckTimeout
from airflow_provider_toggl.core.operate.findings import trouble


def look_at_account(visit: CheckContext) -> None:
    """Find out whose token it is, what it may ask and see, and what time Toggl has."""
    session = visit.session
    assert session is not None  # noqa: S101 - there is a connection
    me = _ask_who(visit, session)
    if me is None:
        return
    try:
        lanes = visit.within(session.read_quota)
    except (TogglError, CheckTimeout) as error:
        lanes = {}
        note_failure(visit, "quota", error)
    else:
        visit.add(*account.check_quota(lanes, SystemClock().now()))
    _look_at_workspace(visit, session, me, lanes)


def _ask_who(visit: CheckContext, session: TogglSession) -> Mapping[str, Any] | None:
    """Return the token's owner, None where Toggl does not tell; it needs a request of the user's lane."""
    rest = ("plan", "quota", "rights", "clock")
    try:
        answer = visit.within(lambda: session.request("GET", "/api/v9/me"))
        me = answer.json()
    except QuotaExhausted as error:
        visit.add(account.judge_error("quota", error))
        visit.skip(QUOTA_NEEDED, "token", "plan", "rights", "clock")
    except (TogglError, CheckTimeout) as error:
        note_failure(visit, "token", error)
        visit.skip(TOKEN_NEEDED, *rest)
    else:
        if isinstance(me, dict) and "id" in me:
            visit.add(account.check_token(me), account.check_clock(answer))
            return me
        visit.add(trouble("not_toggl", "What answered to GET /api/v9/me told of no user."))
        visit.skip(TOKEN_NEEDED, *rest)
    return None


def _look_at_workspace(
    visit: CheckContext, session: TogglSession, me: Mapping[str, Any], lanes: Mapping[str, Lane]
) -> None:
    number = visit.extra.get("workspace_id") or me.get("default_workspace_id")
    try:
        found = visit.within(lambda: session.request("GET", f"/api/v9/workspaces/{int(str(number))}")).json()
    except ValueError:
        visit.add(trouble("connection_wrong", f"workspace_id is {number!r}; it must be a whole number."))
        visit.skip("It needs a workspace.", "plan", "rights")
    except (TogglError, CheckTimeout) as error:
        if isinstance(error, AccessDenied | NotFound):
            visit.add(trouble("no_workspace_access", str(error)))
        else:
            note_failure(visit, "rights", error)
        visit.skip(QUOTA_NEEDED if isinstance(error, QuotaExhausted) else "It needs the workspace.", "plan")
    else:
        if not isinstance(found, dict) or not isinstance(found.get("id"), int):
            visit.add(trouble("not_toggl", "What answered to the question for the workspace told of none."))
            visit.skip("It needs the workspace.", "plan", "rights")
            return
        visit.workspace = found
        visit.add(
            account.check_plan(visit.workspace, lanes),
            account.check_rights(visit.workspace, member=visit.order.member),
        )


def note_failure(visit: CheckContext, step: str, error: TogglError | CheckTimeout) -> None:
    """Note what it means that a request of a step failed, or took too long; once, whichever steps meet it."""
    still = visit.waits_until - time.monotonic()
    if isinstance(error, CheckTimeout) and still > 0:
        words = f"No request was sent: this host keeps still for {still:.0f} s more, after a 429 or for others in turn."
        judged = trouble("rate_limited", words)
    elif isinstance(error, CheckTimeout):
        judged = trouble("toggl_unreachable", f"Toggl did not answer: {error}")
    else:
        judged = account.judge_error(step, error)
    if judged.name is None or not any(one.name == judged.name for one in visit.findings):
        visit.add(judged)
    if judged.step != step:
        visit.skip(QUOTA_NEEDED if isinstance(error, QuotaExhausted) else ANSWER_NEEDED, step)
