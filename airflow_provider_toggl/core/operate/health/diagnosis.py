"""The judgement of recorded facts: one finding for each part of a connection. Pure.

The page, ``airflow toggl status`` and the alert rules of the documentation use these statuses and limits, and so does
the doctor for what it has in common with them.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from airflow_provider_toggl.core.client.limits.quota import PUBLISHED_QUOTAS
from airflow_provider_toggl.core.clock import utc
from airflow_provider_toggl.core.instants import format_instant
from airflow_provider_toggl.core.operate.findings import CheckStatus, Finding, ok, unknown, worst_status
from airflow_provider_toggl.core.operate.health.facts import (
    MAX_PENDING,
    Health,
    LaneQuota,
    StreamFreshness,
)
from airflow_provider_toggl.core.operate.health.records import LastReconciliation, SubscriptionState
from airflow_provider_toggl.core.operate.health.waiting import WaitingTask
from airflow_provider_toggl.core.operate.problems import problem
from airflow_provider_toggl.core.wording import ago, duration, plural

STALE_AFTER = timedelta(hours=26)
"""A watermark that is older missed a daily run: a day, and two hours for the run itself."""
OUTDATED_AFTER = timedelta(days=8)
"""A reconciliation that is older missed a weekly run. What is known of a subscription is valid as long."""
PENDING_TOO_LONG = timedelta(hours=1)
"""An event that waits longer was missed by the runs that events start."""

_EARLIEST = utc(0.0)


def diagnose(health: Health) -> tuple[Finding, ...]:
    """Return one finding for each part, in the order of ``PARTS``; for a connection that does not exist, only that."""
    if "connection" in health.unknown:
        return (problem("connection_missing", health.unknown["connection"], "not found"),)
    return tuple(
        unknown(part, health.unknown[part], "unknown") if part in health.unknown else judge(health)
        for part, judge in _JUDGES.items()
    )


def health_as_dict(health: Health) -> dict[str, Any]:
    """Return facts, findings and status of a connection as plain JSON."""
    findings = diagnose(health)
    return {
        **health.as_dict(),
        "status": worst_status(findings).value,
        "findings": [one.as_dict() for one in findings],
    }


def subscription_faults(one: SubscriptionState) -> list[tuple[str, str]]:
    """Return the problems that keep a subscription from delivering, each by its name and its label."""
    faults = [] if one.enabled else [("subscription_disabled", "disabled")]
    return faults if one.validated else [*faults, ("subscription_unvalidated", "not validated")]


def is_for_connection(callback_url: str, conn_id: str) -> bool:
    """Whether a callback leads to the receiver's path of a connection, on any host."""
    return callback_url.rstrip("/").endswith(f"/toggl/webhooks/{conn_id}")


def find_own(health: Health) -> tuple[SubscriptionState, ...]:
    """Return the subscriptions that deliver for this connection; all of them if none can be identified."""
    known = health.subscriptions or ()
    described = None if health.declared is None else health.declared.description
    own = tuple(
        one for one in known if one.description == described or is_for_connection(one.callback_url, health.conn_id)
    )
    return own or known


def quota_text(lane: LaneQuota, now: datetime) -> str:
    """Return the state of a lane: ``user: 18 of 30 left, resets in 30 min``."""
    if lane.remaining is None:
        return f"{lane.lane}: not known"
    total = "" if lane.total is None else f" of {lane.total}{_or_more(lane, ' or more')}"
    resets = "" if lane.resets_at is None else f", resets {ago(lane.resets_at, now)}"
    return f"{lane.lane}: {lane.remaining}{total} left{resets}"


def _subscription(health: Health) -> Finding:
    is_wanted = health.receives or health.declared is not None
    delivered = None if health.last_delivery is None else f"last delivery {ago(health.last_delivery, health.at)}"
    facts = [delivered or "no delivery stored"]
    if health.refused:
        facts.append(f"{health.refused:,} refused in 24 h")
    if health.subscriptions is None:
        if not (is_wanted or health.has_secret or health.last_delivery):
            return _unused("subscription", "no webhooks")
        return unknown("subscription", _join("subscriptions not checked", *facts), "not checked")
    if not health.subscriptions:
        if not is_wanted:
            return _unused("subscription", "no subscription in Toggl, and none declared")
        return problem("no_subscription", _join("no subscription in Toggl", *facts), "missing")
    return _existing_subscription(health, facts)


