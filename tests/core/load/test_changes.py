from __future__ import annotations

import json
from datetime import date

import pytest
from support.toggl_rows import WORKSPACE, at, decode, entries, report_row, tags

from airflow_provider_toggl.core.load import changes
from airflow_provider_toggl.core.load.changes import Changes
from airflow_provider_toggl.core.load.duckdb_target import DuckdbTarget
from airflow_provider_toggl.core.load.target import Landed


def test_nothing_is_told_as_nothing() -> None:
    assert Changes().told(1, "tags") == {"observations": 0, "ids": [], "days": [], "is_complete": True}


def test_entities_are_told_by_workspace_and_stream() -> None:
    noted = Changes()
    noted.note([tags(3, 1, 1), tags(4, workspace_id=8), entries(9, 10)])
    noted.note([tags(2)])
    noted.note_days(Landed(changed_days=frozenset({(WORKSPACE, date(2025, 5, 1))}), changed_ids=(9,)))
    assert noted.told(WORKSPACE, "tags") == {"observations": 4, "ids": [1, 2, 3], "days": [], "is_complete": True}
    assert noted.told(8, "tags")["ids"] == [4]
    # Two were observed, one of them has changed.
    assert noted.told(WORKSPACE, "time_entries") == {
        "observations": 2,
        "ids": [9],
        "days": ["2025-05-01"],
        "is_complete": True,
    }
    assert set(noted.told_by_stream(WORKSPACE)) == {"tags", "time_entries"}
    assert noted.told_by_stream(8) == {"tags": noted.told(8, "tags")}
    assert json.loads(json.dumps(noted.told(8, "tags"))) == noted.told(8, "tags")


def test_an_entry_that_moves_touches_the_day_that_it_leaves_too(target: DuckdbTarget) -> None:
    target.prepare("America/Los_Angeles")
    first = entries(1, start="2025-05-01T00:30:00-07:00", stop="2025-05-01T01:00:00-07:00", seconds=1)
    target.land([first, entries(2, start="2025-01-01T00:00:00Z", stop="2025-01-01T01:00:00Z")])
    moved = entries(1, start="2025-05-03T00:30:00Z", stop="2025-05-03T01:00:00Z", seconds=2)
    noted = Changes()
    noted.note_days(target.land([moved, tags(2)], note_days=True))
    # By the zone of the view: an evening in Los Angeles.
    assert noted.told(WORKSPACE, "time_entries")["days"] == ["2025-05-01", "2025-05-02"]
    days = target.query("select local_date from time_entry_facts where time_entry_id = 1")[0].to_pylist()
    assert [str(day) for day in days] == ["2025-05-02"]


def test_what_is_told_has_an_end(target: DuckdbTarget, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "MOST_IDS", 2)
    monkeypatch.setattr(changes, "MOST_DAYS", 2)
    noted = Changes()
    noted.note([tags(1, 2, 2)])
    assert noted.told(WORKSPACE, "tags")["is_complete"]
    noted.note([tags(3)])
    told = noted.told(WORKSPACE, "tags")
    assert (told["ids"], told["observations"], told["is_complete"]) == ([1, 2], 4, False)
    rows = [report_row(day, start=f"2025-05-0{day}T00:00:00Z", at=at(day).isoformat()) for day in (1, 2, 3)]
    batch = decode("time_entries", *rows)
    noted.note_days(target.land([batch], note_days=True))
    told = noted.told(WORKSPACE, "time_entries")
    assert (told["days"], told["is_complete"]) == (["2025-05-02", "2025-05-03"], False)
