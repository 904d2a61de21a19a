"""The state of a connection: what is known of it, and for each part one state that says whether somebody must act.

This is the one definition of these states: the page, ``airflow toggl status``, the doctor and the alert rules of the
documentation go by it. Pure.

=================  ===================================================================================================
level              meaning
=================  ===================================================================================================
``attention``      somebody must act
``unknown``        it could not be found out; the reason is given
``waiting``        a task waits or a first load goes on; it goes on by itself
``good``           as it should be
``unused``         this connection does not use the part
=================  ===================================================================================================
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from airflow_provider_toggl.core.client.limits.quota import PUBLISHED_QUOTAS
from airflow_provider_toggl.core.clock import utc
from airflow_provider_toggl.core.wording import plural

if TYPE_CHECKING:
    from airflow_provider_toggl.core.operate.health.waiting import WaitingTask

Level = Literal["attention", "unknown", "waiting", "good", "unused"]
LEVELS: tuple[Level, ...] = ("attention", "unknown", "waiting", "good", "unused")
"""The state of a connection is the first of these that one of its parts has."""

PARTS = ("subscription", "freshness", "landing", "quota", "reconciliation", "waiting")
"""The parts of a connection, in the order in which they are shown."""

STALE_AFTER = timedelta(hours=26)
"""A stream whose watermark is older missed a daily run: a day, and what a nightly run may take."""
OUTDATED_AFTER = timedelta(days=8)
"""A reconciliation that is older missed a weekly run; a subscription not heard of for so long is not known any more."""
PENDING_TOO_LONG = timedelta(hours=1)
"""An event that has waited longer to be landed was missed by runs that changes start."""
MAX_PENDING = 500
"""Events that wait to be landed are counted up to this number."""

NOT_USED = "not used"


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
class StreamFreshness:
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
class LaneQuota:
    """What is left of a lane of the quota, as last told to this host.

    :param total: requests of a window; before Toggl tells it, the most that was ever left and one.
    :param resets_at: None: with the first request.
    """

    lane: str
    total: int | None
    remaining: int | None
    resets_at: datetime | None


@dataclass(frozen=True)
class LastReconciliation:
    """What the last reconciliation of a workspace proved.

    :param refused: why it stopped before marking what is missing, None where it did not.
    :param warehouse: connection and schema; empty where an earlier version of this package noted it.
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
    warehouse: str = ""


@dataclass(frozen=True)
class ConsumerPosition:
    """A named reader of the event store.

    :param behind: events that it has not read.
    :param waiting_since: when the oldest of these that it is to land was received, None where there is none.
    :param lands_in: the warehouse that it lands this connection's events in, None where it does something else.
    :param pending: events of this connection that it is to land, counted up to ``MAX_PENDING``.
    """

    name: str
    seq: int
    behind: int
    updated_at: datetime
    waiting_since: datetime | None = None
    lands_in: str | None = None
    pending: int = 0


@dataclass(frozen=True)
class DeclaredSubscription:
    """The subscription that a task last declared for a connection."""

    description: str
    enabled: bool = True


@dataclass(frozen=True)
class Finding:
    """The state of one part of a connection.

    :param label: a number or two words, for a cell of a table.
    :param text: the facts behind it, in a line.
    :param at: a moment that belongs to the label: when the quota resets, when a task goes on.
    """

    part: str
    level: Level
    label: str
    text: str
    at: datetime | None = None


