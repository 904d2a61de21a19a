"""Compare a window's rows in the warehouse with Toggl's totals, and find where they differ. Pure and vectorised.

A running entry has no duration in the warehouse. In Toggl's totals it counts as nothing, as its seconds until now, or
as minus its start. Totals agree if one of these explains the difference.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta, timezone, tzinfo
from typing import Any

import numpy as np
import numpy.typing as npt

from airflow_provider_toggl.core.extract.summaries import NO_PROJECT, UNKNOWN_PROJECT, Int64s, WindowTotals
from airflow_provider_toggl.core.extract.windows import DAY, Window

Bools = npt.NDArray[np.bool_]
Key = tuple[int, int]

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROS = 1_000_000
#: Stands for an unknown moment; earlier than any other.
NEVER = -(2**62)
#: Seconds by which clocks and rounding may differ.
SLACK = 5


@dataclass(frozen=True)
class EntryRows:
    """Live rows of the warehouse as columns, in order of their ids.

    Times are microseconds since 1970. A running entry has 0 ``seconds``. Nulls are ``NO_PROJECT`` in ``projects``, and
    ``NEVER`` in ``updated`` and ``seen``.
    """

    ids: Int64s
    users: Int64s
    projects: Int64s
    seconds: Int64s
    running: Bools
    starts: Int64s
    updated: Int64s
    seen: Int64s

    def __len__(self) -> int:
        return len(self.ids)

    def where(self, mask: Bools | npt.NDArray[np.intp]) -> EntryRows:
        """Return the rows that a mask selects, or those at some positions."""
        chosen: dict[str, Any] = {field.name: getattr(self, field.name)[mask] for field in fields(self)}
        return EntryRows(**chosen)

    def among(self, ids: Collection[int] | Int64s) -> Bools:
        """Return a mask of the rows that have one of these ids."""
        return np.isin(self.ids, as_ids(ids))


def as_ids(ids: Iterable[int] | Int64s) -> Int64s:
    """Return ids as an array."""
    return ids if isinstance(ids, np.ndarray) else np.fromiter(ids, np.int64)


def build_rows(columns: dict[str, Any]) -> EntryRows:
    """Return rows from columns without nulls, in order of their ids.

    :param columns: an array for each field of :class:`EntryRows`.
    """
    order = np.argsort(columns["ids"], kind="stable")
    kinds = {"running": np.bool_}
    arrays: dict[str, Any] = {
        f.name: np.asarray(columns[f.name], kinds.get(f.name, np.int64))[order] for f in fields(EntryRows)
    }
    return EntryRows(**arrays)


def to_micros(moment: datetime) -> int:
    """Return an instant as microseconds since 1970."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def from_micros(value: int) -> datetime:
    """Return the instant of microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=int(value))


def midnight(day: date, zone: tzinfo) -> datetime:
    """Return when a day begins in a zone, in UTC; a day on which clocks change has 23 or 25 hours."""
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(timezone.utc)


def day_bounds(window: Window, zone: tzinfo) -> Int64s:
    """Return when each day of a window begins, and when the last one ends."""
    days = (window.first + number * DAY for number in range(window.days + 1))
    return np.fromiter((to_micros(midnight(day, zone)) for day in days), np.int64)


def day_of(start: int, zone: tzinfo) -> date:
    """Return the day of an instant (microseconds since 1970) in a zone."""
    return from_micros(start).astimezone(zone).date()


@dataclass(frozen=True)
class IdDifferences:
    """How the ids of a window differ.

    :param missing: ids that Toggl has, and that are not live in this window of the warehouse.
    :param moved: ids that both have, with another user or project.
    :param absent: a mask of the warehouse's rows that Toggl does not have.
    """

    missing: Int64s
    moved: Int64s
    absent: Bools


def compare_ids(rows: EntryRows, totals: WindowTotals) -> IdDifferences:
    """Compare a window's rows with the ids of its summary."""
    ids = as_ids(()) if totals.ids is None else totals.ids
    absent = ~np.isin(rows.ids, ids)
    missing = ids[~np.isin(ids, rows.ids)]
    here = rows.where(~absent)
    places = np.searchsorted(ids, here.ids)
    same_user = totals.users[places] == here.users
    same_project = (totals.projects[places] == here.projects) | (totals.projects[places] == UNKNOWN_PROJECT)
    return IdDifferences(missing, here.ids[~(same_user & same_project)], absent)


