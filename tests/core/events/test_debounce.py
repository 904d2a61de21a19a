from __future__ import annotations

import json

import pytest
from support.changes import WORKSPACE, change

from airflow_provider_toggl.core.errors import ConfigurationError
from airflow_provider_toggl.core.events.debounce import MAX_DAYS, MAX_IDS, MIN_INTERVAL, ChangeBatch, Debounce
from airflow_provider_toggl.core.events.message import parse_message
from airflow_provider_toggl.core.events.store import NewEvent, StoredEvent

NEVER = -1e9


def burst_of(*events: NewEvent) -> ChangeBatch:
    burst = ChangeBatch(began=0.0)
    for seq, event in enumerate(events, 10):
        burst.add(StoredEvent(seq, event), parse_message(event.body), 0.0)
    return burst


def test_a_burst_tells_what_and_which_days_changed():
    told = burst_of(
        change(1, action="created", start="2026-05-01T23:30:00-02:00"),
        change(2, start="2026-05-01T10:00:00Z"),
        change(2, start="2026-05-01T10:00:00Z"),
        change(3, action="deleted"),
        change(4, entity="project", name="secret"),
    ).as_dict()
    assert told == {
        "first_seq": 10,
        "last_seq": 14,
        "count": 5,
        "workspace_id": WORKSPACE,
        "entities": {"time_entry": 4, "project": 1},
        "actions": ["created", "deleted", "updated"],
        "days": ["2026-05-01", "2026-05-02"],
        "undated": 1,
        "ids": {"time_entry": [1001, 1002, 1003], "project": [1004]},
        "truncated": False,
    }


@pytest.mark.parametrize("start", [5, None, "yesterday", "2026-05-01", ""])
def test_a_start_that_is_no_instant_is_no_day(start: object):
    told = burst_of(change(1, start=start)).as_dict()
    assert (told["days"], told["undated"]) == ([], 1)


def test_events_of_several_workspaces_tell_none():
    assert burst_of(change(1), change(2, workspace_id=5)).as_dict()["workspace_id"] is None


def test_however_much_changed_the_words_are_few():
    events = [
        change(
            number,
            entity=f"kind_{number % 50}" if number % 2 else "time_entry",
            start=f"20{number % 90 + 10}-01-01T00:00:00Z",
        )
        for number in range(1, 10_001)
    ]
    told = burst_of(*events).as_dict()
    assert told["count"] == 10_000
    assert told["truncated"]
    assert len(told["days"]) <= MAX_DAYS
    assert sum(map(len, told["ids"].values())) == MAX_IDS
    assert len(json.dumps(told)) < 5000


def test_an_event_alone_hardly_waits():
    assert 0 < Debounce().seconds_left(ChangeBatch(began=100.0, grew=100.0, count=1), NEVER, 100.0) <= 0.1
    assert Debounce(quiet_seconds=0).seconds_left(ChangeBatch(began=100.0, grew=100.0, count=1), NEVER, 100.0) == 0


def test_bursts_keep_a_distance():
    assert Debounce().seconds_left(ChangeBatch(began=100.0, grew=100.0, count=1), 99.9, 100.0) == pytest.approx(
        MIN_INTERVAL - 0.1
    )


def test_more_is_waited_for_until_it_is_quiet_but_not_for_ever():
    debounce = Debounce(quiet_seconds=5, max_wait_seconds=20)
    assert debounce.seconds_left(ChangeBatch(began=100.0, grew=103.0, count=2), NEVER, 104.0) == pytest.approx(4)
    assert debounce.seconds_left(ChangeBatch(began=100.0, grew=119.0, count=9), NEVER, 119.0) == pytest.approx(1)
    assert debounce.seconds_left(ChangeBatch(began=100.0, grew=119.0, count=9), NEVER, 121.0) == 0


def test_a_full_burst_is_told_at_once():
    debounce = Debounce(quiet_seconds=5, max_events=3)
    assert debounce.seconds_left(ChangeBatch(began=100.0, grew=100.0, count=3), 100.0, 100.0) == 0


@pytest.mark.parametrize(
    "wrong",
    [{"quiet_seconds": -1}, {"max_wait_seconds": -1}, {"max_wait_seconds": 121}, {"max_events": 0}],
)
def test_a_burst_that_could_never_be_told_in_time_is_refused(wrong: dict[str, float]):
    with pytest.raises(ConfigurationError, match="burst"):
        Debounce(**wrong)  # type: ignore[arg-type]
