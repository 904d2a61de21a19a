"""The request of a reconciliation, and the summary of what it did."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from airflow_provider_toggl.core.errors import ConfigurationError
from airflow_provider_toggl.core.extract.cursor import Attempt
from airflow_provider_toggl.core.reconcile.cursor import VerifiedWindow
from airflow_provider_toggl.core.reconcile.deletion_policy import DeletionRules
from airflow_provider_toggl.core.wording import plural

#: A log line has at most this many ids.
MAX_IDS = 20


@dataclass(frozen=True)
class ReconcileRequest:
    """Which days to verify, and how careful to be.

    :param run_started: when the task's attempt began, by this machine's clock; windows verified since then are done.
        The cursor has an earlier start where this run is a retry or goes on after a deferral.
    :param since: the first day, in the zone of the token's owner; None means that of the first known entry.
    :param until: the last day; None means tomorrow, and the later days that have planned entries.
    :param overlap: how long before the mark of the last run to look for changes again.
    :param rules: when a missing entry counts as deleted.
    :param page_size: entries to ask for in a page.
    :param lag: how long a change may take to show in reports.
    :param collect_changes: find out which entries and days changed, for the outlets of the task.
    :param attempt_key: the same for all tries of the task's attempt; empty means that nothing is continued.
    :param try_number: the try of the task.
    :param is_resumed: whether the same try goes on after a deferral.
    :param warehouse: connection and schema, as metrics name them.
    """

    workspace_id: int
    run_started: datetime
    since: str | date | datetime | None = None
    until: str | date | datetime | None = None
    overlap: timedelta = timedelta(days=1)
    rules: DeletionRules = field(default_factory=DeletionRules)
    page_size: int = 1000
    lag: timedelta = timedelta(minutes=5)
    collect_changes: bool = False
    attempt_key: str = ""
    try_number: int = 1
    is_resumed: bool = False
    warehouse: str = ""

    def __post_init__(self) -> None:
        if self.workspace_id <= 0:
            raise ConfigurationError(f"workspace_id is {self.workspace_id}; it must be a positive number.")
        if not 0 < self.page_size <= 10_000:
            raise ConfigurationError(f"page_size is {self.page_size}; it must be from 1 to 10000.")
        times = {"overlap": self.overlap, "settle": self.rules.settle, "report_lag": self.lag}
        for name, value in times.items():
            if value < timedelta(0):
                raise ConfigurationError(f"{name} is {value}; it must not be negative.")
        if not 0 <= self.rules.absent_share <= 1 or self.rules.absent_rows < 0:
            raise ConfigurationError("absent_share must be from 0 to 1, and absent_rows must not be negative.")

    @property
    def attempt(self) -> Attempt:
        """The attempt of the task, as far as it is known without the cursor."""
        return Attempt(self.attempt_key, self.try_number, self.run_started)

    @property
    def scope(self) -> str:
        """The scope of reconciliation's row in ``sync_state``."""
        return f"{self.workspace_id}/reconcile"


@dataclass
class ReconcileSummary:
    """What a run did. All numbers are of the whole run, with its parts before deferrals.

    :param first: the first day that was verified; ``last`` the last one.
    :param entries: live entries of the warehouse on these days.
    :param windows: windows that were verified.
    :param added: entries that were missing; ``edited`` those that differed; ``deleted`` those that Toggl deleted.
    :param unverified: how many entries or totals could not be verified, by reason.
    :param by_ids: True where every entry was compared by its id, False where totals were; None where both happened.
    :param requests: requests sent, refused ones included.
    :param quota_left: requests left in the lane at the last answer; None where Toggl does not say.
    :param watermark: the moment that the verification describes, by Toggl's clock.
    """

    workspace_id: int
    first: str | None = None
    last: str | None = None
    entries: int = 0
    windows: int = 0
    added: int = 0
    edited: int = 0
    deleted: int = 0
    rejected: int = 0
    unverified: dict[str, int] = field(default_factory=dict)
    by_ids: bool | None = None
    pages: int = 0
    requests: int = 0
    quota_left: int | None = None
    watermark: str | None = None
    deferrals: int = 0
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON and XCom can hold it."""
        return asdict(self)

    def set_windows(self, windows: Iterable[VerifiedWindow]) -> None:
        """Set what follows from all windows of the run that are verified so far."""
        windows = list(windows)
        self.windows, self.entries = len(windows), sum(window.entries for window in windows)
        self.unverified = {}
        for window in windows:
            for reason, count in window.unverified.items():
                self.unverified[reason] = self.unverified.get(reason, 0) + count
        ways = {window.by_ids for window in windows}
        self.by_ids = ways.pop() if len(ways) == 1 else None
        if windows:
            self.first = min(window.first for window in windows).isoformat()
            self.last = max(window.last for window in windows).isoformat()

    def __str__(self) -> str:
        """Return it as one line of text."""
        days = f"{self.first} to {self.last}: {plural(self.entries, 'entry')}" if self.first else "nothing verified yet"
        changed = {"added": self.added, "deleted": self.deleted, "edited": self.edited, "rejected": self.rejected}
        parts = [days, *(f"{count:,} {word}" for word, count in changed.items() if count)]
        parts += [] if any(changed.values()) else ["no differences"]
        if self.by_ids is False:
            parts.append("compared by totals")
        left = "" if self.quota_left is None else f" ({self.quota_left} left)"
        parts.append(plural(self.requests, "request") + left)
        parts += [f"{plural(self.deferrals, 'wait')} for the quota"] if self.deferrals else []
        line = ", ".join(parts)
        if self.unverified:
            line += ". Not verified: " + "; ".join(f"{count:,} ({reason})" for reason, count in self.unverified.items())
        return line + "."


def list_ids(ids: Iterable[int]) -> str:
    """Return ids for a log line: the first ones, and how many more there are."""
    found = sorted(ids)
    more = f", and {len(found) - MAX_IDS:,} more" if len(found) > MAX_IDS else ""
    return ", ".join(map(str, found[:MAX_IDS])) + more
