"""What a reconciliation is asked for, and what it tells of what it did."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from airflow_provider_toggl.core.errors import ConfigurationError
from airflow_provider_toggl.core.extract.cursor import Attempt
from airflow_provider_toggl.core.reconcile.cursor import MOST_IDS, VerifiedWindow
from airflow_provider_toggl.core.reconcile.deletion_policy import DeletionRules
from airflow_provider_toggl.core.wording import plural


@dataclass(frozen=True)
class ReconcileRequest:
    """What to prove, and how careful to be.

    :param run_started: when the attempt began, by this machine's clock: windows compared since then are done. The
        cursor has an earlier start where this is a retry or goes on after a deferral.
    :param since: first day, of the token owner's zone; None: that of the first entry that is known.
    :param until: last day; None: tomorrow, and the days for which entries are planned.
    :param overlap: changes are looked for from so long before the mark of the last run.
    :param rules: when a missing entry is believed to be gone.
    :param page_size: entries to ask for in a page.
    :param lag: how long a change may take to show in reports.
    :param collect_changes: find out which entries and days changed, for those who wait for them.
    :param attempt_key: what all tries of the task's attempt have in common; empty: what an earlier one has read is
        read again.
    :param try_number: of the task.
    :param is_resumed: the same try goes on after a deferral.
    :param warehouse: connection and schema, as metrics name it.
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
            raise ConfigurationError(f"workspace_id is {self.workspace_id}; it is a positive number.")
        if not 0 < self.page_size <= 10_000:
            raise ConfigurationError(f"page_size is {self.page_size}; it must be from 1 to 10000.")
        times = {"overlap": self.overlap, "settle": self.rules.settle, "report_lag": self.lag}
        for name, value in times.items():
            if value < timedelta(0):
                raise ConfigurationError(f"{name} is {value}; it must not be negative.")
        if not 0 <= self.rules.absent_share <= 1 or self.rules.absent_rows < 0:
            raise ConfigurationError("absent_share is from 0 to 1, and absent_rows not negative.")

    @property
    def attempt(self) -> Attempt:
        """The attempt that reads, as far as it is known before the cursor is."""
        return Attempt(self.attempt_key, self.try_number, self.run_started)

    @property
    def scope(self) -> str:
        """What reconciliation's row in ``sync_state`` is kept under."""
        return f"{self.workspace_id}/reconcile"


@dataclass
class ReconcileSummary:
    """What a run did; all numbers of this run, over its deferrals.

    :param first: first day that was compared; ``last`` the last one.
    :param entries: live entries that the warehouse has there.
    :param added: entries that were missing; ``edited`` those that differed; ``deleted`` those that are gone.
    :param unverified: how many entries or sums could not be proved, by reason.
    :param by_ids: whether every entry was compared by its id, or only sums; None where both happened.
    :param requests: requests sent, refused ones included.
    :param quota_left: requests left in the lane as last told, None where Toggl does not tell.
    :param watermark: everything up to then, by Toggl's clock, was compared.
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
        """Return it as XCom can hold it."""
        return asdict(self)

    def take(self, proofs: Iterable[VerifiedWindow]) -> None:
        """Say what the proofs of this run's windows say together."""
        proofs = list(proofs)
        self.windows, self.entries = len(proofs), sum(proof.entries for proof in proofs)
        self.unverified = {}
        for proof in proofs:
            for reason, count in proof.unverified.items():
                self.unverified[reason] = self.unverified.get(reason, 0) + count
        ways = {proof.by_ids for proof in proofs}
        self.by_ids = ways.pop() if len(ways) == 1 else None
        if proofs:
            self.first = min(proof.first for proof in proofs).isoformat()
            self.last = max(proof.last for proof in proofs).isoformat()

    def __str__(self) -> str:
        parts = (
            [f"{self.first} to {self.last}: {plural(self.entries, 'entry')}"]
            if self.first
            else ["nothing compared yet"]
        )
        done = {"added": self.added, "deleted": self.deleted, "edited": self.edited, "rejected": self.rejected}
        parts += [f"{count:,} {word}" for word, count in done.items() if count] or ["as in Toggl"]
        if self.by_ids is False:
            parts.append("by sums")
        parts.append(
            plural(self.requests, "request") + ("" if self.quota_left is None else f" ({self.quota_left} left)")
        )
        parts += [f"{plural(self.deferrals, 'wait')} for the quota"] if self.deferrals else []
        line = ", ".join(parts)
        if self.unverified:
            line += ". Not proved: " + "; ".join(f"{count:,} ({reason})" for reason, count in self.unverified.items())
        return line + "."


def list_ids(ids: Iterable[int]) -> str:
    """Return ids for a log line, the first ones where they are many."""
    found = sorted(ids)
    more = f", and {len(found) - MOST_IDS:,} more" if len(found) > MOST_IDS else ""
    return ", ".join(map(str, found[:MOST_IDS])) + more
