from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_toggl.core.client.verification import check_applied
from airflow_provider_toggl.core.errors import NotApplied

VALUES = st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.integers() | st.text(), max_size=3)
NAMES = st.sampled_from(
    ["id", "name", "description", "start", "stop", "duration", "tags", "tag_ids", "enabled", "event_filters", "x"]
)


@pytest.mark.parametrize(
    ("asked", "row"),
    [
        ({"description": None}, {"description": ""}),
        ({"description": " a "}, {"description": "a"}),
        ({"start": "2026-11-20T08:00:00Z"}, {"start": "2026-11-20T09:00:00.25+01:00"}),
        ({"stop": None}, {"stop": None}),
        ({"tags": ["A", "b"]}, {"tags": ["B", "a"]}),
        ({"tags": []}, {"tags": None}),
        ({"tags": ["a"], "tag_action": "add"}, {"tags": ["b", "a"]}),
        ({"tags": ["a"], "tag_action": "delete"}, {"tags": ["b"]}),
        ({"tag_ids": [1, 2]}, {"tag_ids": [2, 1]}),
        ({"duration": -1}, {"duration": -1_780_000_000}),
        ({"duration": 60, "stop": "2026-11-20T08:00:00Z"}, {"duration": 90, "stop": "2026-11-20T08:00:00Z"}),
        ({"billable": True}, {"billable": False}),
        ({"secret": "a"}, {"secret": "b"}),
        ({"created_with": "a"}, {"created_with": "b"}),
        ({"project_id": 5}, {}),
        ({"project_id": 5}, "OK"),
    ],
)
def test_what_means_the_same_or_is_not_told_is_no_difference(asked: dict[str, Any], row: Any) -> None:
    check_applied("Updating", asked, row)


@pytest.mark.parametrize(
    ("asked", "row", "told"),
    [
        ({"description": "a"}, {"description": "b"}, "another description."),
        ({"start": "2026-11-20T08:00:00Z"}, {"start": "2026-11-20T08:00:01Z"}, "another start ("),
        ({"stop": "2026-11-20T08:00:00Z"}, {"stop": None}, "another stop (None, not "),
        ({"stop": None}, {"stop": "2026-11-20T08:00:00Z"}, "another stop ("),
        ({"tags": ["a"]}, {"tags": ["a", "b"]}, "another tags."),
        ({"tags": ["a"], "tag_action": "add"}, {"tags": ["b"]}, "another tags."),
        ({"tags": ["a"], "tag_action": "delete"}, {"tags": ["a"]}, "another tags."),
        ({"tag_ids": [1]}, {"tag_ids": None}, "another tag_ids"),
        ({"duration": -1}, {"duration": 60}, "another duration (60, not -1)"),
        ({"duration": 60}, {"duration": 61}, "another duration (61, not 60)"),
        ({"project_id": 5}, {"project_id": None}, "another project_id (None, not 5)"),
        ({"project_id": None}, {"project_id": 5}, "another project_id (5, not None)"),
        (
            {"enabled": True, "description": "a"},
            {"enabled": False, "description": "b"},
            "enabled (False, not True), another",
        ),
    ],
)
def test_each_difference_is_named(asked: dict[str, Any], row: dict[str, Any], told: str) -> None:
    with pytest.raises(NotApplied) as error:
        check_applied("Updating time entry 5", asked, row)
    assert str(error.value).startswith("Updating time entry 5: Toggl answered that it was done, but ")
    assert told in str(error.value)


@given(st.dictionaries(NAMES, VALUES), st.dictionaries(NAMES, VALUES))
def test_whatever_is_answered_it_is_the_same_or_told(asked: dict[str, Any], row: dict[str, Any]) -> None:
    check_applied("Writing", asked, dict(asked))
    words = ""
    try:
        check_applied("Writing", asked, row)
    except NotApplied as error:
        words = str(error)
    assert not words or any(f"another {name}" in words for name in asked.keys() & row.keys())
