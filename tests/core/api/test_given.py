from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from airflow_provider_toggl.core.api.given import read_changes, read_flag, read_id, read_moment, read_tags
from airflow_provider_toggl.core.errors import ConfigurationError

START = datetime(2026, 11, 20, 8, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    "given",
    ["2026-11-20T08:00:00Z", "2026-11-20 09:00:00.900+01:00", START, START.replace(microsecond=900_000)],
    ids=str,
)
def test_a_moment_is_read_in_utc_and_cut_to_seconds(given: Any):
    assert read_moment("start", given) == START


@pytest.mark.parametrize("given", ["", "2026-11-20", "2026-11-20T08:00:00", START.replace(tzinfo=None), 7], ids=str)
def test_what_is_no_moment_with_a_zone_is_refused(given: Any):
    with pytest.raises(ConfigurationError, match="start is"):
        read_moment("start", given)


@pytest.mark.parametrize(
    ("given", "read"), [("a, b,,a", ("a", "b")), (["a", " b "], ("a", "b")), (None, ()), ("", ())], ids=str
)
def test_tags_are_several_or_one_text(given: Any, read: tuple[str, ...]):
    assert read_tags(given) == read


@pytest.mark.parametrize(("given", "read"), [(5, 5), (" 5 ", 5), (None, None), ("", None), ("None", None)])
def test_ids_are_numbers_or_what_a_template_renders(given: Any, read: int | None):
    assert read_id("project_id", given) == read


@pytest.mark.parametrize("given", ["x", "-1", "0", "1.5", True, "٣"])
def test_what_is_no_id_is_refused(given: Any):
    with pytest.raises(ConfigurationError, match="project_id is"):
        read_id("project_id", given)


def test_a_yes_or_no_may_be_rendered():
    assert [read_flag("billable", one) for one in (True, "True", "false", None, "")] == [True, True, False, None, None]
    with pytest.raises(ConfigurationError, match="billable is"):
        read_flag("billable", "perhaps")


def test_changes_are_sent_in_toggl_s_form():
    changes = {
        "description": 5,
        "start": START,
        "stop": None,
        "duration": "60",
        "project_id": "8",
        "task_id": None,
        "tags": "a,b",
        "tag_ids": "4,,5",
        "tag_action": "add",
        "billable": "true",
    }
    assert read_changes(changes) == {
        "description": "5",
        "start": "2026-11-20T08:00:00Z",
        "stop": None,
        "duration": 60,
        "project_id": 8,
        "task_id": None,
        "tags": ["a", "b"],
        "tag_ids": [4, 5],
        "tag_action": "add",
        "billable": True,
    }


@pytest.mark.parametrize(
    "changes",
    [{}, None, "x", {"colour": 1}, {"duration": "long"}, {"tag_ids": "4,None"}, {"tag_ids": [4, None]}],
    ids=str,
)
def test_changes_that_say_nothing_or_something_unknown_are_refused(changes: Any):
    with pytest.raises(ConfigurationError):
        read_changes(changes)
