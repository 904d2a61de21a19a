"""The rate limits of one token, shared by all processes that use it.

:class:`RateLimitState` reads a :class:`~.token_state.TokenState` from a store, lets it decide, and stores the result,
all in one transaction. Tokens are stored only as hashes.
"""

from __future__ import annotations

import hashlib
import logging
import socket
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from airflow_provider_toggl.core.client.limits.fair_shares import Claimant
from airflow_provider_toggl.core.client.limits.leaky_bucket import Pace
from airflow_provider_toggl.core.client.limits.quota import Lane, QuotaReading
from airflow_provider_toggl.core.client.limits.store import HourlyUsage, StateStore
from airflow_provider_toggl.core.client.limits.token_state import (
    Permit,
    PermitRequest,
    QuotaSpent,
    ShareSpent,
    TokenState,
    Wait,
)
from airflow_provider_toggl.core.errors import RateLimitStateError, RateLimitStateUnavailable

T = TypeVar("T")
log = logging.getLogger(__name__)

#: While the next permit is at least this many seconds away, no connection to the store is held.
HOLD_SECONDS = 1.0


def hash_token(base_url: str, token: str) -> str:
    """Return the name of a token in the state, from which the token cannot be found."""
    return hashlib.sha256(f"{base_url}\n{token}".encode()).hexdigest()[:32]


@dataclass(frozen=True)
class ClaimedShare:
    """The requests of the current window that one task was granted.

    :param task: its name; empty for requests outside of tasks.
    :param host: the host on which it asked last.
    :param wanted: how many more it wants; None for as many as it can get, 0 if it is done.
    """

    lane: str
    task: str
    host: str
    taken: int
    wanted: int | None


