"""Periods in which reports did not show some entries, and the changes that must be read once they do. Pure.

Changes are found by their last update, from the mark of the run before. If the token or the plan shows fewer entries in
one run, the mark of that run says nothing about the hidden entries. So when they appear again, everything that changed
since the last run that saw everything is read once more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from airflow_provider_toggl.core.extract.windows import Coverage, Window
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
"""Reasons for which reports may lack an entry that exists."""


@dataclass(frozen=True)
class HiddenPeriod:
    """A time in which runs could not see some entries.

    :param since: the mark of the last run that saw everything, by Toggl's clock.
    :param counts: how many entries the last run could not see, by reason.
    """

    since: datetime
    counts: dict[str, int] = field(default_factory=dict)

    def ends_with(self, counts: Mapping[str, int]) -> bool:
        """Whether a run with these counts could see some of the hidden entries, or confirmed their deletion."""
        return any(counts.get(reason, 0) < count for reason, count in self.counts.items())


def count_hidden(unverified: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Return how many entries a run could not see, by reason, from what its windows left unverified."""
    counts: dict[str, int] = {}
    for window in unverified:
        for reason in REASONS & window.keys():
            counts[reason] = counts.get(reason, 0) + window[reason]
    return counts


def rewind(coverage: Coverage, windows: Iterable[Window], since: datetime) -> Coverage:
    """Return the coverage as if nothing of some windows had been read after a moment."""
    windows = list(windows)
    return tuple(
        replace(days, watermark=min(days.watermark, since), read_at=datetime.fromtimestamp(0, days.read_at.tzinfo))
        if any(days.first <= window.last and days.last >= window.first for window in windows)
        else days
        for days in coverage
    )
