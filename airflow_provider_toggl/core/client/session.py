"""The one way to ask Toggl anything: paced, budgeted, retried where that is safe, with errors that say what to do."""

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
from airflow_provider_toggl.core.client.limits.hourly_usage import HourTally
from airflow_provider_toggl.core.client.limits.leaky_bucket import Pace
from airflow_provider_toggl.core.client.limits.state import HostBook, Refusal, Turn, Yield
from airflow_provider_toggl.core.client.responses import (
    Answer,
    error_of,
    is_quota_refusal,
    quota_error,
    reset_seconds,
    retry_after,
    share_error,
    told_of,
)
from airflow_provider_toggl.core.client.retry import RetryPolicy, may_repeat
from airflow_provider_toggl.core.client.transport import Call, NotSent, Transport
from airflow_provider_toggl.core.clock import Clock, SystemClock, utc
from airflow_provider_toggl.core.errors import (
    ApiError,
    ConfigurationError,
    ConnectionTrouble,
    MalformedAnswer,
    QuotaExhausted,
    RateLimited,
    ServerTrouble,
)
from airflow_provider_toggl.core.log_fields import log_line
from airflow_provider_toggl.core.wording import duration

log = logging.getLogger(__name__)

#: A 429 that asks for a longer wait, or a longer wait for others to use their share, is raised instead of slept
#: through, so that a task can give its slot back.
LONGEST_PATIENCE = 30.0
#: A wait of so many seconds is logged when it begins, and told to whoever observes waits.
OBSERVED_SECONDS = 10.0
#: Seconds between two lines about the same wait.
LOG_EVERY = 60.0

WAITED_FOR = {
    "retry": "the end of a rate limit or trouble of Toggl",
    "pace": "the pace of requests that all tasks with this token share",
    "share": "other tasks to use their share of the hourly quota",
}

#: Called with the reason of a wait, its end in seconds since the epoch, and how many requests the session has sent.
WaitObserver = Callable[[str, float, int], AbstractContextManager[None]]
_wait_observer: ContextVar[WaitObserver | None] = ContextVar("toggl_wait_observer", default=None)


@contextmanager
def observe_waits(observer: WaitObserver) -> Iterator[None]:
    """Have every long wait of a session run within what an observer returns for it."""
    token = _wait_observer.set(observer)
    try:
        yield
    finally:
        _wait_observer.reset(token)


