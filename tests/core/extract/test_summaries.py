from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from airflow_provider_toggl.core.errors import MalformedAnswer
from airflow_provider_toggl.core.extract.summaries import (
    NO_PROJECT,
    UNKNOWN_PROJECT,
    build_daily_query,
    build_summary_query,
    read_daily_seconds,
    read_summary,
)
from airflow_provider_toggl.core.extract.windows import Window

WINDOW = Window(date(2026, 1, 1), date(2026, 1, 3))


def group(user: int | None, *parts: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": user, "sub_groups": list(parts), **more}


def part(project: int | None, seconds: int | None, ids: list[int] | None = None) -> dict[str, Any]:
    return {"id": project, "seconds": seconds, **({} if ids is None else {"ids": ids})}


def read(*groups: dict[str, Any]) -> Any:
    return read_summary(json.dumps({"groups": groups}).encode(), "POST summary")


def test_sums_and_ids_are_read_by_user_and_project():
    sums = read(group(7, part(1, 60, [3, 1]), part(None, 30, [2])), group(8, part(1, 5, [9])))
    assert dict(sums.seconds) == {(7, 1): 60, (7, NO_PROJECT): 30, (8, 1): 5}
    assert sums.ids.tolist() == [1, 2, 3, 9]
    assert sums.users.tolist() == [7, 7, 7, 8]
    assert sums.projects.tolist() == [1, NO_PROJECT, 1, 1]


def test_parts_of_the_same_project_add_up():
    assert dict(read(group(7, part(1, 60, []), part(1, 5, []))).seconds) == {(7, 1): 65}


def test_ids_of_a_user_are_of_an_unknown_project():
    sums = read(group(7, part(1, 60), part(2, 60), ids=[5, 4]))
    assert (sums.ids.tolist(), sums.projects.tolist()) == ([4, 5], [UNKNOWN_PROJECT, UNKNOWN_PROJECT])


def test_ids_that_one_group_lacks_are_none_at_all():
    assert read(group(7, part(1, 60, [3])), group(8, part(1, 5))).ids is None


def test_an_empty_report_has_all_ids_of_which_there_are_none():
    for body in (b'{"groups": []}', b'{"groups": null}'):
        assert read_summary(body, "").ids.tolist() == []


def test_parts_may_stand_in_an_object():
    body = json.dumps({"groups": [{"id": 7, "sub_groups": {"a": part(1, 60, [3])}}]}).encode()
    assert read_summary(body, "").ids.tolist() == [3]


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"groups": 1}', b'{"groups": [{"id": 7, "sub', b"\xff"])
def test_an_answer_that_is_no_summary_is_an_error(body: bytes):
    with pytest.raises(MalformedAnswer, match="POST summary: the answer"):
        read_summary(body, "POST summary")


def test_a_group_without_seconds_is_an_error():
    with pytest.raises(MalformedAnswer, match="user 7 has no seconds"):
        read(group(7, part(1, None, [3])))


def test_nothing_is_rounded_whatever_the_owner_prefers():
    for query in (build_summary_query(WINDOW), build_daily_query(WINDOW, [7])):
        assert (query["rounding"], query["rounding_minutes"]) == (0, 0)
        assert (query["start_date"], query["end_date"]) == ("2026-01-01", "2026-01-03")


@pytest.mark.parametrize(
    ("answer", "days"),
    [
        ({"resolution": "day", "graph": [{"seconds": 1}, {"seconds": None}, {}]}, [1, 0, 0]),
        ({"resolution": "week", "graph": [{"seconds": 1}] * 3}, None),
        ({"resolution": "day", "graph": [{"seconds": 1}]}, None),
        ({"resolution": "day", "graph": None}, None),
    ],
)
def test_days_are_read_where_there_is_a_number_for_each(answer: dict[str, Any], days: list[int] | None):
    found = read_daily_seconds(json.dumps(answer).encode(), WINDOW, "")
    assert (None if found is None else found.tolist()) == days
