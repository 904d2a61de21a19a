from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from airflow_provider_toggl.report.chart import _draw as draw
from airflow_provider_toggl.report.chart import draw_png, draw_svg, show_instant, show_note, title_of
from airflow_provider_toggl.report.page import build_page
from airflow_provider_toggl.report.weeks import NO_CLIENT, OTHERS, WeeklyReport

WEEKS = [date(2025, 12, 15) + timedelta(days=7 * number) for number in range(4)]
NAMES = ["_under", "$a$ & <b>", "A very long name of a client that goes on", "日本", OTHERS, NO_CLIENT]


@pytest.fixture
def report() -> WeeklyReport:
    report = WeeklyReport(WEEKS, list(NAMES), zone="Europe/Berlin")
    report.as_of = datetime(2026, 1, 7, 23, 5, tzinfo=timezone.utc)
    for number, name in enumerate(NAMES, 1):
        report.seconds[WEEKS[1], name] = number * 3600
    report.cents = {"EUR": {(WEEKS[1], "_under"): 123_456}, "USD": {(WEEKS[2], "_under"): 5_000}}
    return report


def texts(svg: str) -> list[str]:
    return ["".join(node.itertext()).strip() for node in ET.fromstring(svg).iter() if node.tag.endswith("text")]


def test_the_chart_says_who_how_much_of_what_and_as_of_when(report: WeeklyReport) -> None:
    found = texts(draw_svg(report))
    for name in ("_under", "$a$ & <b>", "A very long name of a cli…", "日本", OTHERS, NO_CLIENT):
        assert name in found
    for text in (
        "21.0",
        "1,235",
        "50",
        "EUR",
        "USD",
        "1,234.56 EUR",
        "W51",
        "15 Dec",
        "W01",
        "2026",
        show_note(report),
    ):
        assert text in found, text
    assert "As of 2026-01-08 00:05." in show_note(report)


def test_the_same_report_is_the_same_file(report: WeeklyReport, tmp_path: Path) -> None:
    assert draw_svg(report) == draw_svg(report)
    for name in ("a", "b"):
        draw_png(report, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert (tmp_path / "a").read_bytes().startswith(b"\x89PNG")


def test_an_empty_report_says_so(tmp_path: Path) -> None:
    empty = WeeklyReport(WEEKS)
    assert "No hours in these weeks" in texts(draw_svg(empty))
    assert "As of unknown." in show_note(empty)
    assert show_instant(None, "UTC") == "unknown"


@pytest.mark.parametrize("count", [1, 14, 15, 20, 53])
def test_names_of_many_weeks_do_not_overlap(count: int) -> None:
    weeks = [WEEKS[0] + timedelta(days=7 * number) for number in range(count)]
    (axis,) = draw(WeeklyReport(weeks)).axes
    axis.figure.canvas.draw()
    boxes = [label.get_window_extent() for label in axis.get_xticklabels()]
    assert all(left.x1 < right.x0 for left, right in pairwise(boxes))
    assert axis.get_xticklabels()[-1].get_text().startswith(f"W{weeks[-1].isocalendar()[1]:02}")


def test_the_title_has_amounts_only_where_there_are_any(report: WeeklyReport) -> None:
    assert title_of(report) == "Hours and amounts by week"
    assert title_of(report) in texts(draw_svg(report))
    report.cents = {}
    assert title_of(report) == "Hours by week"
    assert title_of(report) in texts(draw_svg(report))
    assert "<title>Hours by week</title>" in build_page(report)
    assert "amounts" not in build_page(report).lower()


def test_letters_that_no_font_has_are_named_once_with_the_cure(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    name = "plain \ue000 and \ue001"
    report = WeeklyReport(WEEKS, [name])
    report.seconds[WEEKS[1], name] = 3600
    draw_svg(report)
    assert caplog.messages == []
    draw_png(report, tmp_path / "chart.png")
    (line,) = caplog.messages
    assert "are drawn as boxes: \ue000\ue001. Install a font" in line
    assert "fonts-noto-cjk" in line


def test_letters_that_a_font_has_are_drawn_without_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    report = WeeklyReport(WEEKS, ["Äpfel & Ελληνικά"])
    report.seconds[WEEKS[1], "Äpfel & Ελληνικά"] = 3600
    # matplotlib names fonts that are asked for and not installed.
    with caplog.at_level("WARNING", logger="matplotlib"):
        draw_png(report, tmp_path / "chart.png")
    assert caplog.messages == []
