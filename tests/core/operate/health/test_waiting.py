from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_provider_toggl.core.operate.health.waiting import OVERDUE, WaitingTask, waiting_from, waiting_key

NOW = datetime(2026, 11, 28, 8, 34, 0, tzinfo=timezone.utc)
WAITS = WaitingTask(
    task="toggl.time_entries (manual__1)",
    workspace_id=7,
    stream="time_entries",
    reason="quota",
    since=NOW,
    until=NOW + timedelta(minutes=50),
    requests_done=1,
    requests_left=35,
    done_at=NOW + timedelta(minutes=111),
    rows_done=1000,
)


@pytest.mark.parametrize("waiting", [WAITS, replace(WAITS, reason="rate", requests_left=None, done_at=None)])
def test_a_record_survives_json(waiting: WaitingTask) -> None:
    assert waiting_from(json.loads(json.dumps(waiting.as_dict()))) == waiting


@pytest.mark.parametrize(
    "value", [{}, {**WAITS.as_dict(), "until": "soon"}, {**WAITS.as_dict(), "reason": "moon"}, {"task": 1}]
)
def test_a_record_in_another_form_is_ignored(value: dict[str, Any]) -> None:
    assert waiting_from(value) is None


def test_the_facts_have_one_line_each() -> None:
    assert WAITS.lines(NOW) == [
        "Waits for the hourly quota of Toggl until 2026-11-28 09:24:00 UTC, 50 min from now.",
        "Done so far: 1 request, 1,000 rows.",
        "Left: at least 35 requests.",
        "Done at 2026-11-28 10:25 UTC or later.",
    ]


def test_unknown_facts_are_left_out() -> None:
    unknown = replace(WAITS, requests_left=None, done_at=None, rows_done=None, requests_done=0)
    assert unknown.lines(NOW)[1:] == ["Done so far: 0 requests."]


def test_a_record_is_not_current_long_after_the_end_of_its_wait() -> None:
    assert WAITS.is_current(WAITS.until + OVERDUE)
    assert not WAITS.is_current(WAITS.until + OVERDUE + timedelta(seconds=1))


def test_no_prefix_of_a_connection_matches_another_connection() -> None:
    assert not waiting_key("a/b", "t").startswith(waiting_key("a"))
    assert not waiting_key("ab", "t").startswith(waiting_key("a"))
