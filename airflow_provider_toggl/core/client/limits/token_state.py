"""The rate limits of one token: all that is known about them, and each decision about the next request. No I/O.

A :class:`~.store.StateStore` keeps a :class:`TokenState` for all processes that use the token. All times are
seconds since the epoch by the store's clock, all durations seconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from airflow_provider_toggl.core.client.limits import leaky_bucket, permit_queue, quota
from airflow_provider_toggl.core.client.limits.fair_shares import (
    Claimant,
    Rival,
    claim_ends_at,
    may_take,
    share_returns_at,
)
from airflow_provider_toggl.core.client.limits.leaky_bucket import BucketState, Pace
from airflow_provider_toggl.core.client.limits.permit_queue import QueueEntry
from airflow_provider_toggl.core.client.limits.quota import Lane, QuotaReading

#: A request without a response counts as in flight for this many seconds. After that its process has died.
LEASE_SECONDS = 180.0
#: A bucket that granted no permit for this many seconds is removed. With a bucket for each host, pods leave theirs.
BUCKET_EXPIRY_SECONDS = 86_400.0
#: A claimant that was held back asks again after 1/SHARE_CHECKS of the time that the others need to use their shares.
SHARE_CHECKS = 3


@dataclass(frozen=True)
class Permit:
    """Permission to send one request now. The request is already charged to its lane.

    :param number: permits of a token are numbered in the order in which they were granted.
    :param lane: the lane that it was charged to.
    :param total: requests that one window of the lane has; None while unknown.
    """

    number: int
    lane: str
    total: int | None = None


@dataclass(frozen=True)
class Wait:
    """No permit yet: ask again after so many seconds."""

    seconds: float


@dataclass(frozen=True)
class QuotaSpent:
    """No permit: the lane has no requests left until ``resets_at``."""

    resets_at: float


@dataclass(frozen=True)
class ShareSpent:
    """No permit: what is left is the share of other tasks.

    :param seconds: when to ask again.
    :param back_at: when the others can have used their share.
    """

    seconds: float
    back_at: float


@dataclass(frozen=True)
class PermitRequest:
    """A request for a permit.

    :param process: the name of the process, the same each time it asks.
    :param claimant: the task that shares the lane with others; None for single requests, which never wait for the
        shares of others.
    :param host: the name of the host.
    """

    process: str
    claimant: Claimant | None = None
    host: str = ""

    @property
    def queue_name(self) -> str:
        """The name in the queue. A task has the same in each process, so it keeps its place while it is deferred."""
        return self.claimant.name if self.claimant else self.process


@dataclass
class InFlight:
    """A request that was sent and not answered yet."""

    lane: str
    granted_at: float


@dataclass(frozen=True)
class LaneRecord:
    """A lane at its last report.

    :param reported_at: when that was.
    :param permit: the last permit that had been granted then.
    """

    lane: Lane = field(default_factory=Lane)
    reported_at: float = 0.0
    permit: int = -1


@dataclass
class Claim:
    """What a claimant took of a window, and wants.

    :param taken: requests that it was granted in the window that ends at ``counted_until``.
    :param wanted: how many more it wants; None for as many as it can get.
    :param alive_until: until when it wants more.
    :param host: where it asked last.
    """

    taken: int = 0
    counted_until: float = 0.0
    wanted: int | None = None
    alive_until: float = 0.0
    host: str = ""

    def taken_at(self, now: float) -> int:
        """Return what it took of the current window."""
        return self.taken if self.counted_until > now else 0


@dataclass
class TokenState:
    """All that is known about the limits of a token.

    It holds hints and no data: losing it costs at most one refused request.

    :param permits: how many permits were granted.
    :param buckets: the leaky bucket of each pace scope; the empty scope is all hosts.
    :param queues: who waits for the next permit of each bucket.
    :param in_flight: by number of the permit.
    :param lanes: by name.
    :param organizations: the organization of each known workspace.
    :param claims: by lane and name of the claimant; an empty name stands for requests without a claimant.
    """

    permits: int = 0
    buckets: dict[str, BucketState] = field(default_factory=dict)
    queues: dict[str, list[QueueEntry]] = field(default_factory=dict)
    in_flight: dict[int, InFlight] = field(default_factory=dict)
    lanes: dict[str, LaneRecord] = field(default_factory=dict)
    organizations: dict[int, int] = field(default_factory=dict)
    claims: dict[str, dict[str, Claim]] = field(default_factory=dict)

    def acquire(
        self, lane: str, request: PermitRequest, *, pace: Pace, reserve: int, now: float, scope: str = ""
    ) -> Permit | Wait | QuotaSpent | ShareSpent:
        """Charge one request to a lane and grant a permit for it, or return why there is none.

        :param reserve: requests of the lane that are kept back for people.
        :param scope: hosts with the same scope share one bucket, and so one pace; empty: all hosts.
        """
        self._forget_old(now)
        charged = self.charged_lane(lane)
        state = self.lane(charged, now)
        in_flight = sum(one.lane == charged for one in self.in_flight.values())
        spare = quota.spare(state, in_flight, reserve)
        refusal = self._refuse(charged, request, spare=spare, resets_at=state.resets_at, pace=pace, now=now)
        queue = self.queues.setdefault(scope, [])
        if refusal is not None:
            permit_queue.remove(queue, request.queue_name)
            return refusal
        bucket = self.buckets.get(scope, BucketState())
        seconds = leaky_bucket.seconds_to_wait(bucket, pace, now)
        ahead = permit_queue.count_ahead(queue, request.queue_name, now)
        if seconds > 0 or ahead > 0:
            seconds = max(leaky_bucket.MIN_WAIT, seconds + ahead * leaky_bucket.seconds_per_permit(bucket, pace))
            permit_queue.enqueue(queue, request.queue_name, now + seconds)
            return Wait(seconds)
        permit_queue.remove(queue, request.queue_name)
        self.permits += 1
        self.buckets[scope] = leaky_bucket.grant(bucket, self.permits, now)
        self.in_flight[self.permits] = InFlight(charged, now)
        self._charge(charged, request, now + quota.WINDOW_SECONDS if state.resets_at is None else state.resets_at, now)
        return Permit(self.permits, charged, state.total)

    def release(self, permit: Permit, reading: QuotaReading | None, now: float, *, scope: str = "") -> Lane:
        """Record that the request of a permit was answered or failed, and return its lane after that."""
        charged = self.charged_lane(permit.lane)
        self.in_flight.pop(permit.number, None)
        bucket = self.buckets.get(scope, BucketState())
        self.buckets[scope] = leaky_bucket.record_answer(bucket, permit.number, now)
        known = self._find_record(charged, now)
        if reading is None:
            state = quota.charge_unreported(known.lane, now)
        else:
            state = quota.learn(known.lane, reading, overtaken=known.permit >= permit.number, now=now)
        self._save_lane(charged, state, now)
        return state

    def record_quota_refusal(self, lane: str, resets_in: float | None, now: float) -> float:
        """Record that Toggl refused a request for quota, and return when the lane resets."""
        charged = self.charged_lane(lane)
        state = quota.close(self._find_record(charged, now).lane, resets_in, now)
        self._save_lane(charged, state, now)
        return state.resets_at or now

    def record_quota(self, lane: str, reported: Lane, now: float) -> None:
        """Record what ``GET /me/quota`` reported about a lane."""
        charged = self.charged_lane(lane)
        self._save_lane(charged, quota.merge_report(self._find_record(charged, now).lane, reported), now)

    def hold_back(self, seconds: float, now: float, *, scope: str = "") -> None:
        """Grant no permit for so long, because Toggl asked for a pause (429)."""
        self.buckets[scope] = leaky_bucket.pause_bucket(self.buckets.get(scope, BucketState()), seconds, now)

    def withdraw(self, name: str) -> None:
        """End all claims of a claimant, so that others may use what is left of its share."""
        for claims in self.claims.values():
            if name in claims:
                claims[name].alive_until = 0.0
        for queue in self.queues.values():
            permit_queue.remove(queue, name)

    def learn_organization(self, workspace_id: int, organization_id: int) -> None:
        """Record the organization of a workspace, and move what was charged to the workspace's own lane there."""
        self.organizations[workspace_id] = organization_id
        old, new = quota.workspace_lane(workspace_id), quota.organization_lane(organization_id)
        if record := self.lanes.pop(old, None):
            self.lanes.setdefault(new, record)
        for one in self.in_flight.values():
            if one.lane == old:
                one.lane = new
        for name, claim in self.claims.pop(old, {}).items():
            self.claims.setdefault(new, {}).setdefault(name, claim)

    def charged_lane(self, lane: str) -> str:
        """Return the lane that a request counts in: another process may have learned a workspace's organization."""
        kind, _, number = lane.partition(":")
        organization = self.organizations.get(int(number)) if kind == "workspace" else None
        return quota.organization_lane(organization) if organization else lane

    def lane(self, lane: str, now: float) -> Lane:
        """Return what is known about a lane."""
        return quota.current(self._find_record(self.charged_lane(lane), now).lane, now)

    def list_lanes(self, now: float) -> dict[str, Lane]:
        """Return what is known about every lane, by name."""
        found = {name: self.lane(name, now) for name in self.lanes}
        return {name: lane for name, lane in found.items() if lane != Lane()}

    def count_taken(self, lane: str, now: float) -> int:
        """Return how many requests of the lane's current window were granted."""
        return sum(claim.taken_at(now) for claim in self.claims.get(self.charged_lane(lane), {}).values())

    def list_claims(self, now: float) -> Iterator[tuple[str, str, Claim]]:
        """Yield lane, name and claim of each claimant that took requests of the current window or wants some."""
        for lane, claims in self.claims.items():
            for name, claim in claims.items():
                if claim.taken_at(now) or claim.alive_until > now:
                    wanted = claim.wanted if claim.alive_until > now else 0
                    yield lane, name, replace(claim, taken=claim.taken_at(now), wanted=wanted)

    def _refuse(
        self, lane: str, request: PermitRequest, *, spare: int | None, resets_at: float | None, pace: Pace, now: float
    ) -> QuotaSpent | ShareSpent | None:
        """Return why a request gets none of the spare ones, None if it gets one; record a claimant's claim."""
        refusal: QuotaSpent | ShareSpent | None = None
        if spare is not None and spare <= 0:
            refusal = None if resets_at is None else QuotaSpent(resets_at)
        claimant = request.claimant
        if claimant is None:
            return refusal
        claims = self.claims.setdefault(lane, {})
        claim = claims.setdefault(claimant.name, Claim())
        if spare is not None and spare > 0:
            rivals = [
                Rival(other.taken_at(now), other.wanted)
                for name, other in claims.items()
                if name != claimant.name and other.alive_until > now
            ]
            if not may_take(claim.taken_at(now), rivals, spare):
                back_at = share_returns_at(spare, pace.interval, resets_at, now)
                seconds = min(back_at - now, max(pace.interval, (back_at - now) / SHARE_CHECKS))
                refusal = ShareSpent(max(leaky_bucket.MIN_WAIT, seconds), back_at)
        claim.wanted, claim.host = claimant.wanted, request.host
        claim.alive_until = claim_ends_at(refusal.resets_at if isinstance(refusal, QuotaSpent) else None, now)
        return refusal

    def _charge(self, lane: str, request: PermitRequest, counted_until: float, now: float) -> None:
        """Count a granted request for its claimant."""
        name = request.claimant.name if request.claimant else ""
        claim = self.claims.setdefault(lane, {}).setdefault(name, Claim())
        claim.taken = claim.taken_at(now) + 1
        claim.counted_until = counted_until
        if claim.wanted is not None:
            claim.wanted -= 1

    def _find_record(self, lane: str, now: float) -> LaneRecord:
        record = self.lanes.get(lane, LaneRecord())
        # After the clock was set back nobody knows when the lane resets.
        return record if now >= record.reported_at - leaky_bucket.CLOCK_TOLERANCE else LaneRecord()

    def _save_lane(self, lane: str, state: Lane, now: float) -> None:
        self.lanes[lane] = LaneRecord(state, now, self.permits)
        if state.resets_at is not None:
            # Every response reports the end of the window again, up to a second apart.
            for claim in self.claims.get(lane, {}).values():
                if claim.counted_until > now:
                    claim.counted_until = state.resets_at

    def _forget_old(self, now: float) -> None:
        """Remove what processes that died or ended left behind, and what is from before the clock was set back."""
        self.in_flight = {
            number: one
            for number, one in self.in_flight.items()
            if now - LEASE_SECONDS <= one.granted_at <= now + leaky_bucket.CLOCK_TOLERANCE
        }
        latest = now + 2 * quota.WINDOW_SECONDS
        self.claims = {
            lane: kept
            for lane, claims in self.claims.items()
            if (
                kept := {
                    name: claim
                    for name, claim in claims.items()
                    if now < max(claim.counted_until, claim.alive_until) <= latest
                }
            )
        }
        for queue in self.queues.values():
            permit_queue.remove_expired(queue, now)
        self.queues = {scope: queue for scope, queue in self.queues.items() if queue}
        self.buckets = {
            scope: bucket
            for scope, bucket in self.buckets.items()
            if now - BUCKET_EXPIRY_SECONDS <= max(bucket.granted_at, bucket.closed_until)
        }
