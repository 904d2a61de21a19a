"""The hourly quota as a budget: what is left in a lane, whether a request fits, what a job will cost. No I/O.

Toggl counts requests in lanes: 30 an hour for requests about the user (``/me…``), and a number by plan for requests
about an organization (https://support.toggl.com/en-us/article/api-webhook-limits-85auc8). Its responses say how many
are left and in how many seconds they are reset. Both take precedence over our own counting.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from airflow_provider_toggl.core.client.limits.leaky_bucket import ASSUMED_RESPONSE_SECONDS
from airflow_provider_toggl.core.wording import duration, plural

USER_LANE = "user"
WINDOW_SECONDS = 3600.0
#: Toggl reports the reset in whole seconds of its own clock. A request a moment too early would be refused.
RESET_GRACE_SECONDS = 0.5
#: Used when a refusal does not say how long it lasts.
UNKNOWN_RESET_SECONDS = 600.0
#: Two reports of one reset differ by less than this: they are rounded, and responses take time.
SAME_RESET_SECONDS = 3.0
#: Requests an hour of a workspace by plan: https://support.toggl.com/en-us/article/api-webhook-limits-85auc8
PUBLISHED_QUOTAS = {"Free": 30, "Starter": 240, "Premium": 600}

_WORKSPACE = re.compile(r"^/(?:api/v9/workspaces|reports/api/v3/workspace|webhooks/api/v1/\w+)/(\d+)")
_ORGANIZATION = re.compile(r"^/api/v9/(?:organizations|audit_logs)/(\d+)")


def lane_of(path: str, organizations: dict[int, int]) -> str:
    """Return the name of the lane that a request is charged to.

    :param path: path below the base URL.
    :param organizations: the organization of each workspace, as far as known. A workspace of an unknown organization
        has its own lane until the organization is learned; the quota headers of its responses are right all the same.
    """
    if found := _ORGANIZATION.match(path):
        return organization_lane(found[1])
    found = _WORKSPACE.match(path)
    if found is None:
        return USER_LANE
    workspace = int(found[1])
    organization = organizations.get(workspace)
    return organization_lane(organization) if organization else workspace_lane(workspace)


def organization_lane(organization_id: object) -> str:
    """Return the name of the lane of an organization."""
    return f"organization:{organization_id}"


def workspace_lane(workspace_id: int) -> str:
    """Return the name of the lane of a workspace whose organization is unknown."""
    return f"workspace:{workspace_id}"


@dataclass(frozen=True)
class Lane:
    """What is known about a lane.

    :param total: requests in one window; None while unknown. Learned from response headers it is the highest number
        that was ever left, plus one, so in the first window it may be too low.
    :param remaining: requests left at the last report, minus those charged since; None while unknown.
    :param resets_at: when the window ends, in seconds since the epoch by this machine's clock; None while unknown.
    """

    total: int | None = None
    remaining: int | None = None
    resets_at: float | None = None


@dataclass(frozen=True)
class QuotaReading:
    """What a response reports about its lane.

    :param remaining: requests left.
    :param resets_in: seconds until the reset, None where the response does not say.
    """

    remaining: int
    resets_in: float | None


def find_plan(workspace: Mapping[str, Any], lanes: Mapping[str, Lane]) -> str:
    """Return a workspace's plan. Its flags are the same for the two largest plans; their quota differs.

    :param workspace: as Toggl returns it.
    """
    if not workspace.get("premium"):
        return "Free"
    if not workspace.get("business_ws"):
        return "Starter"
    total = lanes.get(organization_lane(workspace.get("organization_id")), Lane()).total
    return "Enterprise" if (total or 0) > PUBLISHED_QUOTAS["Premium"] else "Premium"


def current(lane: Lane, now: float) -> Lane:
    """Return the lane as it is now: after the end of its window it is full again."""
    if lane.resets_at is not None and now >= lane.resets_at:
        return Lane(total=lane.total, remaining=lane.total)
    return lane


def spare(lane: Lane, in_flight: int, reserve: int) -> int | None:
    """Return how many requests may still be charged, None while unknown.

    :param in_flight: requests that were sent and not answered yet.
    :param reserve: requests kept back for people. One request is always left for tasks, however large the reserve.
    """
    if lane.remaining is None:
        return None
    kept = reserve if lane.total is None else min(reserve, max(0, lane.total - 1))
    return lane.remaining - in_flight - kept


def learn(lane: Lane, reading: QuotaReading, *, overtaken: bool, now: float) -> Lane:
    """Return the lane after a response reported what is left.

    :param overtaken: whether a later request was answered first. Toggl may have counted the two in either order, so
        the lower number is used until the window ends.
    """
    lane = current(lane, now)
    resets_at = lane.resets_at if reading.resets_in is None else now + reading.resets_in + RESET_GRACE_SECONDS
    remaining = max(0, reading.remaining)
    if overtaken and lane.remaining is not None and lane.resets_at is not None:
        remaining = min(remaining, lane.remaining)
    total = max(lane.total or 0, remaining + 1)
    return Lane(total=total, remaining=remaining, resets_at=resets_at)


def charge_unreported(lane: Lane, now: float) -> Lane:
    """Return the lane after a request that has no quota headers or no response: Toggl is assumed to have counted it."""
    if lane.remaining is None:
        return lane
    lane = current(lane, now)
    return replace(lane, remaining=max(0, (lane.remaining or 0) - 1))


def merge_report(known: Lane, reported: Lane) -> Lane:
    """Return the lane after ``GET /me/quota`` reported it.

    The headers of other responses may be newer, so within one window the lower number is used.
    """
    if known.remaining is None or reported.remaining is None:
        return reported
    if abs((known.resets_at or 0.0) - (reported.resets_at or 0.0)) >= SAME_RESET_SECONDS:
        return reported
    return replace(reported, remaining=min(known.remaining, reported.remaining))


def close(lane: Lane, resets_in: float | None, now: float) -> Lane:
    """Return the lane after Toggl refused a request for quota: nothing is left until the reset."""
    if resets_in is None:
        known = lane.resets_at
        resets_at = known if known is not None and known > now else now + UNKNOWN_RESET_SECONDS
    else:
        resets_at = now + resets_in + RESET_GRACE_SECONDS
    return replace(lane, remaining=0, resets_at=resets_at)


@dataclass(frozen=True)
class Estimate:
    """What a job will cost.

    :param requests: requests that it will send, as far as that can be known.
    :param spare: requests that may be charged now; None while unknown.
    :param total: requests in one window; None while unknown.
    :param waits: how often it will wait for a reset.
    :param seconds: about how long it will take, including all waits.
    """

    requests: int
    spare: int | None
    total: int | None
    waits: int
    seconds: float

    def __str__(self) -> str:
        left = "quota not known yet" if self.spare is None else f"{max(0, self.spare)} available"
        words = f"{plural(self.requests, 'request')}; {left}"
        if self.waits:
            words += f", {plural(self.waits, 'wait')} for the quota to reset"
        return f"{words}, about {duration(self.seconds)}"


def estimate(requests: int, lane: Lane, *, reserve: int, interval: float, now: float, others: int = 0) -> Estimate:
    """Return what a job of so many requests will cost in this lane.

    :param interval: seconds between two requests with the token.
    :param others: requests of each later window that others will use.
    """
    lane, each = current(lane, now), interval + ASSUMED_RESPONSE_SECONDS
    can = spare(lane, 0, reserve)
    if can is None or lane.total is None or requests <= can:
        return Estimate(requests, can, lane.total, 0, requests * each)
    a_window = max(1, lane.total - reserve - others)
    later = requests - max(0, can)
    waits = math.ceil(later / a_window)
    first = max(0.0, lane.resets_at - now) if lane.resets_at is not None else WINDOW_SECONDS
    # Requests of one window are sent during the wait for the next one. Only those of the last window take extra time.
    last = (later - (waits - 1) * a_window) * each
    waiting = first + (waits - 1) * WINDOW_SECONDS
    return Estimate(requests, can, lane.total, waits, max(waiting + last, requests * each))
