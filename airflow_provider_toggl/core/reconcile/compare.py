"""A window as the warehouse has it, beside what Toggl says of it in sums: where do they differ. Pure, vectorised.

What runs has no duration in the warehouse, and in Toggl's sums none, its seconds until now, or minus its start: a sum
is as it should be when one of these explains the difference.
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
#: In place of a moment that is not known: earlier than all.
NEVER = -(2**62)
#: Seconds that clocks and roundings may be apart.
SLACK = 5


@dataclass(frozen=True)
class EntryRows:
    """Live rows of the warehouse, by id; times in microseconds since 1970, ``seconds`` 0 for what is running.

    Projects have ``NONE`` where there is none, ``updated`` and ``seen`` have ``NEVER``.
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
        """Return those of them, by a mask or by their places."""
        chosen: dict[str, Any] = {field.name: getattr(self, field.name)[mask] for field in fields(self)}
        return EntryRows(**chosen)

    def among(self, ids: Collection[int] | Int64s) -> Bools:
        """Return which of them have these ids."""
        return np.isin(self.ids, as_ids(ids))


def as_ids(ids: Iterable[int] | Int64s) -> Int64s:
    """Return ids as an array."""
    return ids if isinstance(ids, np.ndarray) else np.fromiter(ids, np.int64)


def build_rows(columns: dict[str, Any]) -> EntryRows:
    """Return rows of columns without nulls, in order of their ids.

    :param columns: an array for each field of :class:`Rows`.
    """
    order = np.argsort(columns["ids"], kind="stable")
    kinds = {"running": np.bool_}
    arrays: dict[str, Any] = {
        f.name: np.asarray(columns[f.name], kinds.get(f.name, np.int64))[order] for f in fields(EntryRows)
    }
    return EntryRows(**arrays)


def micros(moment: datetime) -> int:
    """Return an instant as microseconds since 1970."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def instant(value: int) -> datetime:
    """Return the instant of microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=int(value))


def midnight(day: date, zone: tzinfo) -> datetime:
    """Return when a day of a zone begins, in UTC; days with a change of clocks are as long as they are."""
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(timezone.utc)


def day_bounds(window: Window, zone: tzinfo) -> Int64s:
    """Return when each day of a window begins, and when the last one ends."""
    days = (window.first + number * DAY for number in range(window.days + 1))
    return np.fromiter((micros(midnight(day, zone)) for day in days), np.int64)


def day_of(start: int, zone: tzinfo) -> date:
    """Return the day of a zone that an instant is on."""
    return instant(start).astimezone(zone).date()


@dataclass(frozen=True)
class IdDifferences:
    """How ids differ.

    :param missing: ids that Toggl has and the warehouse has not live in this window.
    :param moved: ids that are both here and there, with another user or project.
    :param gone: which rows of the warehouse Toggl has not.
    """

    missing: Int64s
    moved: Int64s
    gone: Bools


def compare_ids(rows: EntryRows, sums: WindowTotals) -> IdDifferences:
    """Compare a window's rows with the ids of a summary, which has them."""
    ids = as_ids(()) if sums.ids is None else sums.ids
    gone = ~np.isin(rows.ids, ids)
    missing = ids[~np.isin(ids, rows.ids)]
    here = rows.where(~gone)
    places = np.searchsorted(ids, here.ids)
    same_user = sums.users[places] == here.users
    same_project = (sums.projects[places] == here.projects) | (sums.projects[places] == UNKNOWN_PROJECT)
    return IdDifferences(missing, here.ids[~(same_user & same_project)], gone)


@dataclass(frozen=True)
class ReportTime:
    """When sums were told: what runs may have counted until then, or until ``lag`` before.

    :param date: of the answer, by Toggl's clock.
    """

    date: datetime
    lag: timedelta

    def explains(self, difference: int, rows: EntryRows) -> bool:
        """Whether the rows that a sum is of explain that it is more by so many seconds than that of the warehouse."""
        if difference == 0:
            return True
        negative = -int(rows.seconds[rows.seconds < 0].sum())
        starts = rows.starts[rows.running]
        if not len(starts):
            # An entry that stops before it starts may count as nothing.
            return difference == negative
        latest = int(np.maximum(0, micros(self.date) - starts).sum()) // _MICROS
        slack = len(starts) * (int(self.lag.total_seconds()) + SLACK)
        minus_start = -int(starts.sum()) // _MICROS
        rests = (difference, difference - negative)
        return any(
            rest == 0 or latest - slack <= rest <= latest + slack or abs(rest - minus_start) <= len(starts)
            for rest in rests
        )


def sums_by_group(rows: EntryRows) -> dict[Key, int]:
    """Return the seconds of each (user, project)."""
    if not len(rows):
        return {}
    keys, inverse = np.unique(np.stack([rows.users, rows.projects]), axis=1, return_inverse=True)
    sums = np.zeros(keys.shape[1], np.int64)
    np.add.at(sums, inverse.reshape(-1), rows.seconds)
    return {(int(user), int(project)): int(total) for user, project, total in zip(*keys, sums, strict=True)}


def differing_groups(rows: EntryRows, sums: WindowTotals, clock: ReportTime) -> list[Key]:
    """Return the (user, project) whose seconds are not those of the warehouse, nor explained by what runs."""
    here = sums_by_group(rows)
    differing = []
    for key in sorted(here.keys() | sums.seconds.keys()):
        difference = sums.seconds.get(key, 0) - here.get(key, 0)
        if difference and not clock.explains(difference, rows.where(in_groups(rows, [key]))):
            differing.append(key)
    return differing


def in_groups(rows: EntryRows, groups: Iterable[Key]) -> Bools:
    """Return which rows are of one of these (user, project)."""
    mask = np.zeros(len(rows), np.bool_)
    for user, project in groups:
        mask |= (rows.users == user) & (rows.projects == project)
    return mask


def differing_days(rows: EntryRows, bounds: Int64s, told: Int64s, clock: ReportTime) -> list[int]:
    """Return the numbers of the days whose seconds are not those of the warehouse, nor explained by what runs.

    :param bounds: when each day begins, and when the last one ends.
    :param told: seconds of each day as Toggl says.
    """
    places = np.searchsorted(bounds, rows.starts, side="right") - 1
    sums = np.zeros(len(told), np.int64)
    np.add.at(sums, places, rows.seconds)
    off = np.flatnonzero(told != sums)
    return [int(day) for day in off if not clock.explains(int(told[day] - sums[day]), rows.where(places == day))]


def join_days(days: Sequence[date], count: dict[date, int], most: int) -> Iterator[Window]:
    """Yield windows that hold all the days, neighbours and near ones together where a page holds them.

    :param days: in order.
    :param count: how many rows a page would have for each day, days between included; a day without is empty.
    :param most: rows that a window of several days may have.
    """
    window: Window | None = None
    held = 0
    for day in days:
        if window is None:
            window, held = Window(day, day), count.get(day, 0)
            continue
        between = (window.last + number * DAY for number in range(1, (day - window.last).days + 1))
        more = sum(count.get(one, 0) for one in between)
        if held + more <= most:
            window, held = Window(window.first, day), held + more
        else:
            yield window
            window, held = Window(day, day), count.get(day, 0)
    if window is not None:
        yield window


def groups_filter(groups: Iterable[Key]) -> dict[str, list[int | None]]:
    """Return the filters of a report that has these (user, project), and perhaps more."""
    users = sorted({user for user, _ in groups})
    projects = sorted({project for _, project in groups})
    # Toggl: to filter records without a project, use [null].
    return {"user_ids": [*users], "project_ids": [None if project == NO_PROJECT else project for project in projects]}
