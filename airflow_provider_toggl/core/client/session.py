"""The session that sends every request to Toggl: paced, charged to the quota, retried where that is safe, with typed
errors.
"""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import replace
from typing import Any

from airflow_provider_toggl.core import metrics
from airflow_provider_toggl.core.client import request_metrics
from airflow_provider_toggl.core.client.limits import quota
from airflow_provider_toggl.core.client.limits.fair_shares import Claimant
from airflow_provider_toggl.core.client.limits.leaky_bucket import Pace
from airflow_provider_toggl.core.client.limits.state import ClaimedShare, RateLimitState
from airflow_provider_toggl.core.client.limits.store import HourlyUsage
from airflow_provider_toggl.core.client.limits.token_state import Permit, QuotaSpent, ShareSpent, Wait
from airflow_provider_toggl.core.client.responses import (
    TogglResponse,
    build_error,
    build_pace_error,
    build_quota_error,
    build_share_error,
    is_quota_refusal,
    read_quota_headers,
    read_reset_seconds,
    read_retry_after,
)
from airflow_provider_toggl.core.client.retry import RetryPolicy, may_repeat
from airflow_provider_toggl.core.client.transport import NotSent, OutgoingRequest, Transport
from airflow_provider_toggl.core.clock import Clock, SystemClock, utc
from airflow_provider_toggl.core.errors import (
    ApiError,
    ConfigurationError,
    ConnectionTrouble,
    MalformedAnswer,
    QuotaExhausted,
    RateLimited,
    RateLimitStateUnavailable,
    ServerTrouble,
)
from airflow_provider_toggl.core.log_fields import log_line
from airflow_provider_toggl.core.wording import duration

log = logging.getLogger(__name__)

#: Seconds. A longer wait for a rate limit, or for the share of other tasks, is raised as an error instead of slept
#: through, so that a task can give its worker slot back.
MAX_WAIT_IN_SLOT = 30.0
#: Seconds after which the database of the shared limits is tried again, doubled each time.
FIRST_STATE_PAUSE = 1.0
#: A wait of at least this many seconds is logged when it begins, and reported to the observer of waits.
OBSERVED_SECONDS = 10.0
#: Seconds between two log lines about the same wait.
LOG_EVERY = 60.0

WAIT_REASONS = {
    "retry": "the next try after a rate limit or an error of Toggl",
    "pace": "the request rate that all tasks with this token share",
    "share": "other tasks to use their share of the hourly quota",
    "database": "the database of the shared rate limits",
}

#: Called with the reason of a wait, its end in seconds since the epoch, and the number of requests sent so far.
WaitObserver = Callable[[str, float, int], AbstractContextManager[None]]
_wait_observer: ContextVar[WaitObserver | None] = ContextVar("toggl_wait_observer", default=None)


@contextmanager
def observe_waits(observer: WaitObserver) -> Iterator[None]:
    """Run every long wait of a session inside the context manager that the observer returns for it."""
    token = _wait_observer.set(observer)
    try:
        yield
    finally:
        _wait_observer.reset(token)


