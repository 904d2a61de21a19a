"""Which days of a workspace to ask reports for, and how far each is known to be read. Pure.

Reports speak of at most 365 days at a time, so a history is read in windows. Every run looks for changes by last
update in windows that slide with today; what is known is therefore kept by day: for each day the watermark, the moment
of
Toggl's clock up to which every change of its entries has been landed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from airflow_provider_toggl.core import arguments
from airflow_provider_toggl.core.errors import ConfigurationError

#: 1 January to 1 January of the next year: 365 days apart. Narrowed when Toggl counts otherwise and refuses.
SPAN_DAYS = 366
#: The days after tomorrow hold only planned entries: they are looked at once a day unless there is budget for more.
AHEAD_EVERY = timedelta(hours=24)
DAY = timedelta(days=1)
#: Toggl's own first day; no entry is older.
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
    """Neighbouring days that are known equally well.

    :param watermark: every change up to then, by Toggl's clock, has been landed.
    :param read_at: when they were last looked at, by this machine's clock.
    """

    first: date
    last: date
    watermark: datetime
    read_at: datetime


Coverage = tuple[CoveredDays, ...]


def cover(coverage: Coverage, window: Window, watermark: datetime, read_at: datetime) -> Coverage:
    """Return the coverage after a window was read to its end; a watermark never moves back."""
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
    """Return the moment up to which every day of a window is known, None when some day was never read."""
    if gaps(coverage, window):
        return None
    return min(span.watermark for span in _inside(coverage, window))


def read_at_of(coverage: Coverage, window: Window) -> datetime | None:
    """Return when the least recently read day of a window was looked at, None when some day never was."""
    if gaps(coverage, window):
        return None
    return min(span.read_at for span in _inside(coverage, window))


def tail_apart(coverage: Coverage, window: Window, older: timedelta) -> list[Window]:
    """Return a window in two where the marks of its last days are so much older than the others'.

    Else all that was changed on any day since the oldest mark would be read for the sake of a few days.
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
    """Whether every day of a window was looked at since the run started."""
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
    """Return a window in parts that a report may span, newest first."""
    return history(window.first, window.last - DAY, span_days)


def ahead(today: date, span_days: int = SPAN_DAYS) -> Window:
    """Return the window of planned entries: from the day after tomorrow to the end of a month about a year on.

    The end of a month, so that only once a month there are days in it that were never read.
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

    Days that were never read come whatever they cost. The newest window comes in every run; the others take turns, the
    least recently read first, as far as the budget goes; one of those that have waited for a day comes whatever it
    costs. A window that was read since the run started is done.

    :param windows: the history, newest first; it has at least one.
    :param planned: the window ahead; it yields to the others unless it has not been looked at for a day.
    :param budget: how many windows a run may read that were read before, those among them that it has read already.
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
    # A budget of one would leave no turn to any of them.
    owed |= {window for window in others[:1] if now - turn(window)[2] >= AHEAD_EVERY}
    return [*unread, *(window for place, window in enumerate(due) if place < left or window in owed)]


def parse_day(value: str | date | datetime, name: str, today: date) -> date:
    """Return the day that a user means.

    A date is that day in the token owner's zone. A moment must have a zone; the day before its UTC day is taken, so
    that it
    is covered wherever the owner lives.

    :param name: what the value is called, for the error.
    :raises ConfigurationError: it is neither, has no zone, or lies in the future.
    """
    day = _as_day(value, name, -DAY)
    if day > today + DAY:
        raise ConfigurationError(f"{name} is {value}, which is in the future (today is {today}).")
    return _after_earliest(day, value, name)


def parse_last_day(value: str | date | datetime, name: str, today: date) -> date:
    """Return the last day that a user means, like :func:`parse_day`; of a moment the day after its UTC day.

    :raises ConfigurationError: it is neither, has no zone, or is more than a year ahead.
    """
    day = _as_day(value, name, DAY)
    if day > today + SPAN_DAYS * DAY:
        raise ConfigurationError(f"{name} is {value}, which is more than a year ahead (today is {today}).")
    return _after_earliest(day, value, name)


def check_range(since: str | date | datetime | None, until: str | date | datetime | None) -> None:
    """Check the first and the last day that a user gives as far as that does not depend on today.

    :raises ConfigurationError: one is no day or before Toggl's first, or they are in the wrong order.
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
        raise ConfigurationError(f"{name} is {found.isoformat()}, which no calendar has.") from None


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
