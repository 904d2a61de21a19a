"""The web page of a weekly report: chart and figures in one self-contained HTML file."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from html import escape

from airflow_provider_toggl.report.chart import draw_svg, show_note, title_of
from airflow_provider_toggl.report.weeks import WeeklyReport

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1f2933; background: #fff; max-width: 68rem; margin: 2rem auto;
  padding: 0 1rem; }
svg { width: 100%; height: auto; }
h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
.note { color: #6b7680; font-size: .9rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .85rem; }
th, td { padding: .3rem .6rem; text-align: right; border-bottom: 1px solid #e4e7eb; white-space: nowrap; }
th:first-child { text-align: left; }
thead th { color: #6b7680; font-weight: 600; vertical-align: bottom; }
tfoot td, tfoot th, td:last-child { font-weight: 600; }
"""


def build_page(report: WeeklyReport) -> str:
    """Return the report as HTML: the chart as inline SVG, then the figures."""
    tables = [_table("Hours", report, report.hours)]
    tables += [
        _table(f"Amounts in {currency}", report, partial(report.amount, currency)) for currency in sorted(report.cents)
    ]
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title_of(report))}</title>\n"
        f"<style>{_STYLE}</style>\n</head>\n<body>\n{draw_svg(report)}\n{''.join(tables)}"
        f'<p class="note">{escape(show_note(report))} Times are as tracked, not rounded.</p>\n</body>\n</html>\n'
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
        f'<h2>{escape(title)}</h2>\n<div class="scroll"><table>\n<thead><tr><th>Client</th>{head}<th>all</th></tr>'
        f"</thead>\n<tbody>\n{''.join(lines)}</tbody>\n<tfoot><tr><th>all</th>{foot}</tr></tfoot>\n</table></div>\n"
    )


def _cell(value: float) -> str:
    return f"<td>{value:,.2f}</td>" if value else "<td></td>"
