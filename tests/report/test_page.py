from __future__ import annotations

import re
from datetime import date

from airflow_provider_toggl.report.page import build_page
from airflow_provider_toggl.report.weeks import NO_CLIENT, WeeklyReport

WEEK = date(2025, 12, 29)


def test_the_page_has_every_figure_and_needs_nothing_else() -> None:
    report = WeeklyReport([WEEK], ["<script>alert(1)</script>", NO_CLIENT])
    report.seconds = {(WEEK, report.clients[0]): 5400, (WEEK, NO_CLIENT): 1800}
    report.cents = {"EUR": {(WEEK, report.clients[0]): 123_456}}
    page = build_page(report)
    assert "<script" not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 2
    assert "Amounts in EUR" in page
    for figure in ("1.50", "0.50", "2.00", "1,234.56"):
        assert f"<td>{figure}</td>" in page
    # Names of namespaces are not asked for.
    assert set(re.findall(r"""https?://[^"'<\s]*""", page)) == {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }
    assert not re.search(r"@import|src=|<link", page)
