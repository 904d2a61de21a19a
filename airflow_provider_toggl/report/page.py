"""The web page of a weekly report: pictures and figures in one self-contained HTML file."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from html import escape

from airflow_provider_toggl.report.chart import draw_svg, show_note, title_of
from airflow_provider_toggl.report.drawing import BAR, INK, LINE, MUTED, PAPER, render_svg
from airflow_provider_toggl.report.picture import Picture
from airflow_provider_toggl.report.weeks import WeeklyReport

_STYLE = f"""
:root {{ color-scheme: light dark; --ink: {INK}; --muted: {MUTED}; --line: {LINE}; --paper: {PAPER}; --bar: {BAR}; }}
@media (prefers-color-scheme: dark) {{
  :root {{ --ink: #e6eaef; --muted: #9aa5b1; --line: #323f4b; --paper: #161b22; --bar: #9fb3c8; }}
}}
body {{ font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 68rem;
  margin: 2rem auto; padding: 0 1rem; }}
svg {{ display: block; width: 100%; min-width: 42rem; height: auto; }}
h2 {{ font-size: 1.1rem; margin: 2rem 0 .5rem; }}
details {{ margin: .5rem 0 2rem; }}
.note, summary {{ color: var(--muted); font-size: .9rem; }}
.scroll {{ overflow-x: auto; }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .85rem; }}
th, td {{ padding: .3rem .6rem; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }}
th:first-child {{ text-align: left; }}
thead th {{ color: var(--muted); font-weight: 600; vertical-align: bottom; }}
tfoot td, tfoot th, .sums td:last-child {{ font-weight: 600; }}
"""


def build_page(report: WeeklyReport, pictures: Iterable[Picture] = ()) -> str:
    """Return the report as HTML: each picture as inline SVG, with its figures.

    :param pictures: what follows the chart of hours; of one that is left out, the page has the reason.
    """
    tables = [_table("Hours", report, report.hours)]
    tables += [
        _table(f"Amounts in {currency}", report, partial(report.amount, currency)) for currency in sorted(report.cents)
    ]
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title_of(report))}</title>\n"
        f"<style>{_STYLE}</style>\n</head>\n<body>\n{_show(draw_svg(report), title_of(report))}{''.join(tables)}"
        f'<p class="note">{escape(show_note(report))} Times are as tracked, not rounded.</p>\n'
        f"{''.join(map(_section, pictures))}</body>\n</html>\n"
    )


def _show(svg: str, title: str) -> str:
    # A wide picture scrolls on a narrow screen: scaled down, its text could not be read.
    named = svg.replace("<svg ", f'<svg role="img" aria-label="{escape(title)}" ', 1)
    return f'<div class="scroll">{named}</div>\n'


def _section(picture: Picture) -> str:
    if picture.draw is None:
        return f'<h2>{escape(picture.title)}</h2>\n<p class="note">{escape(" ".join(picture.notes))}</p>\n'
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in picture.head)
    lines = "".join(
        f'<tr><th scope="row">{escape(row[0])}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in row[1:])}</tr>\n'
        for row in picture.rows
    )
    return (
        f"{_show(render_svg(picture.draw), picture.title)}"
        f"<details>\n<summary>Figures: {escape(picture.title)}</summary>\n"
        f'<div class="scroll"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{lines}</tbody>\n</table></div>\n'
        "</details>\n"
    )


def _table(title: str, report: WeeklyReport, value: Callable[..., float]) -> str:
    head = "".join(f"<th>W{week.isocalendar()[1]:02}<br>{week.isoformat()}</th>" for week in report.weeks)
    lines = []
    for client in report.clients:
        values = [value(week, client) for week in report.weeks]
        if any(values):
            cells = "".join(_cell(one) for one in [*values, sum(values)])
            lines.append(f"<tr><th>{escape(client)}</th>{cells}</tr>\n")
    totals = [value(week) for week in report.weeks]
    foot = "".join(_cell(one) for one in [*totals, sum(totals)])
    return (
        f'<h2>{escape(title)}</h2>\n<div class="scroll"><table class="sums">\n<thead><tr><th>Client</th>{head}'
        f"<th>all</th></tr></thead>\n<tbody>\n{''.join(lines)}</tbody>\n<tfoot><tr><th>all</th>{foot}</tr></tfoot>\n</table></div>\n"
    )


def _cell(value: float) -> str:
    return f"<td>{value:,.2f}</td>" if value else "<td></td>"
