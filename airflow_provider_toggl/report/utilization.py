"""Utilization: each person's billable hours of a week, over the hours that the person has."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import partial
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from airflow_provider_toggl.core.load.merging.changed_days import as_day
from airflow_provider_toggl.core.wording import plural
from airflow_provider_toggl.report.drawing import INK, PAPER, label_weeks, name_week, new_figure, shorten
from airflow_provider_toggl.report.people import People, Person
from airflow_provider_toggl.report.picture import Picture, read_rows, why_empty
from airflow_provider_toggl.report.weeks import WeeklyReport, monday_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from airflow_provider_toggl.core.load.warehouse import Warehouse

TITLE = "Utilization"
MOST_PEOPLE = 40
"""People in the picture; the table has all."""

# Not by condition: some engines have numbers for booleans.
_SUMS = """
select e."user_id", f."local_date", e."billable", sum(e."duration")
from "time_entry_facts" as f join "live_time_entries" as e on e."id" = f."time_entry_id"
where f."workspace_id" = ? and f."local_date" >= '{begin}' and f."local_date" < '{end}' and e."duration" is not null
    and e."user_id" is not null
group by e."user_id", f."local_date", e."billable"
"""
_LOW, _HIGH, _OVER, _UNKNOWN = (0xEE, 0xF4, 0xFA), (0x0A, 0x46, 0x7D), "#8f3d00", "#dde1e6"
# Not the page's colours: a cell is as light or dark on every page.
_ON_LIGHT, _ON_DARK = "#010101", "#fefefe"


@dataclass(frozen=True)
class Line:
    """A person's weeks.

    :param hours: billable hours of each week.
    """

    person: Person
    hours: tuple[float, ...]

    def shares(self, working_days: int) -> tuple[float | None, ...]:
        """Return billable over available hours of each week; None for a person without working hours."""
        if self.person.minutes is None:
            return (None,) * len(self.hours)
        available = self.person.minutes * working_days / 60
        return tuple(hours / available for hours in self.hours)


@dataclass(frozen=True)
class Utilization:
    """The heat map's figures.

    :param lines: by name; people without working hours last.
    :param working_days: days of a week that working hours are counted for.
    :param open_week: the week that is not over, if it is one of them.
    """

    weeks: list[date]
    lines: list[Line] = field(default_factory=list)
    working_days: int = 5
    open_week: date | None = None


def read_utilization(
    warehouse: Warehouse, workspace_id: int, report: WeeklyReport, people: People, working_days: int = 5
) -> Utilization:
    """Read the billable hours of each person and week.

    :param working_days: days of a week; Toggl has working hours for a day and does not say which days are worked.
    """
    end = report.weeks[-1] + timedelta(days=7)
    sums = read_rows(warehouse, _SUMS.format(begin=report.weeks[0], end=end), [workspace_id])
    billable: dict[tuple[int, date], int] = {}
    found = {user_id for user_id, person in people.persons.items() if person.is_active}
    for user_id, day, is_billable, seconds in sums:
        found.add(int(user_id))
        if is_billable:
            key = (int(user_id), monday_of(as_day(day)))
            billable[key] = billable.get(key, 0) + int(seconds)
    lines = [
        Line(people.find(user_id), tuple(billable.get((user_id, week), 0) / 3600 for week in report.weeks))
        for user_id in found
    ]
    lines.sort(key=lambda line: (line.person.minutes is None, line.person.name.casefold(), line.hours))
    day = report.as_of.astimezone(ZoneInfo(report.zone)).date() if report.as_of else None
    open_week = monday_of(day) if day and monday_of(day) in report.weeks else None
    return Utilization(list(report.weeks), lines, working_days, open_week)


def picture_utilization(
    warehouse: Warehouse, workspace_id: int, report: WeeklyReport, people: People, working_days: int = 5
) -> Picture:
    """Return the heat map, or why there is none."""
    if not people.has_members:
        reason = why_empty("workspace_users", "a token whose owner may see the workspace's members")
        return Picture("utilization", TITLE, (reason,))
    found = read_utilization(warehouse, workspace_id, report, people, working_days)
    if not found.lines:
        return Picture("utilization", TITLE, ("Left out: nobody is active and nobody has hours in these weeks.",))
    head = ("Person", "Hours a day", *map(name_week, found.weeks))
    rows = [
        (
            line.person.name,
            "not set" if line.person.minutes is None else f"{line.person.minutes / 60:g}",
            *(show_cell(*cell) for cell in zip(line.hours, line.shares(working_days), strict=True)),
        )
        for line in found.lines
    ]
    return Picture("utilization", TITLE, _notes(found), head, rows, partial(_draw, found))


def show_cell(hours: float, share: float | None) -> str:
    """Return what a cell says: a share, or the billable hours where there is none."""
    return f"{hours:,.1f} h" if share is None else f"{share:.0%}"


def _notes(found: Utilization) -> tuple[str, ...]:
    counted = (
        f"Billable hours over available hours: the working hours set in Toggl now, times "
        f"{plural(found.working_days, 'day')} a week. Holidays are not known."
    )
    if found.open_week:
        counted += f" W{found.open_week.isocalendar()[1]:02} is not over."
    without = sum(line.person.minutes is None for line in found.lines)
    if not without:
        return (counted,)
    who = "1 person has" if without == 1 else f"{without} people have"
    return (counted, f"{who} no working hours in Toggl: their cells are hatched and show billable hours, not a share.")


def _draw(found: Utilization) -> Figure:
    from matplotlib.patches import Rectangle

    lines = found.lines[:MOST_PEOPLE]
    notes = _notes(found)
    if len(lines) < len(found.lines):
        notes = (*notes, f"The first {len(lines)} of {len(found.lines)} people.")
    below = 0.95 + 0.19 * (len(notes) - 1)
    height = 0.8 + 0.3 * len(lines) + below
    figure = new_figure(height, TITLE, *notes)
    axis = figure.add_axes((0.2, below / height, 0.78, 0.3 * len(lines) / height))
    for row, line in enumerate(lines):
        for column, (hours, share) in enumerate(zip(line.hours, line.shares(found.working_days), strict=True)):
            fill, ink = find_colours(share)
            corner = (column - 0.5, row - 0.5)
            axis.add_patch(Rectangle(corner, 1, 1, facecolor=fill, edgecolor=PAPER, linewidth=1.5))
            if share is None:
                hatch = Rectangle(corner, 1, 1, fill=False, hatch="////", edgecolor="#b3bac2", linewidth=0)
                axis.add_patch(hatch)
            behind = {"facecolor": fill, "edgecolor": "none", "pad": 1} if share is None else None
            axis.text(
                column,
                row,
                show_cell(hours, share),
                color=ink,
                size=8.5,
                ha="center",
                va="center_baseline",
                bbox=behind,
            )
    _style(axis, found, lines)
    return figure


def _style(axis: Axes, found: Utilization, lines: list[Line]) -> None:
    axis.set_yticks(range(len(lines)), [shorten(line.person.name) for line in lines])
    label_weeks(axis, found.weeks)
    axis.set_xlim(-0.5, len(found.weeks) - 0.5)
    axis.set_ylim(len(lines) - 0.5, -0.5)
    axis.tick_params(length=0, labelcolor=INK)
    axis.set_facecolor(PAPER)
    for side in ("top", "left", "right", "bottom"):
        axis.spines[side].set_visible(False)


def find_colours(share: float | None) -> tuple[str, str]:
    """Return a cell's colour and that of its text: darker blue for more, brown above 100 %, grey for unknown."""
    if share is None:
        return _UNKNOWN, _ON_LIGHT
    # As it is shown: 100 % is not more than 100 %.
    if round(share, 2) > 1:
        return _OVER, _ON_DARK
    part = min(share, 1)
    fill = "#" + "".join(f"{round(low + (high - low) * part):02x}" for low, high in zip(_LOW, _HIGH, strict=True))
    return fill, _ON_DARK if part > 0.7 else _ON_LIGHT
