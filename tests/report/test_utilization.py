from __future__ import annotations

from airflow_provider_toggl.report.people import Person
from airflow_provider_toggl.report.utilization import Line, find_colours, show_cell


def test_a_share_is_billable_hours_over_working_hours_of_the_week() -> None:
    line = Line(Person("Ada", 360), (15.0, 0.0, 45.0))
    assert line.shares(5) == (0.5, 0.0, 1.5)
    assert line.shares(4) == (0.625, 0.0, 1.875)


def test_a_person_without_working_hours_has_hours_and_no_share() -> None:
    line = Line(Person("Bob"), (2.0, 0.0))
    assert line.shares(5) == (None, None)
    assert [show_cell(hours, None) for hours in line.hours] == ["2.0 h", "0.0 h"]
    assert show_cell(2.0, 0.0) == "0%"


def luminance(colour: str) -> float:
    """Return the relative luminance by WCAG 2."""
    parts = (int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5))
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(share: float | None) -> float:
    light, dark = sorted(map(luminance, find_colours(share)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_each_cell_can_be_read() -> None:
    shares = [None, *(number / 200 for number in range(250))]
    assert [share for share in shares if contrast(share) < 4.5] == []


def test_more_is_darker_until_100_percent_and_over_is_another_colour() -> None:
    fills = [find_colours(number / 10)[0] for number in range(11)]
    assert sorted(fills, key=luminance, reverse=True) == fills
    assert find_colours(1.004)[0] == find_colours(1.0)[0] != find_colours(1.01)[0] == find_colours(3)[0]
    assert find_colours(None)[0] not in fills
