"""What a verification needs of Toggl and of the warehouse, as a protocol: tests answer from tables instead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from airflow_provider_toggl.core.extract.summaries import Int64s, WindowTotals
from airflow_provider_toggl.core.extract.windows import Window
from airflow_provider_toggl.core.reconcile.compare import EntryRows, ReportTime, as_ids
from airflow_provider_toggl.core.reconcile.deletion_policy import Visibility


@dataclass(frozen=True)
class ShownEntries:
    """The entries that a report of several pages showed, all of them loaded.

    :param first_start: the earliest start among them.
    :param observed_at: the moment that the first page describes, by Toggl's clock; None without a page.
    :param is_complete: every page came, and every row of them was readable.
    :param has_others: there are entries that were not asked for, so this workspace's reports ignore the filter.
    """

    ids: Int64s = field(default_factory=lambda: as_ids(()))
    first_start: datetime | None = None
    observed_at: datetime | None = None
    is_complete: bool = False
    has_others: bool = False


class Access(Protocol):
    """Reads from Toggl, queries the warehouse, and changes the warehouse. Ranges are microseconds since 1970."""

    def read_totals(self, window: Window) -> tuple[WindowTotals, ReportTime]:
        """Read a window's seconds by user and project, with the ids of its entries where Toggl gives them.

        :raises PayloadRefused: Toggl refuses so long a window; the state then knows the longest allowed one.
        """

    def read_daily_seconds(self, window: Window, user_ids: Sequence[int]) -> tuple[Int64s | None, ReportTime]:
        """Read the seconds that some users have on each day of a window; None where Toggl does not give them by day."""

    def read_entries(self, window: Window, filters: Mapping[str, Any]) -> ShownEntries:
        """Read a window's entries that pass the filters, such as ``{"user_ids": [7]}``, and load them.

        :raises MalformedAnswer: no readable answer came.
        """

    def read_visibility(self) -> Visibility:
        """Find out which entries the token may see. Toggl is asked once a run."""

    def read_other_days(self) -> None:
        """Load what changed outside the days to verify, once a run: a missing entry may have moved there."""

    def find_rows(self, begin: int, end: int) -> EntryRows:
        """Return the live rows that start from ``begin`` to before ``end``."""

    def find_neighbours(self, begin: int, end: int) -> EntryRows:
        """Return some live rows before and after a range."""

    def find_outdated(self, begin: int, end: int) -> Int64s:
        """Return the ids of rows with a tag or task that was deleted: Toggl removes it without moving ``at``."""

    def find_live(self, ids: Int64s) -> Int64s:
        """Return which of these ids are live, on whatever day."""

    def mark_deleted(self, ids: Sequence[int], absent_at: datetime) -> None:
        """Mark entries as absent.

        :param absent_at: the moment that the report that lacked them describes, by Toggl's clock.
        """

    def save_progress(self) -> None:
        """Store the cursor now, and not only with the next rows."""
