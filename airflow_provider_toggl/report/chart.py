"""The chart of a weekly report, with matplotlib (extra ``report``), as PNG and as SVG."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from airflow_provider_toggl.report.drawing import (
    BAR,
    COLOURS,
    MUTED,
    PAPER,
    label_weeks,
    new_figure,
    render_svg,
    save_png,
    shorten,
    style,
)
from airflow_provider_toggl.report.weeks import NO_CLIENT, OTHERS, WeeklyReport

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_LABELS = 14
"""More names of weeks than these would overlap."""
_GREYS = {OTHERS: "#9AA1A9", NO_CLIENT: "#D5D9DE"}


def draw_png(report: WeeklyReport, path: Path, *, dpi: int = 144) -> None:
    """Draw the chart into a file.

    :raises ConfigurationError: matplotlib is not installed.
    """
    save_png(partial(_draw, report), path, dpi=dpi)


def draw_svg(report: WeeklyReport) -> str:
    """Return the chart as an ``svg`` element for a page.

    :raises ConfigurationError: matplotlib is not installed.
    """
    return render_svg(partial(_draw, report))


def show_instant(moment: datetime | None, zone: str) -> str:
    """Return an instant as the report shows it."""
    return "unknown" if moment is None else f"{moment.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M}"


def title_of(report: WeeklyReport) -> str:
    """Return the title; it mentions amounts if the workspace's plan has any."""
    return "Hours and amounts by week" if report.cents else "Hours by week"


def show_note(report: WeeklyReport) -> str:
    """Return the note on how the figures are counted."""
    return (
        f"Weeks begin on Monday; an entry counts on the day it began, in {report.zone}. "
        f"As of {show_instant(report.as_of, report.zone)}."
    )


def _draw(report: WeeklyReport) -> Figure:
    currencies = sorted(report.cents)
    ratios = [3.4, *(1.0 for _ in currencies)]
    height = 4.4 + 1.35 * len(currencies)
    figure = new_figure(height, title_of(report), show_note(report))
    legend_width = 0.215
    axes = figure.subplots(
        len(ratios),
        1,
        sharex=True,
        squeeze=False,
        gridspec_kw={
            "height_ratios": ratios,
            "hspace": 0.30,
            "left": 0.075,
            "right": 1 - legend_width,
            "top": 1 - 0.78 / height,
            "bottom": 0.86 / height,
        },
    )[:, 0]
    _draw_hours(report, axes[0])
    for axis, currency in zip(axes[1:], currencies, strict=True):
        _draw_amounts(report, axis, currency)
    label_weeks(axes[-1], report.weeks, every=-(-len(report.weeks) // MOST_LABELS))
    return figure


def _draw_hours(report: WeeklyReport, axis: Axes) -> None:
    places = range(len(report.weeks))
    floor = [0.0] * len(report.weeks)
    handles = []
    colours = iter(COLOURS)
    for client in report.clients:
        colour = _GREYS.get(client) or next(colours)
        hours = [report.hours(week, client) for week in report.weeks]
        handles.append(axis.bar(places, hours, 0.72, floor, color=colour, edgecolor=PAPER, linewidth=0.6))
        floor = [low + more for low, more in zip(floor, hours, strict=True)]
    style(axis, "hours", max(floor, default=0))
    for place, total in zip(places, floor, strict=True):
        if total:
            _label_bar(axis, place, total, f"{total:,.1f}")
    if not handles:
        axis.text(0.5, 0.5, "No hours in these weeks", transform=axis.transAxes, ha="center", color=MUTED)
        return
    # The legend begins with the topmost part of the bars. Names are set afterwards: a legend drops those with a "_".
    legend = axis.legend(
        handles[::-1],
        ["-"] * len(handles),
        loc="upper left",
        bbox_to_anchor=(1.015, 1.02),
        frameon=False,
        title="Client",
        alignment="left",
        handlelength=1.1,
        handleheight=1.1,
        labelspacing=0.55,
    )
    for text, client in zip(legend.get_texts(), report.clients[::-1], strict=True):
        text.set_text(shorten(client))


def _draw_amounts(report: WeeklyReport, axis: Axes, currency: str) -> None:
    places = range(len(report.weeks))
    amounts = [report.amount(currency, week) for week in report.weeks]
    axis.bar(places, amounts, 0.72, color=BAR)
    style(axis, currency, max(amounts, default=0), lines=3)
    for place, amount in zip(places, amounts, strict=True):
        if amount:
            _label_bar(axis, place, amount, f"{amount:,.0f}")
    total = f"{sum(amounts):,.2f} {currency}\nbillable in total"
    axis.text(1.02, 0.92, total, transform=axis.transAxes, va="top", linespacing=1.4)


def _label_bar(axis: Axes, place: int, height: float, text: str) -> None:
    # White behind it hides the lines of the grid.
    behind = {"facecolor": PAPER, "edgecolor": "none", "pad": 0.5}
    axis.annotate(text, (place, height), (0, 3.5), textcoords="offset points", ha="center", size=8.5, bbox=behind)
