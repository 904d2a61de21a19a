"""When an entry that a report lacks counts as deleted, and when it stays live. Pure.

A report may lack an entry for other reasons than a deletion: the token sees less than before, the plan shows only
recent days, the answer is short, or the report lags. So a deletion needs a probe: a second report, asked for the
missing entries together with control entries that a report has just shown (``probes``). Only what such an answer lacks
may be deleted, and only if none of the reasons below applies.

Deletions that Toggl reports itself are read elsewhere: those of webhook events in ``core/load/decode/events.py``, those
of complete lists in ``core/load/merging/steps.py``. ``core/load/merging/rule.py`` decides which row is live, and
``core/events/transitions.py`` which events a sensor or watcher takes for a deletion.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from airflow_provider_toggl.core.extract.windows import DAY
from airflow_provider_toggl.core.reconcile.compare import NEVER, Bools, EntryRows, to_micros

# Why a missing entry stays live, in the words of logs and results.
NOT_ADMIN = "the token's owner is not an administrator and sees only their own entries"
RETENTION = "older than the days that the workspace's plan shows"
CONTROLS_MISSING = "the answer also lacked control entries that a report had just shown"
BEFORE_FIRST_SHOWN = "before the first entry that Toggl shows, on a plan that may not show everything"
TOO_NEW = "changed so recently that the report may be older than the change"
SEEN_LATER = "seen after the moment that the report describes"
RUNNING = "running, and no report has shown a running entry yet"
WHOLE_USER = "all entries of their user are missing at once"
NEEDS_APPROVAL = "an unusual share of the window is missing at once"
INCOMPLETE_ANSWER = "the answer that was to confirm the deletion was incomplete"


@dataclass(frozen=True)
class DeletionRules:
    """How careful to be with deletions.

    :param settle: an entry that did not change for this long, by Toggl's clock, is in every report.
    :param absent_share: the largest share of a window's rows that may be missing without approval.
    :param absent_rows: this many rows may be missing without approval, whatever their share.
    :param allow_mass: a person has approved a mass deletion.
    """

    settle: timedelta = timedelta(hours=24)
    absent_share: float = 0.2
    absent_rows: int = 20
    allow_mass: bool = False

    def need_approval(self, missing: int, live: int) -> bool:
        """Whether a person must approve that so many of a window's live rows were deleted."""
        return not self.allow_mass and missing > self.absent_rows and missing > self.absent_share * live


@dataclass(frozen=True)
class Visibility:
    """Which entries the token may see.

    :param user_id: the token's owner; None where Toggl does not say.
    :param is_admin: whether the owner sees everybody's entries; False where Toggl does not say.
    :param is_paid: whether the plan certainly shows all days.
    :param retention_days: how many days back the plan shows; None without a limit, or where Toggl does not say.
    """

    user_id: int | None
    is_admin: bool
    is_paid: bool
    retention_days: int | None

    @classmethod
    def from_http(cls, workspace: object, me: object) -> Visibility:
        """Build it from the answers of ``GET /workspaces/{id}`` and ``GET /me``; what they lack counts as hidden."""
        found = workspace if isinstance(workspace, dict) else {}
        owner = me.get("id") if isinstance(me, dict) else None
        days = found.get("max_data_retention_days")
        return cls(
            user_id=owner if isinstance(owner, int) else None,
            # admin is deprecated in favour of role; either may be missing.
            is_admin=found.get("admin") is True or found.get("role") == "admin",
            is_paid=found.get("premium") is True or found.get("business_ws") is True,
            retention_days=days if isinstance(days, int) and days > 0 else None,
        )


@dataclass(frozen=True)
class ProbeAnswer:
    """What the answer to a probe says.

    :param date: of the answer, by Toggl's clock.
    :param described_at: the moment that the report describes: ``date`` less the allowed lag of reports.
    :param is_sound: the answer is complete and shows all required control entries.
    :param first_start: start of the earliest entry that it shows; None where it shows none.
    :param newest_change: the latest change that any report of this run has shown; None without one.
    :param shows_running: whether a report has ever shown a running entry.
    """

    date: datetime
    described_at: datetime
    is_sound: bool
    first_start: datetime | None
    newest_change: datetime | None
    shows_running: bool


def find_invisible(candidates: EntryRows, visibility: Visibility, now: datetime) -> dict[str, Bools]:
    """Return which candidates the token could not see even if they existed, by reason."""
    foreign = np.zeros(len(candidates), np.bool_)
    if not visibility.is_admin:
        foreign = candidates.users != (-1 if visibility.user_id is None else visibility.user_id)
    old = np.zeros(len(candidates), np.bool_)
    if visibility.retention_days is not None:
        # One day less than Toggl says: whether days count from midnight, and in which zone, is not documented.
        old = candidates.starts < to_micros(now - (visibility.retention_days - 1) * DAY)
    return {NOT_ADMIN: foreign, RETENTION: old & ~foreign}


def find_whole_users(candidates: EntryRows, present: EntryRows, rules: DeletionRules) -> Bools:
    """Return which candidates are of a user who lost more than ``absent_rows`` entries and has none left."""
    if rules.allow_mass:
        return np.zeros(len(candidates), np.bool_)
    left = set(present.users.tolist())
    counts = Counter(candidates.users.tolist())
    lost = [user for user, count in counts.items() if user not in left and count > rules.absent_rows]
    return np.isin(candidates.users, np.array(lost, np.int64))


def find_reasons_to_keep(
    missing: EntryRows, answer: ProbeAnswer, visibility: Visibility, rules: DeletionRules
) -> dict[str, Bools]:
    """Return which missing rows stay live, by reason; the other rows were deleted in Toggl.

    :param missing: the candidates that the probe's answer did not show.
    """
    reasons: dict[str, Bools] = {}
    undecided = np.ones(len(missing), np.bool_)

    def keep(reason: str, mask: Bools) -> None:
        nonlocal undecided
        reasons[reason] = mask & undecided
        undecided = undecided & ~mask

    if not answer.is_sound:
        keep(CONTROLS_MISSING, undecided)
    # A row that was seen later would stay live in any case: absent_at would be older than seen_at.
    keep(SEEN_LATER, missing.seen > to_micros(answer.described_at))
    newest = NEVER if answer.newest_change is None else to_micros(answer.newest_change)
    keep(TOO_NEW, (missing.updated > newest) & (missing.updated > to_micros(answer.date - rules.settle)))
    if not answer.shows_running:
        keep(RUNNING, missing.running)
    if not (visibility.is_paid or rules.allow_mass):
        first = answer.first_start
        before_first = np.ones(len(missing), np.bool_) if first is None else missing.starts < to_micros(first)
        keep(BEFORE_FIRST_SHOWN, before_first)
    return {reason: mask for reason, mask in reasons.items() if mask.any()}


def ids_by_reason(masks: Mapping[str, Bools], rows: EntryRows) -> dict[str, list[int]]:
    """Return the ids that each mask selects, without the masks that select none."""
    return {reason: rows.ids[mask].tolist() for reason, mask in masks.items() if mask.any()}