class TogglSession:
    """Sends the requests of one token, within the limits that all processes with the token share.

    :param transport: sends one request.
    :param state: pace and quota, shared with other processes.
    :param pace: how fast this token may send requests.
    :param reserve: requests of each lane that are kept back for people.
    :param retry: how often and how long to try.
    :param name: ID of the connection, for metrics and logs.
    """

    def __init__(
        self,
        transport: Transport,
        state: RateLimitState,
        *,
        pace: Pace | None = None,
        reserve: int = 2,
        retry: RetryPolicy | None = None,
        clock: Clock | None = None,
        jitter: random.Random | None = None,
        name: str = "",
    ) -> None:
        self.pace = pace or Pace()
        self.reserve = reserve
        self.spent = 0
        self.name = name
        #: Called before each wait with its length in seconds.
        self.before_wait: Callable[[float], None] | None = None
        self._transport = transport
        self._state = state
        self._retry = retry or RetryPolicy()
        self._clock = clock or SystemClock()
        self._jitter = jitter or random.Random()  # noqa: S311 - spreads retries, guards nothing
        self._claimant: Claimant | None = None
        self._known_organizations: dict[int, int] | None = None

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        payload: Any = None,
        idempotent: bool | None = None,
    ) -> TogglResponse:
        """Send a request and return its 2xx response.

        :param path: below the base URL, for example ``/api/v9/me``.
        :param payload: the body, sent as JSON.
        :param idempotent: whether the request may be sent again when its outcome is unknown. With None, reads may (GET,
            and POST to the Reports API, whose body is a query) and writes may not.
        :raises QuotaExhausted: the lane has no requests left. Where that is known, no request is sent.
        :raises ConfigurationError: the payload cannot be written as JSON. Nothing was sent.
        :raises ApiError: any other failure, by its type.
        """
        _check_payload(payload)
        outgoing = OutgoingRequest(method.upper(), path, params or {}, payload)
        started = self._clock.now()
        failed = 0
        while True:
            try:
                return self._attempt(outgoing)
            except (ConnectionTrouble, ServerTrouble, RateLimited) as error:
                failed += 1
                pause = self._retry.pause(failed, _asked_pause(error, self._clock.now()), self._jitter)
                elapsed = self._clock.now() - started
                if not self._may_retry(error, outgoing, idempotent) or not self._retry.allows(failed, elapsed + pause):
                    raise
                log_line(
                    log,
                    "%s. Trying again in %.1f s (%d of %d).",
                    error.what,
                    pause,
                    failed,
                    self._retry.tries - 1,
                    level=logging.WARNING,
                    connection=self.name,
                    retry_in=round(pause, 1),
                )
                self._sleep(pause, "retry", is_recorded=isinstance(error, RateLimited))

    def estimate(self, requests: int, path: str) -> quota.Estimate:
        """Return what so many requests to a path will cost. Sends no request."""
        now = self._clock.now()
        lane = self._state.lane(self.lane_of(path), now)
        return quota.estimate(requests, lane, reserve=self.reserve, interval=self.pace.interval, now=now)

    def lane_of(self, path: str) -> str:
        """Return the name of the lane that a request to a path is charged to."""
        return quota.lane_of(path, self._organizations)

    def lane(self, path: str) -> quota.Lane:
        """Return what is known about the lane of a path."""
        return self._state.lane(self.lane_of(path), self._clock.now())

    def lanes(self) -> dict[str, quota.Lane]:
        """Return what is known about every lane of the token, by name. Sends no request."""
        return self._state.lanes(self._clock.now())

    def hourly_usage(self, since: float) -> list[HourlyUsage]:
        """Return how many requests were sent with the token in each hour that ends after ``since``.

        :param since: seconds since the epoch.
        """
        return self._state.hourly_usage(since)

    def shares(self) -> list[ClaimedShare]:
        """Return which tasks sent the requests of the current windows, the largest share of each lane first."""
        return self._state.shares(self._clock.now())

    def taken(self, path: str) -> int:
        """Return how many requests were sent in the current window of the lane of a path."""
        return self._state.taken(self.lane_of(path), self._clock.now())

    def quota_left(self, path: str) -> int | None:
        """Return the requests left in the lane of a path at its last report, None while unknown."""
        return self.lane(path).remaining

    @contextmanager
    def claiming(self, name: str) -> Iterator[None]:
        """Share the quota fairly with all other claimants inside this block.

        The claim survives a :class:`QuotaExhausted`, because the task comes back after the reset.

        :param name: the same over all deferrals and retries of one task, and different for every other task.
        """
        self._claimant = Claimant(name)
        try:
            yield
        except QuotaExhausted:
            raise
        except BaseException:
            self._state.withdraw(self._claimant, self._clock.now())
            raise
        else:
            self._state.withdraw(self._claimant, self._clock.now())
        finally:
            self._claimant = None

    def expect(self, requests: int | None) -> None:
        """Declare how many more requests this claimant will send, so that no more are kept for it; None if unknown."""
        if self._claimant is not None:
            self._claimant = replace(self._claimant, wanted=requests)

    @contextmanager
    def calling_before_waits(self, before_wait: Callable[[float], None]) -> Iterator[None]:
        """Call a function before each wait inside this block, so that the caller can release what others wait for.

        :param before_wait: called with the length of the wait in seconds.
        """
        outer, self.before_wait = self.before_wait, before_wait
        try:
            yield
        finally:
            self.before_wait = outer

    def read_quota(self) -> dict[str, quota.Lane]:
        """Ask Toggl what is left in each lane (``GET /me/quota``), record it, and return it by name."""
        rows = self.request("GET", "/api/v9/me/quota").json()
        now = self._clock.now()
        lanes: dict[str, quota.Lane] = {}
        try:
            for row in rows:
                organization = row.get("organization_id")
                name = quota.organization_lane(organization) if organization else quota.USER_LANE
                resets_at = now + float(row["resets_in_secs"]) + quota.RESET_GRACE_SECONDS
                lanes[name] = quota.Lane(int(row["total"]), max(0, int(row["remaining"])), resets_at)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise MalformedAnswer(
                f"GET /api/v9/me/quota: the response does not have the documented shape ({error})."
            ) from None
        for name, lane in lanes.items():
            self._state.record_quota(name, lane, now)
            request_metrics.measure_lane(self.name, name, lane)
        return lanes

    def knows_organization(self, workspace_id: int) -> bool:
        """Return whether the organization of a workspace is known, so that no request is needed for it."""
        return workspace_id in self._organizations

    def organization_of(self, workspace_id: int) -> int:
        """Return the organization of a workspace. The first call costs one request; after that it is stored.

        :raises MalformedAnswer: the response names no organization.
        """
        known = self._organizations.get(workspace_id)
        if known is not None:
            return known
        workspace = self.request("GET", f"/api/v9/workspaces/{workspace_id}").json()
        organization = workspace.get("organization_id") if isinstance(workspace, dict) else None
        if not isinstance(organization, int):
            raise MalformedAnswer(f"GET /api/v9/workspaces/{workspace_id}: the response names no organization.")
        self.learn_organization(workspace_id, organization)
        return organization

    def learn_organization(self, workspace_id: int, organization_id: int) -> None:
        """Record the organization of a workspace."""
        if self._organizations.get(workspace_id) != organization_id:
            self._state.learn_organization(workspace_id, organization_id, self._clock.now())
            self._organizations[workspace_id] = organization_id

    @property
    def _organizations(self) -> dict[int, int]:
        """The organization of each known workspace."""
        if self._known_organizations is None:
            self._known_organizations = self._state.organizations(self._clock.now())
        return self._known_organizations

    def _attempt(self, outgoing: OutgoingRequest) -> TogglResponse:
        permit = self._acquire(outgoing.path)
        lane = permit.lane
        self.spent += 1
        sent_at = self._clock.now()
        try:
            response = self._transport.send(outgoing)
        except BaseException:
            self._state.release(permit, None, self._clock.now())
            request_metrics.measure_request(self.name, lane, outgoing.path, None, self._clock.now() - sent_at)
            raise
        now = self._clock.now()
        request_metrics.measure_request(self.name, lane, outgoing.path, response.status, now - sent_at)
        state = self._state.release(permit, read_quota_headers(response), now)
        request_metrics.measure_lane(self.name, lane, state)
        resets_at = None
        if is_quota_refusal(response):
            resets_at = self._state.record_quota_refusal(lane, read_reset_seconds(response), now)
            request_metrics.measure_lane(self.name, lane, quota.Lane(remaining=0, resets_at=resets_at))
        error = build_error(response, lane=lane, resets_at=resets_at)
        if isinstance(error, RateLimited):
            # All processes that share the bucket pause.
            self._state.hold_back(read_retry_after(response) or self.pace.interval, now)
        if error is not None:
            raise error
        return response

    def _acquire(self, path: str) -> Permit:
        """Wait for a permit to send one request.

        :raises QuotaExhausted: there is none before the reset, before others have used their share, or before all
            that wait have had their turn.
        :raises RateLimitStateUnavailable: the database of the shared limits cannot be used.
        """
        started = self._clock.now()
        waited_for_others = waited_for_state = 0.0
        pause = FIRST_STATE_PAUSE
        while True:
            now = self._clock.now()
            try:
                lane = self.lane_of(path)
                outcome = self._state.acquire(
                    lane, pace=self.pace, reserve=self.reserve, now=now, claimant=self._claimant
                )
            except RateLimitStateUnavailable as error:
                if waited_for_state + pause > MAX_WAIT_IN_SLOT:
                    raise
                log.warning("%s. Trying again in %.0f s.", str(error).removesuffix("."), pause)
                self._sleep(pause, "database", waited=now - started)
                waited_for_state, pause = waited_for_state + pause, 2 * pause
                continue
            if isinstance(outcome, QuotaSpent):
                raise build_quota_error(lane, utc(outcome.resets_at), known_before=True)
            if isinstance(outcome, Permit):
                if self._claimant is not None and self._claimant.wanted is not None:
                    # At least one, because a claimant that asks wants one.
                    self._claimant = replace(self._claimant, wanted=max(1, self._claimant.wanted - 1))
                return outcome
            reason = "pace"
            if isinstance(outcome, ShareSpent):
                reason = "share"
                if waited_for_others + outcome.back_at - now > MAX_WAIT_IN_SLOT:
                    raise build_share_error(lane, utc(outcome.back_at))
                waited_for_others += outcome.seconds
            elif self._is_too_long(outcome):
                raise build_pace_error(lane, utc(now + outcome.seconds))
            self._sleep(outcome.seconds, reason, waited=now - started)

    def _is_too_long(self, wait: Wait) -> bool:
        """Return whether many others wait too, so that a task had better give its worker slot back.

        A task keeps its place in the queue then. Other callers, and a pace slower than that, wait.
        """
        return self._claimant is not None and wait.seconds > MAX_WAIT_IN_SLOT + 2 * self.pace.interval

    def _sleep(self, seconds: float, reason: str, *, waited: float = 0.0, is_recorded: bool = True) -> None:
        """Wait, and log a line each minute.

        :param waited: seconds that the request has waited already.
        :param is_recorded: whether the observer of waits is called for a long wait.
        """
        metrics.WAIT.record(seconds, connection=self.name, reason=reason)
        if self.before_wait is not None:
            self.before_wait(seconds)
        until = self._clock.now() + seconds
        observer = _wait_observer.get()
        is_long = is_recorded and observer is not None and seconds >= OBSERVED_SECONDS
        with observer(reason, until, self.spent) if is_long and observer is not None else nullcontext():
            if reason != "retry" and waited == 0.0 and seconds >= OBSERVED_SECONDS:
                self._log_wait(reason, seconds, until)
            # One wait may consist of many short ones, with one line per minute over all of them.
            to_line = LOG_EVERY - waited % LOG_EVERY
            while seconds > to_line:
                self._clock.sleep(to_line)
                seconds, to_line = until - self._clock.now(), LOG_EVERY
                self._log_wait(reason, seconds, until)
            self._clock.sleep(max(0.0, seconds))

    def _log_wait(self, reason: str, left: float, until: float) -> None:
        log_line(
            log,
            "Waiting for %s until %s UTC: %s left.",
            WAIT_REASONS[reason],
            f"{utc(until):%H:%M:%S}",
            duration(left),
            connection=self.name,
        )

    def _may_retry(self, error: ApiError, outgoing: OutgoingRequest, idempotent: bool | None) -> bool:
        if isinstance(error, RateLimited):
            # Toggl did not process the request, so any request may be sent again. A long wait is for the caller.
            return (_asked_pause(error, self._clock.now()) or 0.0) <= MAX_WAIT_IN_SLOT
        return isinstance(error, NotSent) or may_repeat(outgoing.method, outgoing.path, idempotent)


def _check_payload(payload: Any) -> None:
    try:
        json.dumps(payload, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        # The error names a type and no value.
        raise ConfigurationError(f"The payload cannot be written as JSON: {error}.") from None


def _asked_pause(error: ApiError, now: float) -> float | None:
    if isinstance(error, RateLimited) and error.reported:
        return max(0.0, (error.retry_at - utc(now)).total_seconds())
    return None
