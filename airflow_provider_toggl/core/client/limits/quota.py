"""The hourly quota as a budget: what is left in a lane, whether a request may be charged, what a job will cost.

Toggl counts requests in lanes: 30 an hour for those about the user (``/me…``), and by plan for those about an
organization (https://support.toggl.com/en-us/article/api-webhook-limits-85auc8). Its answers say what is left
and in how many seconds that is reset; both are believed over any own counting.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace

from airflow_provider_toggl.core.wording import duration, plural

USER_LANE = "user"
WINDOW_SECONDS = 3600.0
#: Toggl resets in whole seconds of its own clock; asking a moment too early would be refused.
RESET_GRACE_SECONDS = 0.5
#: When a refusal does not say how long it lasts.
UNKNOWN_RESET_SECONDS = 600.0
#: Requests an hour of a workspace by plan: https://support.toggl.com/en-us/article/api-webhook-limits-85auc8
PUBLISHED_QUOTAS = {"Free": 30, "Starter": 240, "Premium": 600}

_WORKSPACE = re.compile(r"^/(?:api/v9/workspaces|reports/api/v3/workspace|webhooks/api/v1/\w+)/(\d+)")
_ORGANIZATION = re.compile(r"^/api/v9/organizations/(\d+)")


def find_workspace(path: str) -> int | None:
    """Return the workspace that a path speaks of, None where it speaks of none."""
    found = _WORKSPACE.match(path)
    return int(found.group(1)) if found else None


def lane_of(path: str, organizations: dict[int, int]) -> str:
    """Return the lane that a request is charged to.

    :param path: path below the API's root.
    :param organizations: workspace → organization, as far as known. A workspace of an unknown one has a lane of its own
        until the organization is learned; the headers of its answers are right all the same.
    """
    found = _ORGANIZATION.match(path)
    if found:
        return f"organization:{found.group(1)}"
    workspace = find_workspace(path)
    if workspace is None:
        return USER_LANE
    organization = organizations.get(workspace)
    return f"organization:{organization}" if organization else f"workspace:{workspace}"


@dataclass(frozen=True)
class Lane:
    """What is known of a lane.

    :param total: requests a window has, None while unknown. Learned from headers it is the most that was ever left and
        one, so in the first window it may be too low.
    :param remaining: requests left when it was last told, less those charged since; None while unknown.
    :param resets_at: when the window ends, seconds since the epoch by this machine's clock; None while unknown.
    """

    total: int | None = None
    remaining: int | None = None
    resets_at: float | None = None


@dataclass(frozen=True)
class QuotaReading:
    """What an answer said of its lane: requests left, and seconds until they are reset."""

    remaining: int
    resets_in: float | None


def current(lane: Lane, now: float) -> Lane:
    """Return the lane as it is now: a window that is over is full again."""
    if lane.resets_at is not None and now >= lane.resets_at:
        return Lane(total=lane.total, remaining=lane.total)
    return lane


def spare(lane: Lane, in_flight: int, reserve: int) -> int | None:
    """Return how many requests may still be charged, None while unknown.

    :param in_flight: requests that were sent and whose answers have not said yet what is left.
    :param reserve: requests kept back for people; never so many that none is left for work.
    """
    if lane.remaining is None:
        return None
    kept = reserve if lane.total is None else min(reserve, max(0, lane.total - 1))
    return lane.remaining - in_flight - kept


def learn(lane: Lane, told: QuotaReading, *, overtaken: bool, now: float) -> Lane:
    """Return the lane after an answer told what is left.

    :param overtaken: whether another answer was learned while this one was under way. Toggl may have counted the
        two in the other order, so of both the lower number holds until the window is over.
    """
    lane = current(lane, now)
    resets_at = lane.resets_at if told.resets_in is None else now + told.resets_in + RESET_GRACE_SECONDS
    remaining = max(0, told.remaining)
    if overtaken and lane.remaining is not None and lane.resets_at is not None:
        remaining = min(remaining, lane.remaining)
    total = max(lane.total or 0, remaining + 1)
    return Lane(total=total, remaining=remaining, resets_at=resets_at)


def close(lane: Lane, resets_in: float | None, now: float) -> Lane:
    """Return the lane after a refusal for quota: nothing is left until it resets."""
    if resets_in is None:
        known = lane.resets_at
        resets_at = known if known is not None and known > now else now + UNKNOWN_RESET_SECONDS
    else:
        resets_at = now + resets_in + RESET_GRACE_SECONDS
    return replace(lane, remaining=0, resets_at=resets_at)


@dataclass(frozen=True)
class Estimate:
    """What a job will cost.

    :param requests: requests it will send, as far as can be known.
    :param spare: requests that may be charged now, None while unknown.
    :param total: requests a window gives, None while unknown.
    :param waits: how many times it will have to wait for a reset.
    :param seconds: about how long it will take, paces and waits included.
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
    """Return what a job of so many requests costs in this lane from now on.

    :param interval: seconds between two requests of the token.
    :param others: requests of each window to come that others will use.
    """
    lane = current(lane, now)
    can = spare(lane, 0, reserve)
    if can is None or lane.total is None or requests <= can:
        return Estimate(requests, can, lane.total, 0, requests * interval)
    a_window = max(1, lane.total - reserve - others)
    later = requests - max(0, can)
    waits = math.ceil(later / a_window)
    first = max(0.0, lane.resets_at - now) if lane.resets_at is not None else WINDOW_SECONDS
    # The work of a window is done while the next one is waited for; only that of the last one comes after.
    last = (later - (waits - 1) * a_window) * interval
    waiting = first + (waits - 1) * WINDOW_SECONDS
    return Estimate(requests, can, lane.total, waits, max(waiting + last, requests * interval))
