"""The chart of a weekly report, with matplotlib (extra ``report``), as PNG and as SVG."""

from __future__ import annotations

import io
import logging
import re
import warnings
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from airflow_provider_toggl.core.errors import ConfigurationError
from airflow_provider_toggl.report.weeks import NO_CLIENT, OTHERS, WeeklyReport

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

log = logging.getLogger(__name__)

# Hues that people with colour vision deficiencies can distinguish (Okabe and Ito, without black), and greys.
_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#7B61A8", "#8C5A3C")
_GREYS = {OTHERS: "#9AA1A9", NO_CLIENT: "#D5D9DE"}
_INK, _MUTED, _LINE = "#1F2933", "#6B7680", "#E4E7EB"
_AMOUNT = "#52606D"
_LONGEST_NAME = 26
#: The first comes with matplotlib. Of the others, for letters that it lacks, those that are installed are used.
_FONTS = (
    "DejaVu Sans",
    "Noto Sans CJK JP",
    "Noto Sans CJK SC",
    "IPAPGothic",
    "IPAGothic",
    "WenQuanYi Zen Hei",
    "Hiragino Sans",
    "PingFang SC",
    "Yu Gothic",
    "Microsoft YaHei",
    "Malgun Gothic",
    "Arial Unicode MS",
)
_GLYPH = re.compile(r"Glyph (\d+) .*missing")
_SETTINGS: dict[Any, Any] = {
    "font.size": 9.5,
    "svg.fonttype": "none",
    # Equal reports give equal files.
    "svg.hashsalt": "toggl",
    "text.color": _INK,
    "text.parse_math": False,
}


def draw_png(report: WeeklyReport, path: Path, *, dpi: int = 144) -> None:
    """Draw the chart into a file.

    :raises ConfigurationError: matplotlib is not installed.
    """
    _save(report, path, format="png", dpi=dpi, metadata={"Software": None})


def draw_svg(report: WeeklyReport) -> str:
    """Return the chart as an ``svg`` element for a page.

    :raises ConfigurationError: matplotlib is not installed.
    """
    text = io.StringIO()
    _save(report, text, format="svg", metadata={"Date": None, "Creator": None})
    # The XML declaration and the metadata do not belong in a page.
    element = text.getvalue()[text.getvalue().index("<svg") :]
    return re.sub(r"\s*<metadata>.*?</metadata>", "", element, flags=re.DOTALL)


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


def _save(report: WeeklyReport, where: Any, **options: Any) -> None:
    try:
        from matplotlib import font_manager, rc_context
    except ImportError as missing:
        raise ConfigurationError(
            f"Drawing needs matplotlib ({missing}): pip install 'airflow-provider-toggl[report]'."
        ) from None

    installed = set(font_manager.get_font_names())
    fonts = {"font.family": [font for font in _FONTS if font in installed]}
    with rc_context(_SETTINGS | fonts), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        _draw(report).savefig(where, facecolor="white", **options)
    missing_letters = set()
    for warning in caught:
        glyph = _GLYPH.match(str(warning.message))
        if glyph is None:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
        else:
            missing_letters.add(chr(int(glyph[1])))
    # The browser draws the text of an SVG, with the reader's fonts.
    if missing_letters and options["format"] == "png":
        log.warning(
            "The chart has letters that no installed font has and that are drawn as boxes: %s. Install a font that has "
            "them where tasks run, for example fonts-noto-cjk on Debian and Ubuntu for Chinese, Japanese and Korean.",
            "".join(sorted(missing_letters)),
        )


def _draw(report: WeeklyReport) -> Figure:
    from matplotlib.figure import Figure

    currencies = sorted(report.cents)
    ratios = [3.4, *(1.0 for _ in currencies)]
    height = 4.4 + 1.35 * len(currencies)
    figure = Figure(figsize=(11, height), layout=None)
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
    figure.text(0.02, 1 - 0.36 / height, title_of(report), size=15, va="center")
    figure.text(0.02, 0.17 / height, show_note(report), size=8.5, color=_MUTED, va="center")
    _draw_hours(report, axes[0])
    for axis, currency in zip(axes[1:], currencies, strict=True):
        _draw_amounts(report, axis, currency)
    _label_weeks(axes[-1], report.weeks)
    return figure


def _draw_hours(report: WeeklyReport, axis: Axes) -> None:
    places = range(len(report.weeks))
    floor = [0.0] * len(report.weeks)
    handles = []
    colours = iter(_COLOURS)
    for client in report.clients:
        colour = _GREYS.get(client) or next(colours)
        hours = [report.hours(week, client) for week in report.weeks]
        handles.append(axis.bar(places, hours, 0.72, floor, color=colour, edgecolor="white", linewidth=0.6))
        floor = [low + more for low, more in zip(floor, hours, strict=True)]
    _style(axis, "hours", max(floor, default=0))
    for place, total in zip(places, floor, strict=True):
        if total:
            _label_bar(axis, place, total, f"{total:,.1f}")
    if not handles:
        axis.text(0.5, 0.5, "No hours in these weeks", transform=axis.transAxes, ha="center", color=_MUTED)
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
        text.set_text(client if len(client) <= _LONGEST_NAME else client[: _LONGEST_NAME - 1] + "…")


def _draw_amounts(report: WeeklyReport, axis: Axes, currency: str) -> None:
    places = range(len(report.weeks))
    amounts = [report.amount(currency, week) for week in report.weeks]
    axis.bar(places, amounts, 0.72, color=_AMOUNT)
    _style(axis, currency, max(amounts, default=0))
    for place, amount in zip(places, amounts, strict=True):
        if amount:
            _label_bar(axis, place, amount, f"{amount:,.0f}")
    total = f"{sum(amounts):,.2f} {currency}\nbillable in total"
    axis.text(1.02, 0.92, total, transform=axis.transAxes, va="top", linespacing=1.4)


def _label_bar(axis: Axes, place: int, height: float, text: str) -> None:
    # White behind it hides the lines of the grid.
    behind = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
    axis.annotate(text, (place, height), (0, 3.5), textcoords="offset points", ha="center", size=8.5, bbox=behind)


def _style(axis: Axes, unit: str, highest: float) -> None:
    axis.set_ylabel(unit, color=_MUTED)
    axis.set_ylim(0, highest * 1.17 or 1)
    axis.locator_params(axis="y", nbins=5 if unit == "hours" else 3)
    axis.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value == int(value) else f"{value:,.1f}")
    axis.grid(axis="y", color=_LINE, linewidth=0.8)
    axis.set_axisbelow(True)
    axis.tick_params(length=0, labelcolor=_MUTED)
    axis.tick_params(axis="x", labelcolor=_INK)
    for side in ("top", "left", "right"):
        axis.spines[side].set_visible(False)
    axis.spines["bottom"].set_color(_MUTED)


def _label_weeks(axis: Axes, weeks: list[date]) -> None:
    labels = []
    for place, week in enumerate(weeks):
        begins_year = place == 0 or week.year != weeks[place - 1].year
        labels.append(f"W{week.isocalendar()[1]:02}\n{week.day} {week:%b}" + (f"\n{week.year}" if begins_year else ""))
    axis.set_xticks(range(len(weeks)), labels)
    axis.set_xlim(-0.6, len(weeks) - 0.4)
