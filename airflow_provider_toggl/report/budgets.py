"""Budgets: the hours of projects with an estimate, summed up week by week, against the estimate."""

# ruff: noqa: S608 - the only words put into the statements are this package's
from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_provider_toggl.core.load.merging.changed_days import as_day
from airflow_provider_toggl.core.load.merging.rule import is_live
from airflow_provider_toggl.report.drawing import (
    COLOURS,
    INK,
    MUTED,
    label_weeks,
    name_week,
    new_figure,
    shorten,
    style,
)
from airflow_provider_toggl.report.picture import Picture, read_rows
from airflow_provider_toggl.report.weeks import WeeklyReport, monday_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from airflow_provider_toggl.core.load.warehouse import Warehouse

TITLE = "Budgets"
MOST_PROJECTS = 8
"""Projects in the picture; the table has all."""

_PROJECTS = f"""
select "id", "name", "estimated_seconds", "recurring" from "projects"
where "workspace_id" = ? and "estimated_seconds" > 0 and {is_live()}
"""
_SUMS = """
select e."project_id", f."local_date", sum(e."duration")
from "time_entry_facts" as f join "live_time_entries" as e on e."id" = f."time_entry_id"
    join "projects" as p on p."id" = e."project_id"
where f."workspace_id" = ? and f."local_date" < '{end}' and e."duration" is not null and p."estimated_seconds" > 0
group by e."project_id", f."local_date"
"""
_USED, _OVER = COLOURS[0], COLOURS[5]


@dataclass(frozen=True)
class Budget:
    """A project.

    :param estimate: in hours.
    :param used: hours from the project's begin to the end of each week.
    :param before: hours before the first of the weeks.
    """

    name: str
    estimate: float
    used: tuple[float, ...]
    before: float = 0.0

    @property
    def share(self) -> float:
        """Hours over estimate, at the end of the last week."""
        return self.used[-1] / self.estimate

    @property
    def is_moving(self) -> bool:
        """Whether it has hours in these weeks."""
        return self.used[-1] > self.before

    @property
    def label(self) -> str:
        """Say how much is used."""
        return f"{self.share:.0%} of {self.estimate:,.0f} h"


def sum_up(projects: list[tuple[int, str, int]], sums: list[tuple[Any, ...]], weeks: list[date]) -> list[Budget]:
    """Return the budgets of projects that have hours in these weeks, the largest share first.

    :param projects: id, name and estimate in seconds.
    :param sums: project, day and seconds; days until the end of the last week.
    """
    seconds: dict[tuple[int, date], int] = {}
    for project_id, day, some in sums:
        week = monday_of(as_day(day))
        # All that was before counts in one sum.
        key = (int(project_id), week if week >= weeks[0] else date.min)
        seconds[key] = seconds.get(key, 0) + int(some)
    found = []
    for id_, name, estimate in projects:
        total = before = seconds.get((id_, date.min), 0)
        used = []
        for week in weeks:
            total += seconds.get((id_, week), 0)
            used.append(total / 3600)
        found.append(Budget(name, estimate / 3600, tuple(used), before / 3600))
    return sorted((one for one in found if one.is_moving), key=lambda one: (-one.share, one.name))


def picture_budgets(warehouse: Warehouse, workspace_id: int, report: WeeklyReport) -> Picture:
    """Return the burn-up of budgets, or why there is none."""
    projects = read_rows(warehouse, _PROJECTS, [workspace_id])
    # The estimate of a recurring project is that of one period, not of all its hours.
    recurring = sum(bool(row[3]) for row in projects)
    counted = [
        (int(id_), name or f"project {id_}", int(estimate)) for id_, name, estimate, again in projects if not again
    ]
    if not counted:
        return Picture("budgets", TITLE, ("Left out: no project that is not recurring has an estimate.",))
    end = report.weeks[-1] + timedelta(days=7)
    budgets = sum_up(counted, read_rows(warehouse, _SUMS.format(end=end), [workspace_id]), report.weeks)
    if not budgets:
        return Picture("budgets", TITLE, ("Left out: no project with an estimate has hours in these weeks.",))
    notes = (
        "All hours in the warehouse, from before these weeks too; the dashed line is the estimate as it is now."
        + (f" Left out: {recurring} recurring, whose estimate is for each period." if recurring else ""),
    )
    head = ("Project", "Estimate", "Used", "Share", "Left", *map(name_week, report.weeks))
    rows = [
        (
            one.name,
            *(f"{value:,.1f}" for value in (one.estimate, one.used[-1])),
            f"{one.share:.0%}",
            *(f"{value:,.1f}" for value in (one.estimate - one.used[-1], *one.used)),
        )
        for one in budgets
    ]
    return Picture("budgets", TITLE, notes, head, rows, partial(_draw, budgets, report.weeks, notes))


def _draw(budgets: list[Budget], weeks: list[date], notes: tuple[str, ...]) -> Figure:
    shown = budgets[:MOST_PROJECTS]
    if len(shown) < len(budgets):
        notes = (
            *notes,
            f"The {len(shown)} projects with the largest share, of {len(budgets)}.",
        )
    columns = 2
    lines = -(-len(shown) // columns)
    above, each, below = 0.85, 2.35, 0.2 + 0.19 * len(notes)
    height = above + each * lines + below
    figure = new_figure(height, TITLE, *notes)
    for number, budget in enumerate(shown):
        line, column = divmod(number, columns)
        bottom = below + each * (lines - 1 - line) + 0.72
        axis = figure.add_axes((0.06 + 0.485 * column, bottom / height, 0.405, 1.35 / height))
        _draw_budget(axis, budget, weeks)
    return figure


def _draw_budget(axis: Axes, budget: Budget, weeks: list[date]) -> None:
    places = range(len(weeks))
    colour = _OVER if budget.share > 1 else _USED
    axis.fill_between(places, budget.used, color=colour, alpha=0.15, linewidth=0)
    axis.plot(places, budget.used, color=colour, linewidth=1.8, marker="o", markersize=3.5)
    axis.axhline(budget.estimate, color=INK, linewidth=1.2, linestyle=(0, (5, 3)))
    style(axis, "hours", max(budget.estimate, budget.used[-1]), lines=4)
    label_weeks(axis, weeks, every=-(-len(weeks) // 7))
    axis.set_title(shorten(budget.name, 30), loc="left", size=10.5)
    is_over = budget.share > 1
    said = f"{budget.label}, over" if is_over else budget.label
    axis.set_title(said, loc="right", size=9.5, color=INK if is_over else MUTED)
