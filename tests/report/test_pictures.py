"""The drawings: what they say, with many rows, with one and with odd names."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_toggl.report import approvals, budgets, margins, utilization
from airflow_provider_toggl.report.approvals import Sheet
from airflow_provider_toggl.report.budgets import Budget
from airflow_provider_toggl.report.drawing import render_svg
from airflow_provider_toggl.report.margins import Margin, Margins
from airflow_provider_toggl.report.page import build_page
from airflow_provider_toggl.report.people import Person
from airflow_provider_toggl.report.picture import Picture
from airflow_provider_toggl.report.pictures import draw_pictures
from airflow_provider_toggl.report.utilization import Line, Utilization
from airflow_provider_toggl.report.weeks import WeeklyReport

WEEKS = [date(2025, 12, 15) + timedelta(days=7 * number) for number in range(4)]
NAME = "_$a$ & <b>"
THEN = datetime(2026, 1, 12, tzinfo=timezone.utc)


def texts(draw: Callable[[], Any]) -> list[str]:
    return [
        "".join(node.itertext()).strip() for node in ET.fromstring(render_svg(draw)).iter() if node.tag.endswith("text")
    ]


def test_a_cell_says_a_share_or_hours() -> None:
    lines = [Line(Person(NAME, 480), (10.0, 0.0, 40.0, 44.0)), Line(Person("Bob"), (0.0, 1.5, 0.0, 0.0))]
    found = texts(partial(utilization._draw, Utilization(WEEKS, lines, open_week=WEEKS[-1])))
    for text in (NAME, "25%", "0%", "100%", "110%", "Bob", "1.5 h", "W51", "15 Dec"):
        assert text in found, text
    assert any("W02 is not over." in text for text in found)
    assert any(text.startswith("1 person has no working hours") for text in found)


def test_people_beyond_the_picture_are_counted() -> None:
    lines = [Line(Person(f"person {n:02}", 480), (1.0,) * 4) for n in range(utilization.MOST_PEOPLE + 1)]
    found = texts(partial(utilization._draw, Utilization(WEEKS, lines)))
    assert "The first 40 of 41 people." in found
    assert "person 40" not in found


def test_a_budget_says_how_much_is_used_and_what_is_over() -> None:
    some = [Budget(NAME, 10.0, (1.0, 2.0, 9.0, 12.0)), *(Budget(f"p{n}", 10.0, (1.0,) * 4) for n in range(8))]
    found = texts(partial(budgets._draw, some, WEEKS, ("a note",)))
    for text in (NAME, "120% of 10 h, over", "p0", "10% of 10 h", "The 8 projects with the largest share, of 9."):
        assert text in found, text
    assert "p7" not in found


def test_a_margin_says_what_it_is_or_why_there_is_none() -> None:
    some = Margins(
        {
            "EUR": [Margin(NAME, Fraction(2000), Fraction(500)), Margin("b", Fraction(9), foreign={"USD"})],
            "USD": [Margin("c")],
        }
    )
    found = texts(partial(margins._draw, some, ("a note",)))
    for text in (NAME, "EUR", "USD", "1,500 (75%)", "no margin: costs in USD", "amount", "cost"):
        assert text in found, text


def test_a_timesheet_says_whose_it_is_and_how_long_it_has_waited() -> None:
    days = (date(2026, 1, 5), date(2026, 1, 11))
    some = [Sheet(NAME, *days, 38.5, THEN, 1, "Ada"), *(Sheet("Bob", *days, 1.0, THEN, 0, "Ada") for _ in range(20))]
    found = texts(partial(approvals._draw, some, ("a note",)))
    for text in (f"5-11 Jan, {NAME}", "1 day, 38.5 h, for Ada", "The 20 that wait longest of 21."):
        assert text in found, text


@pytest.fixture
def pictures() -> list[Picture]:
    lines = [Line(Person(NAME, 480), (1.0,) * 4)]
    draw = partial(utilization._draw, Utilization(WEEKS, lines))
    return [
        Picture("utilization", "Utilization", ("counted so",), ("Person", "W1"), [(NAME, "1%")], draw),
        Picture("approvals", "Waiting", ("Left out: no <rows>.",)),
    ]


def test_a_picture_that_is_left_out_has_no_file_and_no_old_one(pictures: list[Picture], tmp_path: Path) -> None:
    (tmp_path / "approvals.png").write_text("of last week")
    assert draw_pictures(pictures, tmp_path, dpi=50) == [tmp_path / "utilization.png"]
    assert [path.name for path in tmp_path.iterdir()] == ["utilization.png"]


def test_the_page_has_each_picture_with_its_figures_or_the_reason(pictures: list[Picture]) -> None:
    page = build_page(WeeklyReport(WEEKS), pictures)
    assert '<svg role="img" aria-label="Utilization" ' in page
    assert '<tr><th scope="row">_$a$ &amp; &lt;b&gt;</th><td>1%</td></tr>' in page
    assert '<h2>Waiting</h2>\n<p class="note">Left out: no &lt;rows&gt;.</p>' in page
    assert "prefers-color-scheme: dark" in page
