"""Windows of days to request from reports, and how far each day is read. Pure.

A report spans at most 365 days, so a history is read in windows. Windows move with today, so progress is kept by day:
the watermark of a day is the moment, by Toggl's clock, up to which all changes of its entries are loaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from airflow_provider_toggl.core import arguments
from airflow_provider_toggl.core.errors import ConfigurationError

#: 1 January to 1 January of the next year, which are 365 days apart. A refusal of Toggl's lowers it.
SPAN_DAYS = 366
#: The days after tomorrow have only planned entries: they are read once a day unless a run has budget for more.
AHEAD_EVERY = timedelta(hours=24)
DAY = timedelta(days=1)
#: Toggl's first day; no entry is older.
EARLIEST = date(2006, 1, 1)


@dataclass(frozen=True)
class Window:
    """The days ``first`` to ``last``, both included, in the token owner's zone."""

    first: date
    last: date

    @property
    def days(self) -> int:
        """How many days it has."""
        return (self.last - self.first).days + 1

    def __str__(self) -> str:
        return f"{self.first} to {self.last}"


@dataclass(frozen=True)
class CoveredDays:
    """Adjacent days that are read equally far.

    :param watermark: all changes up to this moment, by Toggl's clock, are loaded.
    :param read_at: when they were last read, by this machine's clock.
    """

    first: date
    last: date
    watermark: datetime
    read_at: datetime


Coverage = tuple[CoveredDays, ...]


def cover(coverage: Coverage, window: Window, watermark: datetime, read_at: datetime) -> Coverage:
    """Return the coverage once a window is read to its end; a watermark never moves back."""
    spans: list[CoveredDays] = []
    for span in coverage:
        if span.last < window.first or span.first > window.last:
            spans.append(span)
            continue
        if span.first < window.first:
            spans.append(replace(span, last=window.first - DAY))
        if span.last > window.last:
            spans.append(replace(span, first=window.last + DAY))
        inside = Window(max(span.first, window.first), min(span.last, window.last))
        spans.append(CoveredDays(inside.first, inside.last, max(span.watermark, watermark), read_at))
    spans += [CoveredDays(gap.first, gap.last, watermark, read_at) for gap in gaps(coverage, window)]
    return _joined(spans)


def gaps(coverage: Coverage, window: Window) -> list[Window]:
    """Return the days of a window that were never read."""
    found: list[Window] = []
    day = window.first
    for span in coverage:
        if span.last < day:
            continue
        if span.first > window.last:
            break
        if span.first > day:
            found.append(Window(day, span.first - DAY))
        day = span.last + DAY
    if day <= window.last:
        found.append(Window(day, window.last))
    return found


def watermark_of(coverage: Coverage, window: Window) -> datetime | None:
    """Return the lowest watermark of a window's days; None where some day was never read."""
    if gaps(coverage, window):
        return None
    return min(span.watermark for span in _inside(coverage, window))


def read_at_of(coverage: Coverage, window: Window) -> datetime | None:
    """Return when the least recently read day of a window was read; None where some day never was."""
    if gaps(coverage, window):
        return None
    return min(span.read_at for span in _inside(coverage, window))


def tail_apart(coverage: Coverage, window: Window, older: timedelta) -> list[Window]:
    """Return a window, in two parts where the watermarks of its last days are much older than the others.

    In one part, all changes of all days since the oldest watermark would be read because of a few days.
    """
    spans = _inside(coverage, window)
    if gaps(coverage, window):
        return [window]
    newest = max(span.watermark for span in spans)
    begin = window.last + DAY
    for span in reversed(spans):
        if newest - span.watermark <= older:
            break
        begin = max(span.first, window.first)
    if begin > window.last:
        return [window]
    return [Window(window.first, begin - DAY), Window(begin, window.last)]


def is_done(coverage: Coverage, window: Window, run_started: datetime) -> bool:
    """Whether every day of a window was read since the run started."""
    read_at = read_at_of(coverage, window)
    return read_at is not None and read_at >= run_started


def history(beginning: date, today: date, span_days: int = SPAN_DAYS) -> list[Window]:
    """Return the windows from tomorrow back to the beginning, newest first."""
    windows: list[Window] = []
    last = today + DAY
    while last >= beginning:
        first = max(beginning, last - (span_days - 1) * DAY)
        windows.append(Window(first, last))
        last = first - DAY
    return windows


def split(window: Window, span_days: int = SPAN_DAYS) -> list[Window]:
    """Return a window in parts that a report can span, newest first."""
    return history(window.first, window.last - DAY, span_days)


