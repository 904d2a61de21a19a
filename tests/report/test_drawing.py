from __future__ import annotations

from datetime import date
from pathlib import Path

from airflow_provider_toggl.report.drawing import INK, PAPER, name_week, new_figure, render_svg, save_png, shorten


def test_text_and_background_of_an_svg_have_the_page_s_colours() -> None:
    svg = render_svg(lambda: new_figure(2, "A title", "a note"))
    assert f"var(--ink, {INK})" in svg
    assert f"var(--paper, {PAPER})" in svg
    assert "A title" in svg
    assert "a note" in svg
    assert not svg.startswith("<?xml")
    assert "<metadata>" not in svg


def test_a_png_has_the_size_of_the_figure(tmp_path: Path) -> None:
    save_png(lambda: new_figure(2, "A title"), tmp_path / "a.png", dpi=50)
    header = (tmp_path / "a.png").read_bytes()[16:24]
    assert (int.from_bytes(header[:4], "big"), int.from_bytes(header[4:], "big")) == (550, 100)


def test_long_names_are_cut() -> None:
    assert shorten("abcdef", 6) == "abcdef"
    assert shorten("abcdefg", 6) == "abcde…"


def test_a_week_has_its_iso_number_and_its_monday() -> None:
    assert name_week(date(2025, 12, 29)) == "W01 29 Dec"
