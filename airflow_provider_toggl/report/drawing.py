"""How figures are drawn with matplotlib (extra ``report``): colours, fonts, PNG files and SVG elements."""

from __future__ import annotations

import io
import logging
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_toggl.core.errors import ConfigurationError

if TYPE_CHECKING:
    from datetime import date

    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

log = logging.getLogger(__name__)

# Hues that people with colour vision deficiencies can distinguish (Okabe and Ito, without black).
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#7B61A8", "#8C5A3C")
INK, MUTED, LINE, PAPER, BAR = "#1f2933", "#6b7680", "#e4e7eb", "#ffffff", "#52606d"
#: Colours of a page that is light or dark; an SVG element names the page's, see ``page._STYLE``.
_OF_THE_PAGE = {INK: "ink", MUTED: "muted", LINE: "line", PAPER: "paper", BAR: "bar"}
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
    "text.color": INK,
    "text.parse_math": False,
    "hatch.linewidth": 0.6,
}
_WIDTH = 11


def save_png(draw: Callable[[], Figure], path: Path, *, dpi: int = 144) -> None:
    """Draw a figure into a file.

    :raises ConfigurationError: matplotlib is not installed.
    """
    _save(draw, path, format="png", dpi=dpi, metadata={"Software": None})


def render_svg(draw: Callable[[], Figure]) -> str:
    """Return a figure as an ``svg`` element for a page, in the page's colours for text, lines and background.

    :raises ConfigurationError: matplotlib is not installed.
    """
    text = io.StringIO()
    _save(draw, text, format="svg", metadata={"Date": None, "Creator": None})
    # The XML declaration and the metadata do not belong in a page.
    element = text.getvalue()[text.getvalue().index("<svg") :]
    element = re.sub(r"\s*<metadata>.*?</metadata>", "", element, flags=re.DOTALL)
    return re.sub(r"(?<=: )#[0-9a-f]{6}", _name_colour, element)


def _name_colour(found: re.Match[str]) -> str:
    name = _OF_THE_PAGE.get(found[0])
    return f"var(--{name}, {found[0]})" if name else found[0]


def _save(draw: Callable[[], Figure], where: Any, **options: Any) -> None:
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
        draw().savefig(where, facecolor=PAPER, **options)
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


def new_figure(height: float, title: str, *notes: str) -> Figure:
    """Return an empty figure with a title above and notes below.

    :param height: in inches, title and notes included; the width is 11.
    :param notes: lines below the drawing.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH, height), layout=None)
    figure.text(0.02, 1 - 0.36 / height, title, size=15, va="center")
    for number, note in enumerate(reversed(notes)):
        figure.text(0.02, (0.17 + 0.19 * number) / height, note, size=8.5, color=MUTED, va="center")
    return figure


def shorten(name: str, most: int = 26) -> str:
    """Return a name with at most so many characters."""
    return name if len(name) <= most else name[: most - 1] + "…"


def style(axis: Axes, unit: str, highest: float, lines: int = 5) -> None:
    """Style an axis whose values go upwards from 0.

    :param lines: of the grid, at most.
    """
    axis.set_ylabel(unit, color=MUTED)
    axis.set_ylim(0, highest * 1.17 or 1)
    axis.locator_params(axis="y", nbins=lines)
    _style(axis, axis.yaxis, axis.xaxis, "bottom")


def style_bars(axis: Axes, names: list[str]) -> None:
    """Style an axis of horizontal bars, one for each name, from the top."""
    axis.set_yticks(range(len(names)), names)
    axis.set_ylim(len(names) - 0.4, -0.6)
    axis.locator_params(axis="x", nbins=6)
    _style(axis, axis.xaxis, axis.yaxis, "left")


def _style(axis: Axes, values: Axis, names: Axis, base: str) -> None:
    """Style what bars of both directions have in common.

    :param values: where the values are; ``names`` where the names are.
    :param base: the side where bars begin, the only one that is drawn.
    """
    values.set_major_formatter(lambda value, _: f"{value:,.0f}" if value == int(value) else f"{value:,.1f}")
    values.grid(color=LINE, linewidth=0.8)
    axis.set_axisbelow(True)
    axis.set_facecolor(PAPER)
    values.set_tick_params(length=0, labelcolor=MUTED)
    names.set_tick_params(length=0, labelcolor=INK)
    for side in ("top", "left", "bottom", "right"):
        axis.spines[side].set_visible(side == base)
    axis.spines[base].set_color(MUTED)


def label_weeks(axis: Axes, weeks: list[date], every: int = 1) -> None:
    """Write number and Monday of weeks below an axis that has one place for each.

    :param every: 1 labels each week, 2 each second one, and so on; the last week is always labelled.
    """
    places = [place for place in range(len(weeks)) if (len(weeks) - 1 - place) % every == 0]
    labels = []
    year = None
    for place in places:
        week = weeks[place]
        begins_year, year = week.year != year, week.year
        labels.append(name_week(week).replace(" ", "\n", 1) + (f"\n{week.year}" if begins_year else ""))
    axis.set_xticks(places, labels)
    axis.set_xlim(-0.6, len(weeks) - 0.4)


def name_week(week: date) -> str:
    """Return a week's name: its ISO number and its Monday."""
    return f"W{week.isocalendar()[1]:02} {week.day} {week:%b}"
