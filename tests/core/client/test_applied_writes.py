from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_toggl.core.client.applied_writes import check_applied
from airflow_provider_toggl.core.errors import NotApplied

VALUES = st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.integers() | st.text(), max_size=3)
NAMES = st.sampled_from(
    ["id", "name", "description", "start", "stop", "duration", "tags", "tag_ids", "enabled", "event_filters", "x"]
)
ALL_TAGS = {"entity": "tag", "action": "*"}


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
        ({"duration": None}, {"duration": 60}),
        ({"duration": 60, "stop": "2026-11-20T08:00:00Z"}, {"duration": 90, "stop": "2026-11-20T08:00:00Z"}),
        ({"billable": True}, {"billable": False}),
        ({"secret": "a"}, {"secret": "b"}),
        ({"url_callback": "https://example.org/x"}, {"url_callback": "https://EXAMPLE.org:443/x"}),
        ({"event_filters": [ALL_TAGS]}, {"event_filters": [{"entity": "tag", "action": "created"}, ALL_TAGS]}),
        ({"created_with": "a"}, {"created_with": "b"}),
        ({"project_id": 5}, {}),
        ({"project_id": 5}, "OK"),
    ],
)
def test_equal_and_missing_values_are_no_difference(asked: dict[str, Any], row: Any) -> None:
    check_applied("Updating", asked, row)


@pytest.mark.parametrize(
    ("asked", "row", "named"),
    [
        ({"description": "a"}, {"description": "b"}, "differs in description."),
        ({"start": "2026-11-20T08:00:00Z"}, {"start": "2026-11-20T08:00:01Z"}, "differs in start ("),
        ({"stop": "2026-11-20T08:00:00Z"}, {"stop": None}, "differs in stop (None, not "),
        ({"stop": None}, {"stop": "2026-11-20T08:00:00Z"}, "differs in stop ("),
        ({"tags": ["a"]}, {"tags": ["a", "b"]}, "differs in tags."),
        ({"tags": ["a"], "tag_action": "add"}, {"tags": ["b"]}, "differs in tags."),
        ({"tags": ["a"], "tag_action": "delete"}, {"tags": ["a"]}, "differs in tags."),
        ({"tag_ids": [1]}, {"tag_ids": None}, "differs in tag_ids"),
        ({"duration": -1}, {"duration": 60}, "differs in duration (60, not -1)"),
        ({"duration": 60}, {"duration": 61}, "differs in duration (61, not 60)"),
        ({"project_id": 5}, {"project_id": None}, "differs in project_id (None, not 5)"),
        ({"url_callback": "https://example.org/x"}, {"url_callback": "https://example.org/y"}, "in url_callback."),
        ({"event_filters": [ALL_TAGS]}, {"event_filters": []}, "differs in event_filters."),
        ({"project_id": None}, {"project_id": 5}, "differs in project_id (5, not None)"),
        (
            {"enabled": True, "description": "a"},
            {"enabled": False, "description": "b"},
            "differs in enabled (False, not True), description.",
        ),
    ],
)
def test_each_difference_is_named(asked: dict[str, Any], row: dict[str, Any], named: str) -> None:
    with pytest.raises(NotApplied) as error:
        check_applied("Updating time entry 5", asked, row)
    assert str(error.value).startswith("Updating time entry 5: Toggl accepted the request, but ")
    assert named in str(error.value)


@given(st.dictionaries(NAMES, VALUES), st.dictionaries(NAMES, VALUES))
def test_any_response_is_equal_or_its_differences_are_named(asked: dict[str, Any], row: dict[str, Any]) -> None:
    check_applied("Writing", asked, dict(asked))
    words = ""
    try:
        check_applied("Writing", asked, row)
    except NotApplied as error:
        words = str(error)
    assert not words or any(name in words for name in asked.keys() & row.keys())
