"""What reports could not show for a while, and that changes made meanwhile are looked for once they can. Pure.

Changes are found by their last update, from the mark of the run before. A run whose token sees less, or whose plan
shows less, cannot see some of them: its mark says nothing about entries that it lacked. Where they show again, all that
was changed since the last run that lacked nothing is read once more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from airflow_provider_toggl.core.extract.windows import Coverage, CoveredDays, Window
from airflow_provider_toggl.core.reconcile import deletion_policy

REASONS = frozenset({
    deletion_policy.NOT_ADMIN,
    deletion_policy.RETENTION,
    deletion_policy.BEFORE_FIRST_SHOWN,
    deletion_policy.CONTROLS_MISSING,
    deletion_policy.WHOLE_USER,
    deletion_policy.INCOMPLETE_ANSWER,
    deletion_policy.NEEDS_APPROVAL,
})  # fmt: skip
"""Why entries that are there may have been missing."""


@dataclass(frozen=True)
class HiddenPeriod:
    """What was not shown.

    :param since: the mark of the last run that lacked nothing.
    :param unseen: how many entries the last run lacked, by reason.
    """

    since: datetime
    unseen: dict[str, int] = field(default_factory=dict)

    def ends(self, unseen: Mapping[str, int]) -> bool:
        """Whether some of what was not shown is shown again, or was proved to be gone."""
        return any(unseen.get(reason, 0) < count for reason, count in self.unseen.items())


def count_unseen(unverified: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Return how many entries a run lacked, by reason, of what its windows leave unproved."""
    counts: dict[str, int] = {}
    for window in unverified:
        for reason in REASONS & window.keys():
            counts[reason] = counts.get(reason, 0) + window[reason]
    return counts


def rewind(coverage: Coverage, windows: Iterable[Window], since: datetime) -> Coverage:
    """Return the coverage as if the days of some windows had not been looked at after a moment."""
    windows = list(windows)
    return tuple(
        replace(span, watermark=min(span.watermark, since), read_at=datetime.fromtimestamp(0, span.read_at.tzinfo))
        if any(_meets(span, window) for window in windows)
        else span
        for span in coverage
    )


def _meets(span: CoveredDays, window: Window) -> bool:
    return span.first <= window.last and span.last >= window.first
