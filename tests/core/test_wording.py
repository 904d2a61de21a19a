from __future__ import annotations

import pytest

from airflow_provider_toggl.core.wording import plural


@pytest.mark.parametrize(
    ("number", "noun", "text"),
    [
        (0, "page", "0 pages"),
        (1, "request", "1 request"),
        (2, "request", "2 requests"),
        (12_345, "row", "12,345 rows"),
        (1, "entry", "1 entry"),
        (3, "entry", "3 entries"),
    ],
)
def test_a_number_has_its_noun_in_the_right_form(number: int, noun: str, text: str) -> None:
    assert plural(number, noun) == text