@dataclass(frozen=True)
class ReportTime:
    """When a report was made: at its date, or up to ``lag`` earlier. A running entry counts until then.

    :param date: of the answer, by Toggl's clock.
    :param lag: how long a change may take to show in reports.
    """

    date: datetime
    lag: timedelta

    def explains(self, difference: int, rows: EntryRows) -> bool:
        """Whether these rows explain that Toggl's total is so many seconds more than the warehouse's."""
        if difference == 0:
            return True
        negative = -int(rows.seconds[rows.seconds < 0].sum())
        starts = rows.starts[rows.running]
        if not len(starts):
            # Toggl may count an entry that stops before it starts as nothing.
            return difference == negative
        latest = int(np.maximum(0, to_micros(self.date) - starts).sum()) // _MICROS
        slack = len(starts) * (int(self.lag.total_seconds()) + SLACK)
        minus_start = -int(starts.sum()) // _MICROS
        rests = (difference, difference - negative)
        return any(
            rest == 0 or latest - slack <= rest <= latest + slack or abs(rest - minus_start) <= len(starts)
            for rest in rests
        )


def totals_by_group(rows: EntryRows) -> dict[Key, int]:
    """Return the total seconds of each (user, project)."""
    if not len(rows):
        return {}
    keys, inverse = np.unique(np.stack([rows.users, rows.projects]), axis=1, return_inverse=True)
    sums = np.zeros(keys.shape[1], np.int64)
    np.add.at(sums, inverse.reshape(-1), rows.seconds)
    return {(int(user), int(project)): int(total) for user, project, total in zip(*keys, sums, strict=True)}


def differing_groups(rows: EntryRows, totals: WindowTotals, at: ReportTime) -> list[Key]:
    """Return the (user, project) keys whose totals differ, if running entries do not explain it."""
    here = totals_by_group(rows)
    differing = []
    for key in sorted(here.keys() | totals.seconds.keys()):
        difference = totals.seconds.get(key, 0) - here.get(key, 0)
        if difference and not at.explains(difference, rows.where(in_groups(rows, [key]))):
            differing.append(key)
    return differing


def in_groups(rows: EntryRows, groups: Iterable[Key]) -> Bools:
    """Return a mask of the rows of these (user, project) keys."""
    mask = np.zeros(len(rows), np.bool_)
    for user, project in groups:
        mask |= (rows.users == user) & (rows.projects == project)
    return mask


def differing_days(rows: EntryRows, bounds: Int64s, reported: Int64s, at: ReportTime) -> list[int]:
    """Return the numbers of the days whose totals differ, if running entries do not explain it.

    :param bounds: when each day begins, and when the last one ends.
    :param reported: Toggl's seconds of each day.
    """
    places = np.searchsorted(bounds, rows.starts, side="right") - 1
    sums = np.zeros(len(reported), np.int64)
    np.add.at(sums, places, rows.seconds)
    off = np.flatnonzero(reported != sums)
    return [int(day) for day in off if not at.explains(int(reported[day] - sums[day]), rows.where(places == day))]


def join_days(days: Sequence[date], count: dict[date, int], most: int) -> Iterator[Window]:
    """Yield windows that cover all the days, with days near each other in one window where a page holds them.

    :param days: in order.
    :param count: how many rows each day has, the days between included; a day that is not in it has none.
    :param most: rows that a window of several days may have.
    """
    window: Window | None = None
    held = 0
    for day in days:
        if window is not None:
            between = (window.last + number * DAY for number in range(1, (day - window.last).days + 1))
            more = sum(count.get(one, 0) for one in between)
            if held + more <= most:
                window, held = Window(window.first, day), held + more
                continue
            yield window
        window, held = Window(day, day), count.get(day, 0)
    if window is not None:
        yield window


def groups_filter(groups: Iterable[Key]) -> dict[str, list[int | None]]:
    """Return the filters of a report that has at least these (user, project) keys."""
    users = sorted({user for user, _ in groups})
    projects = sorted({project for _, project in groups})
    # Toggl's documentation: "To filter records without a project, use [null]".
    return {"user_ids": [*users], "project_ids": [None if project == NO_PROJECT else project for project in projects]}
