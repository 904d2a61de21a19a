"""Approvals: the timesheets that wait for a decision."""

# ruff: noqa: S608 - the only words put into the statements are this package's
from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_provider_toggl.core.load.merging.changed_days import as_day
from airflow_provider_toggl.core.load.merging.rule import is_live
from airflow_provider_toggl.core.wording import plural
from airflow_provider_toggl.report.chart import show_instant
from airflow_provider_toggl.report.drawing import BAR, MUTED, new_figure, shorten, style_bars
from airflow_provider_toggl.report.people import People
from airflow_provider_toggl.report.picture import Picture, read_rows, why_empty
from airflow_provider_toggl.report.weeks import WeeklyReport

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from airflow_provider_toggl.core.load.warehouse import Warehouse

TITLE = "Waiting for approval"
MOST_SHEETS = 20
"""Timesheets in the picture; the table has all."""

_SHEETS = f"""
select "member_id", "approver_id", "start_date", "end_date", "status", "submitted_at" from "timesheets"
where "workspace_id" = ? and {is_live()}
"""
_SUMS = """
select e."user_id", f."local_date", sum(e."duration")
from "time_entry_facts" as f join "live_time_entries" as e on e."id" = f."time_entry_id"
where f."workspace_id" = ? and f."local_date" >= '{begin}' and f."local_date" <= '{end}' and e."duration" is not null
group by e."user_id", f."local_date"
"""
#: Toggl's definitions do not list the words; those of the sandbox.
_NOT_WAITING = {"open", "approved", "rejected"}


@dataclass(frozen=True)
class Sheet:
    """A timesheet that waits.

    :param hours: tracked in its period, as the warehouse has them now.
    :param days: whole days since it was submitted.
    """

    person: str
    begin: date
    end: date
    hours: float
    submitted_at: datetime
    days: int
    approver: str

    @property
    def period(self) -> str:
        """Its first and last day."""
        first = f"{self.begin.day}" if self.begin.month == self.end.month else f"{self.begin.day} {self.begin:%b}"
        return f"{first}-{self.end.day} {self.end:%b}"


def is_waiting(status: str | None, submitted_at: datetime | None) -> bool:
    """Return whether a timesheet is submitted and not decided on. A reopened one is not."""
    return submitted_at is not None and (status or "").lower() not in _NOT_WAITING


def read_waiting(warehouse: Warehouse, workspace_id: int, people: People, now: datetime) -> list[Sheet] | None:
    """Read the timesheets that wait, the longest waiting first; None if no timesheet is stored."""
    sheets = read_rows(warehouse, _SHEETS, [workspace_id])
    if not sheets:
        return None
    waiting = [
        (int(member_id), approver_id, as_day(begin), as_day(end or begin), _aware(submitted_at))
        for member_id, approver_id, begin, end, status, submitted_at in sheets
        if member_id is not None and begin is not None and is_waiting(status, submitted_at)
    ]
    if not waiting:
        return []
    begin, end = min(row[2] for row in waiting), max(row[3] for row in waiting)
    seconds = {
        (int(user_id), as_day(day)): int(some)
        for user_id, day, some in read_rows(warehouse, _SUMS.format(begin=begin, end=end), [workspace_id])
        if user_id is not None
    }
    found = [
        Sheet(
            people.find(member_id).name,
            first,
            last,
            sum(seconds.get((member_id, day), 0) for day in _days(first, last)) / 3600,
            submitted_at,
            max(0, (now - submitted_at).days),
            "nobody" if approver_id is None else people.find(int(approver_id)).name,
        )
        for member_id, approver_id, first, last, submitted_at in waiting
    ]
    return sorted(found, key=lambda sheet: (sheet.submitted_at, sheet.person, sheet.begin))


def _days(first: date, last: date) -> list[date]:
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def _aware(moment: Any) -> datetime:
    instant: datetime = moment
    return instant.replace(tzinfo=timezone.utc) if instant.tzinfo is None else instant


def picture_approvals(
    warehouse: Warehouse, workspace_id: int, report: WeeklyReport, people: People, now: datetime
) -> Picture:
    """Return the queue of approvals, or why there is none.

    :param now: the present (aware).
    """
    found = read_waiting(warehouse, workspace_id, people, now)
    if found is None:
        reason = why_empty("timesheets", "a plan with approvals (Premium) and a token whose owner may see them")
        return Picture("approvals", TITLE, (reason,))
    if not found:
        return Picture("approvals", TITLE, ("No timesheet waits for approval.",))
    moment = show_instant(now, report.zone)
    notes = (f"Timesheets that are submitted and neither approved nor rejected, at {moment}.",)
    head = ("Person", "Period", "Hours", "Submitted", "Days", "Approver")
    rows: list[tuple[str, ...]] = [
        (
            sheet.person,
            f"{sheet.begin} to {sheet.end}",
            f"{sheet.hours:,.1f}",
            show_instant(sheet.submitted_at, report.zone),
            str(sheet.days),
            sheet.approver,
        )
        for sheet in found
    ]
    return Picture("approvals", TITLE, notes, head, rows, partial(_draw, found, notes))


def _draw(sheets: list[Sheet], notes: tuple[str, ...]) -> Figure:
    shown = sheets[:MOST_SHEETS]
    if len(shown) < len(sheets):
        notes = (*notes, f"The {len(shown)} that wait longest of {len(sheets)}.")
    above, part, below = 0.75, 0.33 * len(shown), 0.85 + 0.19 * len(notes)
    height = above + part + below
    figure = new_figure(height, TITLE, *notes)
    axis = figure.add_axes((0.27, below / height, 0.42, part / height))
    axis.barh(range(len(shown)), [sheet.days for sheet in shown], 0.62, color=BAR)
    style_bars(axis, [f"{sheet.period}, {shorten(sheet.person, 20)}" for sheet in shown])
    axis.set_xlim(0, max(sheet.days for sheet in shown) * 1.02 or 1)
    axis.locator_params(axis="x", integer=True)
    axis.set_xlabel("days since it was submitted", color=MUTED)
    for place, sheet in enumerate(shown):
        text = f"{plural(sheet.days, 'day')}, {sheet.hours:,.1f} h, for {shorten(sheet.approver, 20)}"
        axis.text(1.03, place, text, transform=axis.get_yaxis_transform(), va="center", size=9.5)
    return figure