def ahead(today: date, span_days: int = SPAN_DAYS) -> Window:
    """Return the window of planned entries: from the day after tomorrow to the end of a month about a year on.

    It ends with a month, so that it has days that were never read only once a month.
    """
    furthest = today + (span_days + 1) * DAY
    return Window(today + 2 * DAY, furthest.replace(day=1) - DAY)


def choose(
    coverage: Coverage,
    windows: Sequence[Window],
    planned: Window,
    *,
    budget: int,
    run_started: datetime,
    now: datetime,
) -> list[Window]:
    """Return the windows that a run reads, in order.

    Days that were never read are always included, and so is the newest window. The other windows take turns within the
    budget, the least recently read first; one that has waited for a day is included beyond the budget. A window that
    was read since the run started is done.

    :param windows: the history, newest first; at least one window.
    :param planned: the window ahead; it comes last, unless it was not read for a day.
    :param budget: how many known windows a run may read, with those that it has read already.
    """
    every = [*windows, planned]
    unread = [gap for window in every for gap in gaps(coverage, window)]
    known = [window for window in every if not gaps(coverage, window)]

    def turn(window: Window) -> tuple[bool, bool, datetime]:
        read_at = read_at_of(coverage, window) or run_started
        yields = window == planned and now - read_at < AHEAD_EVERY
        return (window != windows[0], yields, read_at)

    due = sorted((window for window in known if not is_done(coverage, window, run_started)), key=turn)
    left = budget - (len(known) - len(due))
    owed = {windows[0]} | ({planned} if not turn(planned)[1] else set())
    others = [window for window in due if window not in (windows[0], planned)]
    # With a budget of one, these would never be read otherwise.
    owed |= {window for window in others[:1] if now - turn(window)[2] >= AHEAD_EVERY}
    return [*unread, *(window for place, window in enumerate(due) if place < left or window in owed)]


def parse_day(value: str | date | datetime, name: str, today: date) -> date:
    """Return the first day that an argument means.

    A date is that day in the token owner's zone. A moment must have a zone; it means the day before its UTC day, so
    that it is included wherever the owner lives.

    :param name: the argument's name, for the error.
    :raises ConfigurationError: the value is neither a date nor a moment with a zone, or is in the future.
    """
    day = _as_day(value, name, -DAY)
    if day > today + DAY:
        raise ConfigurationError(f"{name} is {value}, which is in the future (today is {today}).")
    return _after_earliest(day, value, name)


def parse_last_day(value: str | date | datetime, name: str, today: date) -> date:
    """Return the last day that an argument means, see :func:`parse_day`; a moment means the day after its UTC day.

    :raises ConfigurationError: the value is neither a date nor a moment with a zone, or is more than a year ahead.
    """
    day = _as_day(value, name, DAY)
    if day > today + SPAN_DAYS * DAY:
        raise ConfigurationError(f"{name} is {value}, which is more than a year ahead (today is {today}).")
    return _after_earliest(day, value, name)


def check_range(since: str | date | datetime | None, until: str | date | datetime | None) -> None:
    """Check the first and the last day as far as that does not depend on today.

    :raises ConfigurationError: one is no day or before Toggl's first day, or they are in the wrong order.
    """
    first = None if since is None else _after_earliest(_as_day(since, "since", -DAY), since, "since")
    last = None if until is None else _after_earliest(_as_day(until, "until", DAY), until, "until")
    if first is not None and last is not None and last < first:
        raise ConfigurationError(f"until ({last}) is before since ({first}).")


def _after_earliest(day: date, value: str | date | datetime, name: str) -> date:
    if day < EARLIEST:
        raise ConfigurationError(f"{name} is {value}; Toggl has no entries before {EARLIEST}.")
    return day


def _as_day(value: str | date | datetime, name: str, beside: timedelta) -> date:
    found = arguments.parse_day(name, value)
    if found is None:
        raise ConfigurationError(f"{name} is {value!r}; it must not be empty.")
    if not isinstance(found, datetime):
        return found
    try:
        return found.date() + beside
    except OverflowError:
        raise ConfigurationError(f"{name} is {found.isoformat()}, which is outside of the calendar.") from None


def _inside(coverage: Coverage, window: Window) -> list[CoveredDays]:
    return [span for span in coverage if span.last >= window.first and span.first <= window.last]


def _joined(spans: list[CoveredDays]) -> Coverage:
    joined: list[CoveredDays] = []
    for span in sorted(spans, key=lambda item: item.first):
        previous = joined[-1] if joined else None
        same = previous is not None and (previous.watermark, previous.read_at) == (span.watermark, span.read_at)
        if previous is not None and same and previous.last + DAY == span.first:
            joined[-1] = replace(previous, last=span.last)
        else:
            joined.append(span)
    return tuple(joined)
