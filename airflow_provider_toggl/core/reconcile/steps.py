"""The steps of a reconciliation: what a window's verification asks for, and what it gets back.

A verification is a generator. It yields one of these steps and receives the step's result, so it can be read, and
tested, without Toggl and without a warehouse. ``runner`` is what executes steps.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar

from airflow_provider_toggl.core.extract.summaries import Int64s, WindowTotals
from airflow_provider_toggl.core.extract.windows import Window
from airflow_provider_toggl.core.reconcile.compare import EntryRows, ReportTime, as_ids
from airflow_provider_toggl.core.reconcile.deletion_policy import Visibility

T = TypeVar("T")


class Step(Generic[T]):
    """Something to do outside of the verification, with a result of type ``T``."""


Steps = Generator[Step[Any], Any, T]


def ask(step: Step[T]) -> Steps[T]:
    """Yield one step and return its result.

    ``rows = yield from ask(QueryRows(begin, end))`` has a typed result, which a plain ``yield`` has not.
    """
    result: T = yield step
    return result


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


# Ask Toggl


@dataclass(frozen=True)
class ReadTotals(Step[tuple[WindowTotals, ReportTime]]):
    """Read a window's seconds by user and project, with the ids of its entries where Toggl gives them.

    Raises ``PayloadRefused`` where Toggl refuses so long a window; the state then knows the longest allowed one.
    """

    window: Window


@dataclass(frozen=True)
class ReadDailySeconds(Step[tuple[Int64s | None, ReportTime]]):
    """Read the seconds that some users have on each day of a window; None where Toggl does not give them by day."""

    window: Window
    user_ids: Sequence[int]


@dataclass(frozen=True)
class ReadEntries(Step[ShownEntries]):
    """Read a window's entries that pass the filters, and load them.

    Raises ``MalformedAnswer`` inside the verification where no readable answer came.

    :param filters: what else the report is asked for, such as ``{"user_ids": [7]}``.
    """

    window: Window
    filters: Mapping[str, Any]


@dataclass(frozen=True)
class ReadVisibility(Step[Visibility]):
    """Find out which entries the token may see. Toggl is asked once a run."""


@dataclass(frozen=True)
class ReadOtherDays(Step[None]):
    """Load what changed outside the days to verify, once a run: a missing entry may have moved there."""


# Ask the warehouse


@dataclass(frozen=True)
class RangeQuery(Step[T]):
    """Query a range of starts: microseconds since 1970, from ``begin`` to before ``end``."""

    begin: int
    end: int


class QueryRows(RangeQuery[EntryRows]):
    """Find the live rows of a range."""


class QueryNeighbours(RangeQuery[EntryRows]):
    """Find some live rows before and after a range."""


class QueryOutdated(RangeQuery[Int64s]):
    """Find the ids of rows with a tag or task that was deleted: Toggl removes it from entries without moving ``at``."""


@dataclass(frozen=True)
class QueryLive(Step[Int64s]):
    """Find out which of these ids are live, on whatever day."""

    ids: Int64s


# Change the warehouse


@dataclass(frozen=True)
class MarkDeleted(Step[None]):
    """Mark entries as absent.

    :param absent_at: the moment that the report that lacked them describes, by Toggl's clock.
    """

    ids: Sequence[int]
    absent_at: datetime


@dataclass(frozen=True)
class SaveProgress(Step[None]):
    """Store the cursor now, and not only with the next rows."""
