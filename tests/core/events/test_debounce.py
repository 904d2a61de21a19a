from __future__ import annotations

import json

import pytest
from support.webhook_events import EVENT_WORKSPACE, change_event

from airflow_provider_toggl.core.errors import ConfigurationError
from airflow_provider_toggl.core.events.debounce import MAX_DAYS, MAX_IDS, MIN_INTERVAL, ChangeBatch, Debounce
from airflow_provider_toggl.core.events.message import parse_message
from airflow_provider_toggl.core.events.model import NewEvent, StoredEvent

NEVER = -1e9


def batch_of(*events: NewEvent) -> ChangeBatch:
    batch = ChangeBatch(first_added_at=0.0)
    for seq, event in enumerate(events, 10):
        batch.add(StoredEvent(seq, event), parse_message(event.body), 0.0)
    return batch


def test_a_batch_is_summarized_by_entities_ids_and_days():
    summary = batch_of(
        change_event(1, action="created", start="2026-05-01T23:30:00-02:00"),
        change_event(2, start="2026-05-01T10:00:00Z"),
        change_event(2, start="2026-05-01T10:00:00Z"),
        change_event(3, action="deleted"),
        change_event(4, entity="project", name="secret"),
    ).as_dict()
    assert summary == {
        "first_seq": 10,
        "last_seq": 14,
        "count": 5,
        "workspace_id": EVENT_WORKSPACE,
        "entities": {"time_entry": 4, "project": 1},
        "actions": ["created", "deleted", "updated"],
        "days": ["2026-05-01", "2026-05-02"],
        "undated": 1,
        "ids": {"time_entry": [1001, 1002, 1003], "project": [1004]},
        "truncated": False,
    }


@pytest.mark.parametrize("start", [5, None, "yesterday", "2026-05-01", ""])
def test_an_entry_without_a_readable_start_is_undated(start: object):
    summary = batch_of(change_event(1, start=start)).as_dict()
    assert (summary["days"], summary["undated"]) == ([], 1)


def test_a_batch_of_several_workspaces_names_none():
    assert batch_of(change_event(1), change_event(2, workspace_id=5)).as_dict()["workspace_id"] is None


def test_a_summary_has_a_bounded_size():
    events = [
        change_event(
            number,
            entity=f"kind_{number % 50}" if number % 2 else "time_entry",
            start=f"20{number % 90 + 10}-01-01T00:00:00Z",
        )
        for number in range(1, 10_001)
    ]
    summary = batch_of(*events).as_dict()
    assert summary["count"] == 10_000
    assert summary["truncated"]
    assert len(summary["days"]) <= MAX_DAYS
    assert sum(map(len, summary["ids"].values())) == MAX_IDS
    assert len(json.dumps(summary)) < 5000


SLOW = Debounce(quiet_seconds=5, max_wait_seconds=20, max_events=10)


def batch_at(last_added_at: float, count: int) -> ChangeBatch:
    return ChangeBatch(first_added_at=100, last_added_at=last_added_at, count=count)


@pytest.mark.parametrize(
    ("debounce", "batch", "previous_at", "now", "left"),
    [
        (Debounce(), batch_at(100, 1), NEVER, 100, 0.02),
        (Debounce(quiet_seconds=0), batch_at(100, 1), NEVER, 100, 0),
        (Debounce(), batch_at(100, 1), 99.9, 100, MIN_INTERVAL - 0.1),
        (SLOW, batch_at(103, 2), NEVER, 104, 4),
        (SLOW, batch_at(119, 9), NEVER, 119, 1),
        (SLOW, batch_at(119, 9), NEVER, 121, 0),
        (SLOW, batch_at(100, 10), 100, 100, 0),
    ],
    ids=["one event", "no quiet time", "least interval", "not quiet", "almost old", "old", "full"],
)
def test_a_batch_is_complete_when_it_is_quiet_old_or_full(
    debounce: Debounce, batch: ChangeBatch, previous_at: float, now: float, left: float
):
    assert debounce.seconds_left(batch, previous_at, now) == pytest.approx(left)


@pytest.mark.parametrize(
    "wrong",
    [{"quiet_seconds": -1}, {"max_wait_seconds": -1}, {"max_wait_seconds": 121}, {"max_events": 0}],
)
def test_limits_that_never_complete_a_batch_are_refused(wrong: dict[str, float]):
    with pytest.raises(ConfigurationError, match="quiet_seconds"):
        Debounce(**wrong)  # type: ignore[arg-type]
