"""Rate-limit state: permits, quota lanes and shares of one token, shared by all processes that use it.

:class:`RateLimitState` reads values from a SQLite file of the host, lets the pure modules beside this one decide, and
stores the result, all in one transaction.

The state holds hints and no data: losing it costs at most one refused request. Tokens are stored only as hashes.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from airflow_provider_toggl.core.client.limits import leaky_bucket, quota
from airflow_provider_toggl.core.client.limits.fair_shares import (
    Claimant,
    Rival,
    claim_ends_at,
    may_take,
    share_returns_at,
)
from airflow_provider_toggl.core.client.limits.leaky_bucket import BucketState, Pace
from airflow_provider_toggl.core.client.limits.quota import Lane, QuotaReading
from airflow_provider_toggl.core.client.limits.state_file import STATEMENTS, StateFile

#: A request without a response counts as in flight for this many seconds. After that its process has died.
LEASE_SECONDS = 180.0
HOUR = 3600
#: Hours for which the usage is kept, for charts.
KEPT_HOURS = 14 * 24


def hash_token(base_url: str, token: str) -> str:
    """Return the name of a token in the state, from which the token cannot be found."""
    return hashlib.sha256(f"{base_url}\n{token}".encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Permit:
    """Permission to send one request now. The request is already charged to its lane.

    :param number: permits of a token are numbered in the order in which they were granted.
    """

    number: int


@dataclass(frozen=True)
class Wait:
    """No permit yet: ask again after so many seconds."""

    seconds: float


@dataclass(frozen=True)
class QuotaSpent:
    """No permit: the lane has no requests left until ``resets_at`` (seconds since the epoch)."""

    resets_at: float


@dataclass(frozen=True)
class ShareSpent:
    """No permit: what is left is the share of other tasks.

    :param seconds: when to ask again.
    :param back_at: when the others can have used their share, in seconds since the epoch.
    """

    seconds: float
    back_at: float


@dataclass(frozen=True)
class HourlyUsage:
    """Requests that were sent in one clock hour.

    :param hour: start of the hour, seconds since the epoch.
    :param total: requests that one quota window of the lane has; None while unknown.
    """

    lane: str
    hour: int
    requests: int
    total: int | None


class RateLimitState:
    """The rate limits of one token. All times are seconds since the epoch, all durations seconds.

    :param path: the SQLite file; None keeps the state in this process alone.
    :param token_hash: name of the token, from :func:`hash_token`.
    """

    def __init__(self, path: Path | None, token_hash: str) -> None:
        self._token = token_hash
        self._file = StateFile(path)

    def acquire(
        self, lane: str, *, pace: Pace, reserve: int, now: float, claimant: Claimant | None = None
    ) -> Permit | Wait | QuotaSpent | ShareSpent:
        """Charge one request to a lane and grant a permit for it, or return why there is none.

        The caller sends the request at once, and then calls :meth:`release` whatever happened.

        :param reserve: requests of the lane that are kept back for people.
        :param claimant: the task that shares the lane with others; None for single requests, which never wait for
            the shares of others.
        """
        with self._open(now) as rows:
            charged = rows.find_charged_lane(lane)
            rows.forget_old()
            state = quota.current(rows.find_lane(charged).lane, rows.now)
            spare = quota.spare(state, rows.count_in_flight(charged), reserve)
            refusal = _refuse(rows, charged, claimant, spare=spare, resets_at=state.resets_at, pace=pace)
            if refusal is not None:
                return refusal
            bucket = rows.find_bucket()
            seconds = leaky_bucket.seconds_to_wait(bucket, pace, rows.now)
            if seconds > 0:
                return Wait(seconds)
            bucket = leaky_bucket.grant(bucket, rows.now)
            rows.save_bucket(bucket)
            rows.charge(charged, bucket.permit, claimant, state)
            return Permit(bucket.permit)

    def release(self, permit: Permit, lane: str, reading: QuotaReading | None, now: float) -> Lane:
        """Record that the request of a permit was answered or failed, and return its lane after that.

        :param reading: what the response reported about the quota; None if it reported nothing or never came.
        :param now: when the response came.
        """
        with self._open(now) as rows:
            charged = rows.find_charged_lane(lane)
            rows.run("remove_in_flight", permit=permit.number)
            rows.save_bucket(leaky_bucket.record_answer(rows.find_bucket(), permit.number, rows.now))
            known = rows.find_lane(charged)
            if reading is None:
                state = quota.charge_unreported(known.lane, rows.now)
            else:
                overtaken = known.permit >= permit.number
                state = quota.learn(known.lane, reading, overtaken=overtaken, now=rows.now)
            rows.save_lane(charged, state)
            return state

    def record_quota_refusal(self, lane: str, resets_in: float | None, now: float) -> float:
        """Record that Toggl refused a request for quota, and return when the lane resets."""
        with self._open(now) as rows:
            charged = rows.find_charged_lane(lane)
            state = quota.close(rows.find_lane(charged).lane, resets_in, rows.now)
            rows.save_lane(charged, state)
            return state.resets_at or rows.now

    def record_quota(self, lane: str, reported: Lane, now: float) -> None:
        """Record what ``GET /me/quota`` reported about a lane."""
        with self._open(now) as rows:
            charged = rows.find_charged_lane(lane)
            rows.save_lane(charged, quota.merge_report(rows.find_lane(charged).lane, reported))

    def hold_back(self, seconds: float, now: float) -> None:
        """Grant no permit of the token for so long, because Toggl asked for a pause (429)."""
        with self._open(now) as rows:
            rows.save_bucket(leaky_bucket.close_bucket(rows.find_bucket(), seconds, rows.now))

    def lane(self, lane: str, now: float) -> Lane:
        """Return what is known about a lane."""
        with self._open(now) as rows:
            return quota.current(rows.find_lane(rows.find_charged_lane(lane)).lane, rows.now)

    def lanes(self, now: float) -> dict[str, Lane]:
        """Return what is known about every lane of the token, by name."""
        with self._open(now) as rows:
            names = [name for (name,) in rows.run("list_lanes")]
            found = {name: quota.current(rows.find_lane(name).lane, rows.now) for name in names}
            return {name: lane for name, lane in found.items() if lane != Lane()}

    def taken(self, lane: str, now: float) -> int:
        """Return how many requests of the lane's current window were granted."""
        with self._open(now) as rows:
            return int(rows.run("count_taken_by_all", lane=rows.find_charged_lane(lane))[0][0])

    def hourly_usage(self, since: float, now: float) -> list[HourlyUsage]:
        """Return the requests of each hour that ends after ``since``, by lane and hour."""
        with self._open(now) as rows:
            found = rows.run("list_usage", hour=int(since // HOUR))
            return [HourlyUsage(lane, hour * HOUR, requests, total) for lane, hour, requests, total in found]

    def withdraw(self, claimant: Claimant, now: float) -> None:
        """End all claims of a claimant, so that others may use what is left of its share."""
        with self._open(now) as rows:
            rows.run("end_claims", name=claimant.name)

    def organizations(self, now: float) -> dict[int, int]:
        """Return the organization of each known workspace."""
        with self._open(now) as rows:
            return {row[0]: row[1] for row in rows.run("list_organizations")}

    def learn_organization(self, workspace_id: int, organization_id: int, now: float) -> None:
        """Record the organization of a workspace, and move what was charged to the workspace's own lane there."""
        with self._open(now) as rows:
            rows.run("save_organization", workspace_id=workspace_id, organization_id=organization_id)
            old, new = quota.workspace_lane(workspace_id), quota.organization_lane(organization_id)
            for query in ("move_lane", "move_in_flight", "move_claims"):
                rows.run(query, old=old, new=new)
            for query in ("remove_lane", "remove_claims"):
                rows.run(query, old=old)

    @contextmanager
    def _open(self, now: float) -> Iterator[_Rows]:
        with self._file.transaction() as connection:
            yield _Rows(connection, self._token, now)


@dataclass(frozen=True)
class _LaneRecord:
    """A lane as it is stored, and the last permit that was granted when it was reported."""

    lane: Lane
    permit: int


class _Rows:
    """The rows of one token in an open transaction, as the values that decisions are made of."""

    def __init__(self, connection: sqlite3.Connection, token: str, now: float) -> None:
        self.now = now
        self._connection = connection
        self._token = token

    def run(self, query: str, **values: Any) -> list[tuple[Any, ...]]:
        """Run a statement of ``state.sql`` and return its rows."""
        return self._connection.execute(STATEMENTS[query], {"token": self._token, "now": self.now, **values}).fetchall()

    def forget_old(self) -> None:
        """Forget requests of processes that died, and all that is from before the clock was set back."""
        self.run("forget_in_flight", oldest=self.now - LEASE_SECONDS, newest=self.now + 60)
        self.run("forget_claims", newest=self.now + 2 * quota.WINDOW_SECONDS)

    def find_charged_lane(self, lane: str) -> str:
        """Return the lane that a request counts in: another process may have learned a workspace's organization."""
        kind, _, number = lane.partition(":")
        found = self.run("find_organization", workspace_id=int(number)) if kind == "workspace" else []
        return quota.organization_lane(found[0][0]) if found else lane

    def find_lane(self, lane: str) -> _LaneRecord:
        for total, remaining, resets_at, reported_at, permit in self.run("find_lane", lane=lane):
            # After the clock was set back nobody knows when the lane resets.
            if self.now >= reported_at - leaky_bucket.CLOCK_TOLERANCE:
                return _LaneRecord(Lane(total, remaining, resets_at), permit)
        return _LaneRecord(Lane(), permit=-1)

    def save_lane(self, lane: str, state: Lane) -> None:
        self.run("save_lane", lane=lane, permit=self.find_bucket().permit, **asdict(state))
        if state.resets_at is not None:
            self.run("set_window_end", lane=lane, resets_at=state.resets_at)

    def find_bucket(self) -> BucketState:
        found = self.run("find_bucket")
        return BucketState(*found[0]) if found else BucketState()

    def save_bucket(self, state: BucketState) -> None:
        self.run("save_bucket", **asdict(state))

    def count_in_flight(self, lane: str) -> int:
        return int(self.run("count_in_flight", lane=lane)[0][0])

    def charge(self, lane: str, permit: int, claimant: Claimant | None, state: Lane) -> None:
        """Count a granted request as in flight, for its claimant and for its hour."""
        self.run("add_in_flight", permit=permit, lane=lane)
        counted_until = self.now + quota.WINDOW_SECONDS if state.resets_at is None else state.resets_at
        name = claimant.name if claimant else ""
        self.run("charge_claim", lane=lane, name=name, counted_until=counted_until)
        hour = int(self.now // HOUR)
        self.run("count_usage", lane=lane, hour=hour, total=state.total)
        self.run("forget_usage", lane=lane, oldest=hour - KEPT_HOURS)

    def count_taken(self, lane: str, name: str) -> int:
        found = self.run("count_taken", lane=lane, name=name)
        return int(found[0][0]) if found else 0

    def list_rivals(self, lane: str, name: str) -> list[Rival]:
        return [Rival(taken, wanted) for taken, wanted in self.run("list_rivals", lane=lane, name=name)]


def _refuse(
    rows: _Rows, lane: str, claimant: Claimant | None, *, spare: int | None, resets_at: float | None, pace: Pace
) -> QuotaSpent | ShareSpent | None:
    """Return why a claimant gets none of the spare requests, None if it gets one. Record its claim in either case."""
    refusal: QuotaSpent | ShareSpent | None = None
    if spare is not None and spare <= 0:
        refusal = None if resets_at is None else QuotaSpent(resets_at)
    elif spare is not None and claimant is not None:
        rivals = rows.list_rivals(lane, claimant.name)
        if not may_take(rows.count_taken(lane, claimant.name), rivals, spare):
            back_at = share_returns_at(spare, pace.interval, resets_at, rows.now)
            seconds = max(leaky_bucket.MIN_WAIT, min(pace.interval, back_at - rows.now))
            refusal = ShareSpent(seconds, back_at)
    if claimant is not None:
        waits_until = refusal.resets_at if isinstance(refusal, QuotaSpent) else None
        alive_until = claim_ends_at(waits_until, rows.now)
        rows.run("save_claim", lane=lane, name=claimant.name, wanted=claimant.wanted, alive_until=alive_until)
    return refusal
