"""The days of a reconciliation: which to verify, and where to look for changes. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, tzinfo

from airflow_provider_toggl.core.errors import ConfigurationError
from airflow_provider_toggl.core.extract import windows
from airflow_provider_toggl.core.extract.windows import DAY, Coverage, Window
from airflow_provider_toggl.core.reconcile.request import ReconcileRequest

#: Changes are also read for some coming days where that costs nothing: up to the next day whose number this divides.
DAYS_AHEAD = 32


@dataclass(frozen=True)
class DayRange:
    """The days of one run, in the zone of the token's owner.

    :param main: the days to verify.
    :param planned: later days that have planned entries, and are verified too.
    :param has_end: whether the request names a last day.
    """

    main: Window
    planned: Window | None
    has_end: bool

    @property
    def windows(self) -> list[Window]:
        """All days to verify."""
        return [self.main] if self.planned is None else [self.main, self.planned]

    def windows_of_changes(self, coverage: Coverage, span_days: int) -> list[Window]:
        """Return the days to read changes of: those to verify, and as many more as the same requests can cover.

        These are some days ahead, so that they have a recent mark once they are today, and days before the range.
        """
        first, *others = self.windows
        asked = -(-first.days // span_days) * span_days
        ahead = DAYS_AHEAD - first.last.toordinal() % DAYS_AHEAD
        if not others and not self.has_end and ahead <= asked - first.days:
            first = Window(first.first, first.last + ahead * DAY)
        reach = first.last - (asked - 1) * DAY
        earlier = [days.first for days in coverage if days.first < first.first]
        if earlier and not windows.gaps(coverage, Window(max(reach, earlier[0]), first.first - DAY)):
            first = Window(max(reach, earlier[0]), first.last)
        return [first, *others]

    def other_windows(self, coverage: Coverage, span_days: int) -> list[Window]:
        """Return the known days before the range, and those up to a year after it."""
        begin, end = self.windows_of_changes(coverage, span_days)[0].first, self.windows[-1].last
        ahead = windows.ahead(self.main.last - DAY, span_days).last
        found = []
        if coverage and coverage[0].first < begin:
            found.append(Window(coverage[0].first, begin - DAY))
        if ahead > end:
            found.append(Window(end + DAY, ahead))
        return found


def build_day_range(
    request: ReconcileRequest,
    *,
    known: tuple[datetime, datetime] | None,
    beginning: date | None,
    zone: tzinfo,
    now: datetime,
    span_days: int,
) -> DayRange:
    """Return the days that a request means.

    :param known: the starts of the first and the last live row; None without rows.
    :param beginning: the first day of the history, where a pull has found it.
    :param zone: the zone of the token's owner.
    :param now: by Toggl's clock.
    :raises ConfigurationError: the days are in the wrong order, or the first one is not known.
    """
    today = now.astimezone(zone).date()
    if request.since is not None:
        first = windows.parse_day(request.since, "since", today)
    elif known is not None:
        first = max(windows.EARLIEST, min(known[0].astimezone(zone).date() - DAY, today))
    elif beginning is not None:
        first = beginning
    else:
        raise ConfigurationError(
            "The warehouse has no time entries of this workspace, so the first day to verify is unknown. Load them "
            "first with TogglToSqlOperator, or set since."
        )
    last = today + DAY
    if request.until is not None:
        last = windows.parse_last_day(request.until, "until", today)
    if last < first:
        raise ConfigurationError(f"until ({last}) is before since ({first}).")
    planned = None
    last_known = known[1].astimezone(zone).date() if known else last
    if request.until is None and last_known > last:
        planned = Window(last + DAY, max(last_known, windows.ahead(today, span_days).last))
    return DayRange(Window(first, last), planned, has_end=request.until is not None)
