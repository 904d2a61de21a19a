"""How a connection is: what is known of it, and what of that somebody should look at. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from airflow_provider_toggl.core.clock import utc

Level = Literal["good", "attention", "unknown"]

STALE = timedelta(hours=26)
"""A stream whose watermark is older was missed by a daily run."""
UNPROVED = timedelta(days=8)
"""A reconciliation that is older was missed by a weekly run."""

WAITING = timedelta(hours=1)
"""An event that waits longer to be landed was missed by runs that changes start."""


@dataclass(frozen=True)
class SubscriptionState:
    """A webhook subscription as Toggl last told it.

    :param pending: whether Toggl has events that it could not deliver yet.
    """

    subscription_id: int
    description: str
    enabled: bool
    validated: bool
    pending: bool
    callback_url: str = ""
    filters: tuple[str, ...] = ()


@dataclass(frozen=True)
class Freshness:
    """How fresh a stream is in a warehouse.

    :param watermark: every change up to then, by Toggl's clock, is landed; None while the first load goes on.
    :param ran_at: when it was last landed.
    :param event_at: when the newest event of it was received, None where the store has none.
    :param warehouse: connection and schema.
    """

    stream: str
    workspace_id: int
    watermark: datetime | None
    ran_at: datetime | None
    event_at: datetime | None
    warehouse: str = ""


@dataclass(frozen=True)
class LaneLeft:
    """What is left of a lane of the quota, as last told to this host.

    :param resets_at: None: with the first request.
    """

    lane: str
    total: int | None
    remaining: int | None
    resets_at: datetime | None


@dataclass(frozen=True)
class Reconciled:
    """What the last reconciliation of a workspace proved.

    :param refused: why it stopped before marking what is missing, None where it did not.
    """

    workspace_id: int
    ran_at: datetime
    first: str | None
    last: str | None
    entries: int
    added: int
    edited: int
    deleted: int
    unproved: int
    reasons: tuple[str, ...] = ()
    refused: str | None = None


@dataclass(frozen=True)
class ReaderPlace:
    """A named reader of the event store.

    :param behind: events that it has not read.
    :param waiting_since: when the oldest of these that it is to land was received, None where there is none.
    :param lands_in: the warehouse that it lands this connection's events in, None where it does something else.
    """

    name: str
    seq: int
    behind: int
    updated_at: datetime
    waiting_since: datetime | None = None
    lands_in: str | None = None


@dataclass(frozen=True)
class Finding:
    """One thing to say of a part of it."""

    part: str
    level: Level
    text: str


@dataclass(frozen=True)
class Health:
    """All that is known of a connection.

    :param at: when this was put together.
    :param subscriptions: None where Toggl was not asked yet.
    :param told_at: when Toggl told of them.
    :param last_delivery: when the last one was stored, None where the store has none.
    :param refused: how many deliveries were refused in the last day.
    :param allowances: workspaces of which a person allows one run to mark any number of entries absent.
    :param unknown: parts that could not be found out, and why.
    """

    conn_id: str
    at: datetime
    workspace_id: int | None = None
    receives: bool = False
    subscriptions: tuple[SubscriptionState, ...] | None = None
    told_at: datetime | None = None
    last_delivery: datetime | None = None
    last_seq: int = 0
    refused: int = 0
    streams: tuple[Freshness, ...] = ()
    lanes: tuple[LaneLeft, ...] = ()
    reconciled: tuple[Reconciled, ...] = ()
    readers: tuple[ReaderPlace, ...] = ()
    allowances: tuple[int, ...] = ()
    unknown: dict[str, str] = field(default_factory=dict)

    def findings(self) -> tuple[Finding, ...]:
        """Return what there is to say, part by part, each with how good it is."""
        return tuple(judge(self))

    @property
    def level(self) -> Level:
        """The worst of its findings."""
        levels = {finding.level for finding in self.findings()}
        return "attention" if "attention" in levels else "unknown" if "unknown" in levels else "good"

    def line(self) -> str:
        """Return it in a line."""
        return "; ".join(finding.text for finding in self.findings())

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain JSON, instants as RFC 3339."""
        return {
            "conn_id": self.conn_id,
            "at": instant(self.at),
            "level": self.level,
            "workspace_id": self.workspace_id,
            "receives": self.receives,
            "subscriptions": None if self.subscriptions is None else [_plain(one) for one in self.subscriptions],
            "subscriptions_told_at": instant(self.told_at),
            "last_delivery": instant(self.last_delivery),
            "last_seq": self.last_seq,
            "refused_last_day": self.refused,
            "streams": [_plain(one) for one in self.streams],
            "quota": [_plain(one) for one in self.lanes],
            "reconciled": [_plain(one) for one in self.reconciled],
            "readers": [_plain(one) for one in self.readers],
            "mass_absence_allowed": list(self.allowances),
            "unknown": self.unknown,
            "findings": [_plain(one) for one in self.findings()],
        }


def judge(health: Health) -> list[Finding]:
    """Return the findings of a connection: what waits for a person, what is not known, and what is good."""
    found = [_judge_subscription(health), *_judge_landing(health), *_judge_streams(health)]
    found += [*_judge_quota(health), *_judge_proof(health)]
    found += [
        Finding(part, "unknown", f"{part} unknown, because {reason}")
        for part, reason in health.unknown.items()
        if part not in {one.part for one in found if one.level == "unknown"}
    ]
    return found