class RateLimitState:
    """The rate limits of one token. All times are seconds since the epoch, by the clock of the caller.

    The store may have another clock, which decides: times are converted in both directions.

    :param store: keeps the state. A path is a SQLite file; None keeps the state in this process alone.
    :param token_hash: name of the token, from :func:`hash_token`.
    :param scope: processes with the same scope share one pace; by default all that share the store.
    """

    def __init__(self, store: StateStore | Path | None, token_hash: str, *, scope: str = "") -> None:
        if not isinstance(store, StateStore):
            from airflow_provider_toggl.core.client.limits.state_file import StateFile  # noqa: PLC0415 - one of two stores

            store = StateFile(store)
        self._store = store
        self._token = token_hash
        self._scope = scope
        self._process = uuid.uuid4().hex
        self._host = socket.gethostname()
        self._clock_offset = 0.0
        self._interval = 0.0

    def acquire(
        self, lane: str, *, pace: Pace, reserve: int, now: float, claimant: Claimant | None = None
    ) -> Permit | Wait | QuotaSpent | ShareSpent:
        """Charge one request to a lane and grant a permit for it, or return why there is none.

        The caller sends the request at once, and then calls :meth:`release` whatever happened.

        :param reserve: requests of the lane that are kept back for people.
        :param claimant: the task that shares the lane with others; None for single requests, which never wait for
            the shares of others.
        :raises RateLimitStateUnavailable: the store cannot be reached.
        """
        request = PermitRequest(self._process, claimant, self._host)
        self._interval = pace.interval
        outcome = self._change(
            now, lambda state, at: state.acquire(lane, request, pace=pace, reserve=reserve, now=at, scope=self._scope)
        )
        if isinstance(outcome, Wait) and outcome.seconds >= HOLD_SECONDS:
            self._store.close_idle()
        if isinstance(outcome, QuotaSpent):
            return QuotaSpent(outcome.resets_at - self._clock_offset)
        if isinstance(outcome, ShareSpent):
            return replace(outcome, back_at=outcome.back_at - self._clock_offset)
        return outcome

    def release(self, permit: Permit, reading: QuotaReading | None, now: float) -> Lane:
        """Record that the request of a permit was answered or failed, and return its lane after that.

        :param reading: what the response reported about the quota; None if it reported nothing or never came.
        :param now: when the response came.
        """
        released = self._record(now, lambda state, at: state.release(permit, reading, at, scope=self._scope), Lane())
        if self._interval >= HOLD_SECONDS:
            self._store.close_idle()
        return self._by_own_clock(released)

    def record_quota_refusal(self, lane: str, resets_in: float | None, now: float) -> float:
        """Record that Toggl refused a request for quota, and return when the lane resets."""
        unknown = now + self._clock_offset + (resets_in or 0.0)
        resets_at = self._record(now, lambda state, at: state.record_quota_refusal(lane, resets_in, at), unknown)
        return resets_at - self._clock_offset

    def record_quota(self, lane: str, reported: Lane, now: float) -> None:
        """Record what ``GET /me/quota`` reported about a lane."""

        def record(state: TokenState, at: float) -> None:
            resets_at = None if reported.resets_at is None else reported.resets_at + self._clock_offset
            state.record_quota(lane, replace(reported, resets_at=resets_at), at)

        self._record(now, record, None)

    def hold_back(self, seconds: float, now: float) -> None:
        """Grant no permit for so many seconds in this scope, because Toggl asked for a pause (429)."""
        self._record(now, lambda state, at: state.hold_back(seconds, at, scope=self._scope), None)

    def withdraw(self, claimant: Claimant, now: float) -> None:
        """End all claims of a claimant, so that others may use what is left of its share."""
        self._record(now, lambda state, _: state.withdraw(claimant.name), None)

    def learn_organization(self, workspace_id: int, organization_id: int, now: float) -> None:
        """Record the organization of a workspace, and move what was charged to the workspace's own lane there."""
        self._record(now, lambda state, _: state.learn_organization(workspace_id, organization_id), None)

    def lane(self, lane: str, now: float) -> Lane:
        """Return what is known about a lane."""
        return self._by_own_clock(self._read(now, lambda state, at: state.lane(lane, at)))

    def lanes(self, now: float) -> dict[str, Lane]:
        """Return what is known about every lane of the token, by name."""
        found = self._read(now, lambda state, at: state.list_lanes(at))
        return {name: self._by_own_clock(lane) for name, lane in found.items()}

    def taken(self, lane: str, now: float) -> int:
        """Return how many requests of the lane's current window were granted."""
        return self._read(now, lambda state, at: state.count_taken(lane, at))

    def shares(self, now: float) -> list[ClaimedShare]:
        """Return who was granted requests of the current windows, the largest share of each lane first."""
        found = self._read(now, lambda state, at: list(state.list_claims(at)))
        shares = [ClaimedShare(lane, name, claim.host, claim.taken, claim.wanted) for lane, name, claim in found]
        return sorted(shares, key=lambda share: (share.lane, -share.taken, share.task))

    def organizations(self, now: float) -> dict[int, int]:
        """Return the organization of each known workspace."""
        return self._read(now, lambda state, _: state.organizations)

    def hourly_usage(self, since: float) -> list[HourlyUsage]:
        """Return the requests of each hour that ends after ``since``, by lane and hour."""
        return self._store.list_usage(self._token, since)

    def _change(self, now: float, change: Callable[[TokenState, float], T]) -> T:
        started = time.monotonic()

        def changed(state: TokenState, at: float) -> T:
            self._compare_clocks(now, started, at)
            return change(state, at)

        return self._store.update(self._token, now, changed)

    def _record(self, now: float, change: Callable[[TokenState, float], T], default: T) -> T:
        """Return what a change returns. What cannot be recorded is no reason to lose a response that has come."""
        try:
            return self._change(now, change)
        except (RateLimitStateUnavailable, RateLimitStateError) as error:
            log.warning("The rate limits were not updated, so others may wait longer than they need: %s", error)
            return default

    def _read(self, now: float, query: Callable[[TokenState, float], T]) -> T:
        started = time.monotonic()
        state, at = self._store.read(self._token, now)
        self._compare_clocks(now, started, at)
        return query(state, at)

    def _compare_clocks(self, now: float, started: float, at: float) -> None:
        """Find by how many seconds the store's clock is ahead of this process's.

        :param now: this process's time when the monotonic clock showed ``started``.
        :param at: the store's time now.
        """
        offset = at - now
        self._clock_offset = 0.0 if offset == 0.0 else offset - (time.monotonic() - started)

    def _by_own_clock(self, lane: Lane) -> Lane:
        return lane if lane.resets_at is None else replace(lane, resets_at=lane.resets_at - self._clock_offset)