class TogglSession:
    """One token's requests, under the discipline of the whole host.

    :param transport: what sends.
    :param book: paces and quota shared with all processes of the host.
    :param pace: how fast this token may ask.
    :param reserve: requests of each lane kept back for people.
    :param name: the connection, for metrics and the log.
    :param before_wait: called with the seconds before the session sleeps, so that a caller can let go of what others
        wait for.
    """

    def __init__(
        self,
        transport: Transport,
        book: HostBook,
        *,
        pace: Pace | None = None,
        reserve: int = 2,
        retry: RetryPolicy | None = None,
        clock: Clock | None = None,
        jitter: random.Random | None = None,
        before_wait: Callable[[float], None] | None = None,
        name: str = "",
    ) -> None:
        self.pace = pace or Pace()
        self.reserve = reserve
        self.spent = 0
        self.name = name
        self.before_wait = before_wait
        self._transport = transport
        self._book = book
        self._retry = retry or RetryPolicy()
        self._clock = clock or SystemClock()
        self._jitter = jitter or random.Random()  # noqa: S311 - spreads retries, guards nothing
        self._claimant: Claimant | None = None
        self._organizations: dict[int, int] = book.organizations()

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        payload: Any = None,
        idempotent: bool | None = None,
    ) -> Answer:
        """Ask Toggl and return its good answer.

        :param path: below the base URL, for example ``/api/v9/me``.
        :param payload: what to send as JSON.
        :param idempotent: whether the request may be sent again when its effect is unknown. None: reads may (GET, and
            POSTs to Reports, which are queries), writes may not.
        :raises QuotaExhausted: the lane has nothing to spare; known before a request is wasted wherever Toggl told.
        :raises ConfigurationError: the payload cannot be written as JSON; nothing was sent.
        :raises ApiError: any other failure, typed.
        """
        _check_payload(payload)
        call = Call(method.upper(), path, params or {}, payload)
        started = self._clock.now()
        failed = 0
        while True:
            try:
                return self._attempt(call)
            except (ConnectionTrouble, ServerTrouble, RateLimited) as error:
                failed += 1
                pause = self._retry.pause(failed, _asked_pause(error, self._clock.now()), self._jitter)
                elapsed = self._clock.now() - started
                if not self._may_retry(error, call, idempotent) or not self._retry.allows(failed, elapsed, pause):
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
        """Return what so many requests to that path will cost from now on; asks nothing of Toggl."""
        now = self._clock.now()
        lane = self._book.lane(self.lane_of(path), now)
        return quota.estimate(requests, lane, reserve=self.reserve, interval=self.pace.interval, now=now)

    def lane_of(self, path: str) -> str:
        """Return the lane that a request to that path is charged to."""
        return quota.lane_of(path, self._organizations)

    def lane(self, path: str) -> quota.Lane:
        """Return what is known of the lane of that path."""
        return self._book.lane(self.lane_of(path), self._clock.now())

    def lanes(self) -> dict[str, quota.Lane]:
        """Return what is known of every lane of the token; asks nothing of Toggl."""
        return self._book.lanes(self._clock.now())

    def tallies(self, since: float) -> list[HourTally]:
        """Return how many requests of the token left this host in each hour.

        :param since: seconds since the epoch.
        """
        return self._book.tallies(since)

    def taken(self, path: str) -> int:
        """Return how many requests of that lane's window were sent from this host."""
        return self._book.taken(self.lane_of(path), self._clock.now())

    def quota_left(self, path: str) -> int | None:
        """Return what is left in the lane of that path as last told, None while unknown."""
        return self.lane(path).remaining

    @contextmanager
    def claiming(self, name: str) -> Iterator[None]:
        """Share lanes fairly with all other claimants of this host meanwhile, instead of taking what is there.

        The claim outlives a :class:`QuotaExhausted`: who is stopped by that comes back.

        :param name: the same over deferrals and retries of one task, another for every other one.
        """
        self._claimant = Claimant(name)
        try:
            yield
        except QuotaExhausted:
            raise
        except BaseException:
            self._book.leave(self._claimant)
            raise
        else:
            self._book.leave(self._claimant)
        finally:
            self._claimant = None

    def expect(self, requests: int | None) -> None:
        """Say how many more requests this claimant will ask for, so that no more are kept for it; None: unknown."""
        if self._claimant is not None:
            self._claimant = replace(self._claimant, wanted=requests)

    def read_quota(self) -> dict[str, quota.Lane]:
        """Ask Toggl what is left in each lane (``GET /me/quota``), and note it for the whole host."""
        rows = self.request("GET", "/api/v9/me/quota").json()
        now = self._clock.now()
        lanes: dict[str, quota.Lane] = {}
        try:
            for row in rows:
                organization = row.get("organization_id")
                name = f"organization:{organization}" if organization else quota.USER_LANE
                resets_at = now + float(row["resets_in_secs"]) + quota.RESET_GRACE_SECONDS
                lanes[name] = quota.Lane(int(row["total"]), max(0, int(row["remaining"])), resets_at)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise MalformedAnswer(
                f"GET /api/v9/me/quota: the answer has another shape than documented ({error})."
            ) from None
        for name, lane in lanes.items():
            self._book.set_lane(name, lane, now)
            request_metrics.measure_lane(self.name, name, lane)
        return lanes

    def knows_organization(self, workspace_id: int) -> bool:
        """Whether the organization of a workspace is known, so that nothing need be asked for it."""
        return workspace_id in self._organizations

    def organization_of(self, workspace_id: int) -> int:
        """Return the organization of a workspace; asked once for each host, then remembered.

        :raises MalformedAnswer: Toggl's answer names none.
        """
        known = self._organizations.get(workspace_id)
        if known is not None:
            return known
        workspace = self.request("GET", f"/api/v9/workspaces/{workspace_id}").json()
        organization = workspace.get("organization_id") if isinstance(workspace, dict) else None
        if not isinstance(organization, int):
            raise MalformedAnswer(f"GET /api/v9/workspaces/{workspace_id}: the answer names no organization.")
        self.learn_organization(workspace_id, organization)
        return organization

    def learn_organization(self, workspace_id: int, organization_id: int) -> None:
        """Note which organization a workspace belongs to."""
        if self._organizations.get(workspace_id) != organization_id:
            self._book.learn_organization(workspace_id, organization_id)
            self._organizations[workspace_id] = organization_id

    def _attempt(self, call: Call) -> Answer:
        lane = self.lane_of(call.path)
        turn = self._take_turn(lane)
        self.spent += 1
        sent_at = self._clock.now()
        try:
            answer = self._transport.send(call, lambda: self._book.depart(turn, self._clock.now))
        except BaseException:
            self._book.settle(turn, lane, None, self._clock.now())
            request_metrics.measure_request(self.name, lane, call.path, None, self._clock.now() - sent_at)
            raise
        request_metrics.measure_request(self.name, lane, call.path, answer.status, self._clock.now() - sent_at)
        state = self._book.settle(turn, lane, told_of(answer), answer.received_at)
        request_metrics.measure_lane(self.name, lane, state)
        resets_at = None
        if is_quota_refusal(answer):
            resets_at = self._book.close_lane(lane, reset_seconds(answer), answer.received_at)
            request_metrics.measure_lane(self.name, lane, quota.Lane(remaining=0, resets_at=resets_at))
        error = error_of(answer, lane=lane, resets_at=resets_at)
        if isinstance(error, RateLimited):
            # One process was refused: all of the host keep still.
            self._book.hold_back(retry_after(answer) or self.pace.interval, answer.received_at)
        if error is not None:
            raise error
        return answer

    def _take_turn(self, lane: str) -> Turn:
        ticket, yielded = 0, 0.0
        started = self._clock.now()
        while True:
            now = self._clock.now()
            outcome = self._book.ask_turn(
                lane, pace=self.pace, reserve=self.reserve, now=now, ticket=ticket, claimant=self._claimant
            )
            if isinstance(outcome, Refusal):
                raise quota_error(lane, utc(outcome.resets_at), known_before=True)
            if isinstance(outcome, Turn):
                self._count_down()
                return outcome
            if isinstance(outcome, Yield):
                if yielded + outcome.back_at - now > LONGEST_PATIENCE:
                    raise share_error(lane, utc(outcome.back_at))
                ticket, yielded = 0, yielded + outcome.seconds
            else:
                ticket = outcome.ticket
            self._sleep(outcome.seconds, "share" if isinstance(outcome, Yield) else "pace", waited=now - started)

    def _count_down(self) -> None:
        """Expect one request less; whoever asks wants one at least."""
        if self._claimant is not None and self._claimant.wanted is not None:
            self._claimant = replace(self._claimant, wanted=max(1, self._claimant.wanted - 1))

    def _sleep(self, seconds: float, reason: str, *, waited: float = 0.0, is_recorded: bool = True) -> None:
        """Wait, and log it each minute.

        :param waited: seconds that the request has waited before for the same reason.
        :param is_recorded: whether whoever observes waits is to know of a long one.
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
            # A wait may be made of many short ones: a line each minute over all of them.
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
            WAITED_FOR[reason],
            f"{utc(until):%H:%M:%S}",
            duration(left),
            connection=self.name,
        )

    def _may_retry(self, error: ApiError, call: Call, idempotent: bool | None) -> bool:
        if isinstance(error, RateLimited):
            # Refused before it was looked at, so any request may come again; a long wait is for the caller to spend.
            return (_asked_pause(error, self._clock.now()) or 0.0) <= LONGEST_PATIENCE
        return isinstance(error, NotSent) or may_repeat(call.method, call.path, idempotent)


def _check_payload(payload: Any) -> None:
    try:
        json.dumps(payload, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        # The message names a type, not a value.
        raise ConfigurationError(f"What is to be sent cannot be written as JSON: {error}.") from None


def _asked_pause(error: ApiError, now: float) -> float | None:
    if isinstance(error, RateLimited) and error.told:
        return max(0.0, (error.retry_at - utc(now)).total_seconds())
    return None