@dataclass(frozen=True)
class Health:
    """All that is known of a connection.

    :param at: when this was put together.
    :param receives: whether the receiver of this host takes its deliveries.
    :param has_secret: whether the connection has a webhook secret.
    :param declared: what a task last declared, None where none did.
    :param subscriptions: None where Toggl was never asked.
    :param told_at: when Toggl listed them.
    :param last_delivery: when the last one was stored, None where the store has none.
    :param refused: how many deliveries were refused in the last day.
    :param allowances: workspaces of which a person allows one run to mark any number of entries absent.
    :param waiting: tasks that wait for Toggl, by the end of their wait.
    :param unknown: parts that could not be found out, and why.
    """

    conn_id: str
    at: datetime
    workspace_id: int | None = None
    receives: bool = False
    has_secret: bool = False
    declared: DeclaredSubscription | None = None
    subscriptions: tuple[SubscriptionState, ...] | None = None
    told_at: datetime | None = None
    last_delivery: datetime | None = None
    last_seq: int = 0
    refused: int = 0
    streams: tuple[StreamFreshness, ...] = ()
    lanes: tuple[LaneQuota, ...] = ()
    reconciled: tuple[LastReconciliation, ...] = ()
    readers: tuple[ConsumerPosition, ...] = ()
    allowances: tuple[int, ...] = ()
    waiting: tuple[WaitingTask, ...] = ()
    unknown: dict[str, str] = field(default_factory=dict)

    def findings(self) -> tuple[Finding, ...]:
        """Return the state of each part, in the order of ``PARTS``; of a connection that is not there, that alone."""
        if "connection" in self.unknown:
            return (Finding("connection", "attention", "not found", self.unknown["connection"]),)
        return tuple(
            Finding(part, "unknown", "unknown", self.unknown[part]) if part in self.unknown else _STATES[part](self)
            for part in PARTS
        )

    @property
    def level(self) -> Level:
        """The state of the connection: the first of ``LEVELS`` that one of its parts has."""
        levels = {finding.level for finding in self.findings()}
        return next(level for level in LEVELS if level in levels)

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
            "waiting": [one.as_dict() for one in self.waiting],
            "unknown": self.unknown,
            "findings": [_plain(one) for one in self.findings()],
        }


def find_own(health: Health) -> tuple[SubscriptionState, ...]:
    """Return the subscriptions that deliver for this connection; all of them where none can be told apart."""
    known = health.subscriptions or ()
    described = None if health.declared is None else health.declared.description
    own = tuple(
        one
        for one in known
        if one.description == described or one.callback_url.rstrip("/").endswith(f"/toggl/webhooks/{health.conn_id}")
    )
    return own or known


def _subscription(health: Health) -> Finding:
    part = "subscription"
    wanted = health.receives or health.declared is not None
    facts = ["no delivery stored" if health.last_delivery is None else _delivered(health, health.last_delivery)]
    if health.refused:
        facts.append(f"{health.refused:,} refused in 24 h")
    if health.subscriptions is None:
        if not (wanted or health.has_secret or health.last_delivery):
            return Finding(part, "unused", NOT_USED, "no webhooks")
        return Finding(part, "unknown", "not checked", _line("Toggl was not asked for subscriptions yet", *facts))
    if not health.subscriptions:
        if not wanted:
            return Finding(part, "unused", NOT_USED, "no subscription in Toggl, and none declared")
        return Finding(part, "attention", "missing", _line("no subscription in Toggl", *facts))
    return _own_subscriptions(health, facts)


def _own_subscriptions(health: Health, facts: list[str]) -> Finding:
    """Return the state of subscriptions that are there."""
    part = "subscription"
    own = find_own(health)
    off = [one for one in own if not (one.enabled and one.validated) and not _is_off_as_declared(health, one)]
    if off:
        names = [f"subscription {one.subscription_id} is {_fault(one)}" for one in off]
        return Finding(part, "attention", _fault(off[0]), _line(*names, *facts))
    if not any(one.enabled for one in own):
        return Finding(part, "unused", "disabled", _line("disabled, as declared", *facts))
    heard = max(moment for moment in (health.told_at, health.last_delivery, _EARLIEST) if moment is not None)
    if health.at - heard > OUTDATED_AFTER:
        return Finding(part, "unknown", "not checked", _line(f"last checked {ago(heard, health.at)}", *facts))
    # Whatever was delivered since the list came shows that the queue moves.
    told = health.told_at or _EARLIEST
    if any(one.pending for one in own) and (health.last_delivery is None or health.last_delivery <= told):
        return Finding(part, "attention", "undelivered", _line("Toggl has events that it could not deliver", *facts))
    return Finding(part, "good", "enabled", _line("enabled", *facts))