def _existing_subscription(health: Health, facts: list[str]) -> Finding:
    own = find_own(health)
    faults = [
        (name, label, one)
        for one in own
        for name, label in subscription_faults(one)[:1]
        if not _is_disabled_as_declared(health, one)
    ]
    if faults:
        names = [f"subscription {one.subscription_id} is {label}" for _, label, one in faults]
        return problem(faults[0][0], _join(*names, *facts), faults[0][1])
    if not any(one.enabled for one in own):
        return _unused("subscription", _join("disabled, as declared", *facts), "disabled")
    checked_at = max(health.listed_at or _EARLIEST, health.last_delivery or _EARLIEST)
    if health.at - checked_at > OUTDATED_AFTER:
        return unknown("subscription", _join(f"last checked {ago(checked_at, health.at)}", *facts), "not checked")
    # A delivery after the list was made shows that Toggl delivers again.
    has_delivered_since = health.last_delivery is not None and health.last_delivery > (health.listed_at or _EARLIEST)
    if any(one.pending for one in own) and not has_delivered_since:
        return problem("events_pending", _join("undelivered events in Toggl", *facts), "undelivered")
    return ok("subscription", _join("enabled", *facts), "enabled")


def _is_disabled_as_declared(health: Health, one: SubscriptionState) -> bool:
    declared = health.declared
    is_declared = declared is not None and not declared.enabled and declared.description == one.description
    return is_declared and not one.enabled


def _freshness(health: Health) -> Finding:
    waiting = [one for one in health.waiting if one.stream is not None]
    read = [one for one in health.streams if not one.skipped]
    loaded = [(one.watermark, one) for one in read if one.watermark is not None]
    loading = [one for one in read if one.watermark is None]
    skipped = sorted({one.stream for one in health.streams if one.skipped})
    first = [task for task in waiting if not any(_loads(task, stream) for _, stream in loaded)]
    names = {one.stream for one in loading} | {str(one.stream) for one in first}
    facts = []
    if names:
        rows = sum(one.rows_done or 0 for one in first)
        facts.append(f"first load of {', '.join(sorted(names))}" + (f", {plural(rows, 'row')} so far" if rows else ""))
    if skipped:
        facts.append(f"skipped: {', '.join(skipped)}")
    if not loaded and not names:
        return _unused("freshness", _join("no stream loaded yet", *facts))
    if loaded:
        oldest, stream = min(loaded, key=lambda one: one[0])
        where = f" in {stream.warehouse}" if stream.warehouse else ""
        facts.insert(0, f"{plural(len(loaded), 'stream')}, oldest {stream.stream}{where}, {ago(oldest, health.at)}")
    # A stream that a task is about to load needs nobody.
    idle = [one for one in health.streams if not any(_loads(task, one) for task in waiting)]
    stale = [stream for watermark, stream in loaded if health.at - watermark > STALE_AFTER]
    label = _age(oldest, health) if loaded else "first load"
    if any(one in idle for one in stale):
        return problem("data_stale", _join(*facts), label)
    if any(one in idle and health.at - (one.ran_at or health.at) > STALE_AFTER for one in loading):
        return problem("first_load_stopped", _join(*facts), label)
    if names or stale:
        return Finding("freshness", CheckStatus.WAITING, _join(*facts), "first load" if names else label)
    return ok("freshness", _join(*facts), label)


def _loads(task: WaitingTask, stream: StreamFreshness) -> bool:
    """Whether a task loads a stream of a warehouse; records of earlier versions name no warehouse."""
    return task.stream == stream.stream and task.warehouse in ("", stream.warehouse)


def _pending_events(health: Health) -> Finding:
    loaders = [one for one in health.consumers if one.loads_into is not None]
    if not loaders:
        return _unused("pending_events", "no task loads events")
    late = [
        one
        for one in loaders
        if one.oldest_pending_at is not None and health.at - one.oldest_pending_at > PENDING_TOO_LONG
    ]
    count = max(one.pending for one in late or loaders)
    label = f"{count:,}{'+' if count >= MAX_PENDING else ''}"
    if not late:
        return ok("pending_events", f"{label} pending", label)
    facts = [f"{one.loads_into}: oldest {ago(one.oldest_pending_at or health.at, health.at)}" for one in late]
    return problem("events_not_loaded", _join(f"{label} pending", *facts), label)