def _judge_subscription(health: Health) -> Finding:
    part = "subscription"
    heard = "no delivery is kept"
    if health.last_delivery is not None:
        heard = f"last delivery {ago(health.last_delivery, health.at)}"
    if health.subscriptions is None:
        reason = health.unknown.get(part, "Toggl was not asked yet")
        return Finding(part, "unknown", f"subscription unknown, because {reason}; {heard}")
    if not health.subscriptions:
        level: Level = "attention" if health.receives else "good"
        return Finding(part, level, "no subscription in Toggl")
    off = [one for one in health.subscriptions if not (one.enabled and one.validated)]
    waiting = [one for one in health.subscriptions if one.pending]
    words = [f"subscription {one.subscription_id} {_state(one)}" for one in off]
    if len(off) < len(health.subscriptions):
        words.append("subscription enabled and validated")
    words.append("events are pending in Toggl" if waiting else "nothing pending")
    words.append(heard)
    if health.refused:
        words.append(f"{health.refused:,} refused in the last day")
    return Finding(part, "attention" if off or waiting else "good", ", ".join(words))


def _state(one: SubscriptionState) -> str:
    return f"{'enabled' if one.enabled else 'disabled'} and {'validated' if one.validated else 'not validated'}"


def _judge_landing(health: Health) -> list[Finding]:
    """Return what waits to be landed; nothing where no task lands events."""
    part = "landing"
    landing = [one for one in health.readers if one.lands_in is not None]
    waiting = [(one.waiting_since, one) for one in landing if one.behind and one.waiting_since is not None]
    found = [
        Finding(
            part,
            "attention",
            f"events wait for {one.lands_in}: {one.behind:,}, the oldest came {ago(since, health.at)}",
        )
        for since, one in waiting
        if health.at - since > WAITING
    ]
    if landing and not found:
        text = (
            f"events about to be landed: {sum(one.behind for _, one in waiting):,}" if waiting else "every event landed"
        )
        found.append(Finding(part, "good", text))
    return found


def _judge_streams(health: Health) -> list[Finding]:
    part = "freshness"
    if not health.streams:
        reason = health.unknown.get(part, "no landing is noted yet")
        return [Finding(part, "unknown", f"freshness unknown, because {reason}")]
    loading = [one.stream for one in health.streams if one.watermark is None and one.ran_at is not None]
    known = [(one.watermark, one.stream) for one in health.streams if one.watermark is not None]
    words: list[str] = []
    level: Level = "good"
    if known:
        oldest, stream = min(known)
        stale = health.at - oldest > STALE
        level = "attention" if stale else "good"
        words.append(f"fresh up to {ago(oldest, health.at)} ({stream} is the oldest of {len(known)})")
    if loading:
        words.append(f"first load of {', '.join(loading)} goes on")
    return [Finding(part, level, ", ".join(words))]


def _judge_quota(health: Health) -> list[Finding]:
    part = "quota"
    if not health.lanes:
        reason = health.unknown.get(part, "no request of this token has left this host")
        return [Finding(part, "unknown", f"quota unknown, because {reason}")]
    words: list[str] = []
    for lane in health.lanes:
        if lane.remaining is None:
            words.append(f"what is left for {lane.lane} was not told")
            continue
        total = "" if lane.total is None else f" of {lane.total}"
        resets = "" if lane.resets_at is None else f" (resets {ago(lane.resets_at, health.at)})"
        words.append(f"{lane.remaining}{total} requests left for {lane.lane}{resets}")
    left = [lane.remaining for lane in health.lanes if lane.remaining is not None]
    level: Level = "unknown" if not left else "attention" if 0 in left else "good"
    return [Finding(part, level, ", ".join(words))]


def _judge_proof(health: Health) -> list[Finding]:
    part = "reconciliation"
    if not health.reconciled:
        reason = health.unknown.get(part, "none is noted yet")
        return [Finding(part, "unknown", f"reconciliation unknown, because {reason}")]
    found = []
    for one in health.reconciled:
        when = ago(one.ran_at, health.at)
        if one.refused:
            found.append(Finding(part, "attention", f"reconciled {when}: refused to mark many entries absent"))
            continue
        changed = [f"{n:,} {word}" for n, word in _repairs(one) if n]
        text = f"reconciled {when}: {one.entries:,} entries as in Toggl" + (
            f" after repairs ({', '.join(changed)})" if changed else ""
        )
        if one.unproved:
            text += f", {one.unproved:,} not proved"
        late = health.at - one.ran_at > UNPROVED
        found.append(Finding(part, "attention" if one.unproved or late else "good", text))
    return found


def _repairs(one: Reconciled) -> tuple[tuple[int, str], ...]:
    return (one.added, "added"), (one.edited, "edited"), (one.deleted, "deleted")


def ago(moment: datetime, now: datetime) -> str:
    """Return how long ago a moment was, or how long it is until then, as a person says it."""
    seconds = (now - moment).total_seconds()
    return f"{span(seconds)} ago" if seconds >= 0 else f"in {span(-seconds)}"


def span(seconds: float) -> str:
    """Return a time in its largest sensible unit."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def instant(moment: datetime | None) -> str | None:
    """Return a moment as RFC 3339, in UTC."""
    return None if moment is None else utc(moment.timestamp()).isoformat().replace("+00:00", "Z")


def _plain(value: Any) -> dict[str, Any]:
    """Return a flat value of this module as JSON has it."""
    return {
        name: instant(one) if isinstance(one, datetime) else list(one) if isinstance(one, tuple) else one
        for name, one in vars(value).items()
    }