def _is_off_as_declared(health: Health, one: SubscriptionState) -> bool:
    declared = health.declared
    is_declared = declared is not None and not declared.enabled and declared.description == one.description
    return is_declared and not one.enabled


def _fault(one: SubscriptionState) -> str:
    return "not validated" if one.enabled else "disabled"


def _delivered(health: Health, moment: datetime) -> str:
    return f"last delivery {ago(moment, health.at)}"


def _freshness(health: Health) -> Finding:
    part = "freshness"
    waiting = [one for one in health.waiting if one.stream is not None]
    known = [(one.watermark, one) for one in health.streams if one.watermark is not None]
    loading = [one for one in health.streams if one.watermark is None]
    loaded = [one for _, one in known]
    first = [one for one in waiting if not any(_is_loaded_by(one, stream) for stream in loaded)]
    names = {one.stream for one in loading} | {str(one.stream) for one in first}
    facts = []
    if names:
        rows = sum(one.rows_done or 0 for one in first)
        facts.append(f"first load of {', '.join(sorted(names))}" + (f", {plural(rows, 'row')} so far" if rows else ""))
    idle = [one for one in health.streams if not any(_is_loaded_by(task, one) for task in waiting)]
    late = [one for one in loading if one in idle and health.at - (one.ran_at or health.at) > STALE_AFTER]
    if not known:
        if not names:
            return Finding(part, "unused", NOT_USED, "no stream was loaded yet")
        return Finding(part, "attention" if late else "waiting", "first load", _line(*facts))
    oldest, stream = min(known, key=lambda one: one[0])
    where = f" in {stream.warehouse}" if stream.warehouse else ""
    facts.insert(0, f"{plural(len(known), 'stream')}, oldest {stream.stream}{where}, {ago(oldest, health.at)}")
    stale = [one for watermark, one in known if health.at - watermark > STALE_AFTER]
    label = span(max(0.0, (health.at - oldest).total_seconds()))
    if late or any(one in idle for one in stale):
        return Finding(part, "attention", label, _line(*facts))
    return Finding(part, "waiting" if stale or names else "good", "first load" if names else label, _line(*facts))


def _is_loaded_by(task: WaitingTask, stream: StreamFreshness) -> bool:
    """Whether a waiting task loads a stream of a warehouse; records of earlier versions name no warehouse."""
    return task.stream == stream.stream and task.warehouse in ("", stream.warehouse)


def _landing(health: Health) -> Finding:
    part = "landing"
    landing = [one for one in health.readers if one.lands_in is not None]
    if not landing:
        return Finding(part, "unused", NOT_USED, "no task lands events")
    late = [
        one for one in landing if one.waiting_since is not None and health.at - one.waiting_since > PENDING_TOO_LONG
    ]
    count = max(one.pending for one in late or landing)
    label = f"{count:,}{'+' if count >= MAX_PENDING else ''} pending"
    if not late:
        return Finding(part, "good", label, "every event landed" if not count else f"{label}, to be landed")
    facts = [f"{one.lands_in}: the oldest came {ago(one.waiting_since or health.at, health.at)}" for one in late]
    return Finding(part, "attention", label, _line(label, *facts))


def _quota(health: Health) -> Finding:
    part = "quota"
    waiting = [one for one in health.waiting if one.reason == "quota" and one.until > health.at]
    lanes = [_lane_text(lane, health.at) for lane in health.lanes]
    known = [(lane.remaining, lane) for lane in health.lanes if lane.remaining is not None]
    if waiting:
        lanes.append(f"{plural(len(waiting), 'task')} waiting")
    if not known:
        if waiting:
            return Finding(part, "waiting", "used up", _line(*lanes), waiting[0].until)
        label = "no requests" if not health.lanes else "not known"
        return Finding(part, "unused", label, _line(*(lanes or ["no request of this token left this host"])))
    left, lane = min(known, key=lambda one: one[0] / (one[1].total or max(1, one[0])))
    label = f"{left} / {lane.total}{_or_more(lane, '+')}" if lane.total is not None else str(left)
    resets = lane.resets_at if not waiting else waiting[0].until
    level: Level = "waiting" if waiting or any(not number for number, _ in known) else "good"
    return Finding(part, level, label, _line(*lanes), resets)