def _quota(health: Health) -> Finding:
    waiting = [one for one in health.waiting if one.reason == "quota" and one.until > health.at]
    facts = [quota_text(lane, health.at) for lane in health.lanes]
    if waiting:
        facts.append(f"{plural(len(waiting), 'task')} waiting")
    known = [(lane.remaining, lane) for lane in health.lanes if lane.remaining is not None]
    if not known:
        if waiting:
            return Finding("quota", CheckStatus.WAITING, _join(*facts), "used up", at=waiting[0].until)
        label = "no requests" if not health.lanes else "not known"
        return _unused("quota", _join(*(facts or ["no request with this token"])), label)
    left, lane = min(known, key=lambda one: one[0] / (one[1].total or max(1, one[0])))
    label = f"{left} / {lane.total}{_or_more(lane, '+')}" if lane.total is not None else str(left)
    resets_at = lane.resets_at if not waiting else waiting[0].until
    is_waiting = waiting or any(not number for number, _ in known)
    return Finding("quota", CheckStatus.WAITING if is_waiting else CheckStatus.OK, _join(*facts), label, at=resets_at)


def _or_more(lane: LaneQuota, words: str) -> str:
    """Return the words if the total may be larger: until Toggl reports it, it is the highest number ever left."""
    return "" if lane.total in PUBLISHED_QUOTAS.values() else words


def _reconciliation(health: Health) -> Finding:
    if not health.reconciliations:
        return _unused("reconciliation", "never reconciled")
    findings = [_judge_reconciliation(one, health) for one in health.reconciliations]
    worst = min(findings, key=lambda one: list(CheckStatus).index(one.status))
    return Finding("reconciliation", worst.status, _join(*(one.text for one in findings)), worst.label, worst.problem)


def _judge_reconciliation(one: LastReconciliation, health: Health) -> Finding:
    age = _age(one.ran_at, health)
    if one.refused:
        return problem("deletions_refused", f"{age} ago: deletions not marked", "refused")
    numbers = ((one.added, "added"), (one.edited, "edited"), (one.deleted, "deleted"), (one.unverified, "unverified"))
    facts = [
        f"{age} ago: {plural(one.entries, 'entry')}",
        *(f"{number:,} {word}" for number, word in numbers if number),
    ]
    text = ", ".join(facts)
    if one.unverified:
        return problem("entries_unverified", text, f"{one.unverified:,} unverified")
    if health.at - one.ran_at > OUTDATED_AFTER:
        return problem("reconciliation_outdated", text, age)
    return ok("reconciliation", text, age)


def _waiting(health: Health) -> Finding:
    if not health.waiting:
        return _unused("waiting", "no task waits", "none")
    facts = [_waiting_text(one, health.at) for one in health.waiting]
    label = plural(len(health.waiting), "task")
    return Finding("waiting", CheckStatus.WAITING, _join(*facts), label, at=health.waiting[0].until)


def _waiting_text(one: WaitingTask, now: datetime) -> str:
    until = f"until {format_instant(one.until)}" if one.until > now else "about to resume"
    left = "" if one.requests_left is None else f" of at least {one.requests_done + one.requests_left:,}"
    done = "" if one.done_at is None else f", done {format_instant(one.done_at)} or later"
    return f"{one.task} waits for {one.what_for}, {until}; {plural(one.requests_done, 'request')} sent{left}{done}"


def _unused(part: str, text: str, label: str = "not used") -> Finding:
    return Finding(part, CheckStatus.UNUSED, text, label)


def _age(moment: datetime, health: Health) -> str:
    return duration((health.at - moment).total_seconds())


def _join(*facts: str) -> str:
    return "; ".join(facts)


_JUDGES: dict[str, Callable[[Health], Finding]] = {
    "subscription": _subscription,
    "freshness": _freshness,
    "pending_events": _pending_events,
    "quota": _quota,
    "reconciliation": _reconciliation,
    "waiting": _waiting,
}
PARTS = tuple(_JUDGES)
"""The parts of a connection, in the order in which they are shown."""