def _lane_text(lane: LaneQuota, now: datetime) -> str:
    if lane.remaining is None:
        return f"{lane.lane}: not known"
    total = "" if lane.total is None else f" of {lane.total}{_or_more(lane, ' or more')}"
    resets = "" if lane.resets_at is None else f", resets {ago(lane.resets_at, now)}"
    return f"{lane.lane}: {lane.remaining}{total} left{resets}"


def _or_more(lane: LaneQuota, words: str) -> str:
    """Return the words where the total may be larger: before Toggl tells it, it is the most that was ever left."""
    return "" if lane.total in PUBLISHED_QUOTAS.values() else words


def _reconciliation(health: Health) -> Finding:
    part = "reconciliation"
    if not health.reconciled:
        return Finding(part, "unused", NOT_USED, "never reconciled")
    states = [_reconciled(one, health) for one in health.reconciled]
    worst = min(states, key=lambda one: LEVELS.index(one.level))
    return Finding(part, worst.level, worst.label, _line(*(one.text for one in states)))


def _reconciled(one: LastReconciliation, health: Health) -> Finding:
    part, when = "reconciliation", span(max(0.0, (health.at - one.ran_at).total_seconds()))
    facts = [f"{when} ago: {plural(one.entries, 'entry')}"]
    facts += [f"{number:,} {word}" for number, word in _repairs(one) if number]
    if one.refused:
        return Finding(part, "attention", "refused", f"{when} ago: refused to mark many entries absent")
    if one.unproved:
        return Finding(
            part, "attention", f"{one.unproved:,} unproved", ", ".join([*facts, f"{one.unproved:,} unproved"])
        )
    return Finding(part, "attention" if health.at - one.ran_at > OUTDATED_AFTER else "good", when, ", ".join(facts))


def _repairs(one: LastReconciliation) -> tuple[tuple[int, str], ...]:
    return (one.added, "added"), (one.edited, "edited"), (one.deleted, "deleted")


def _waiting(health: Health) -> Finding:
    part = "waiting"
    if not health.waiting:
        return Finding(part, "unused", "none", "no task waits")
    first = health.waiting[0]
    facts = [_waiting_text(one, health.at) for one in health.waiting]
    return Finding(part, "waiting", plural(len(health.waiting), "task"), _line(*facts), first.until)


def _waiting_text(one: WaitingTask, now: datetime) -> str:
    until = f"until {to_the_second(one.until)}" if one.until > now else "about to go on"
    left = "" if one.requests_left is None else f" of about {one.requests_done + one.requests_left:,} known so far"
    done = "" if one.done_at is None else f", done about {to_the_second(one.done_at)} or later"
    return f"{one.task} waits for {one.what_for}, {until}; {plural(one.requests_done, 'request')} sent{left}{done}"


def _line(*facts: str) -> str:
    return "; ".join(facts)


_EARLIEST = utc(0.0)
_STATES: dict[str, Callable[[Health], Finding]] = {
    "subscription": _subscription,
    "freshness": _freshness,
    "landing": _landing,
    "quota": _quota,
    "reconciliation": _reconciliation,
    "waiting": _waiting,
}


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


def to_the_second(moment: datetime) -> str:
    """Return a moment for people to read, in UTC."""
    return f"{utc(moment.timestamp()):%Y-%m-%dT%H:%M:%SZ}"


def instant(moment: datetime | None) -> str | None:
    """Return a moment as RFC 3339, in UTC."""
    return None if moment is None else utc(moment.timestamp()).isoformat().replace("+00:00", "Z")


def _plain(value: Any) -> dict[str, Any]:
    """Return a flat value of this module as JSON has it."""
    return {
        name: instant(one) if isinstance(one, datetime) else list(one) if isinstance(one, tuple) else one
        for name, one in vars(value).items()
    }
