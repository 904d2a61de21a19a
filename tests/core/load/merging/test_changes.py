from __future__ import annotations

import json
from datetime import date

import pytest
from support.toggl_rows import WORKSPACE, at, decode, entries, report_row, tags

from airflow_provider_toggl.core.load.merging.changes import Changes
from airflow_provider_toggl.core.load.values import MOST_CHANGED_IDS, LoadResult
from airflow_provider_toggl.core.load.warehouse import Warehouse

MODULE = Changes.__module__


def test_without_changes_the_report_is_empty() -> None:
    assert Changes().report(1, "tags") == {"observations": 0, "ids": [], "days": [], "is_complete": True}


def test_every_entry_of_a_load_is_an_observation() -> None:
    changes = Changes()
    changes.collect_result(WORKSPACE, LoadResult(inserted=4, updated=2, unchanged=1))
    assert changes.report(WORKSPACE, "time_entries")["observations"] == 7


def test_changes_are_reported_by_workspace_and_stream() -> None:
    changes = Changes()
    changes.collect_batches([tags(3, 1, 1), tags(4, workspace_id=8), entries(9, 10)])
    changes.collect_batches([tags(2)])
    changes.collect_days(LoadResult(changed_days=frozenset({(WORKSPACE, date(2025, 5, 1))}), changed_ids=(9,)))
    assert changes.report(WORKSPACE, "tags") == {"observations": 4, "ids": [1, 2, 3], "days": [], "is_complete": True}
    assert changes.report(8, "tags")["ids"] == [4]
    # Two were observed, one of them has changed.
    assert changes.report(WORKSPACE, "time_entries") == {
        "observations": 2,
        "ids": [9],
        "days": ["2025-05-01"],
        "is_complete": True,
    }
    assert set(changes.report_by_stream(WORKSPACE)) == {"tags", "time_entries"}
    assert changes.report_by_stream(8) == {"tags": changes.report(8, "tags")}
    assert json.loads(json.dumps(changes.report(8, "tags"))) == changes.report(8, "tags")


def test_an_entry_that_moves_changes_the_day_that_it_leaves_too(target: Warehouse) -> None:
    target.prepare("America/Los_Angeles")
    first = entries(1, start="2025-05-01T00:30:00-07:00", stop="2025-05-01T01:00:00-07:00", seconds=1)
    target.load([first, entries(2, start="2025-01-01T00:00:00Z", stop="2025-01-01T01:00:00Z")])
    moved = entries(1, start="2025-05-03T00:30:00Z", stop="2025-05-03T01:00:00Z", seconds=2)
    changes = Changes()
    changes.collect_days(target.load([moved, tags(2)], collect_days=True))
    # By the zone of the view: an evening in Los Angeles.
    assert changes.report(WORKSPACE, "time_entries")["days"] == ["2025-05-01", "2025-05-02"]
    days = target.query("select local_date from time_entry_facts where time_entry_id = 1")[0].to_pylist()
    assert [str(day) for day in days] == ["2025-05-02"]


def test_a_report_is_limited_and_says_so(target: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{MODULE}.MOST_IDS", 2)
    monkeypatch.setattr(f"{MODULE}.MOST_DAYS", 2)
    changes = Changes()
    changes.collect_batches([tags(1, 2, 2)])
    assert changes.report(WORKSPACE, "tags")["is_complete"]
    changes.collect_batches([tags(3)])
    report = changes.report(WORKSPACE, "tags")
    assert (report["ids"], report["observations"], report["is_complete"]) == ([1, 2], 4, False)
    rows = [report_row(day, start=f"2025-05-0{day}T00:00:00Z", at=at(day).isoformat()) for day in (1, 2, 3)]
    batch = decode("time_entries", *rows)
    changes.collect_days(target.load([batch], collect_days=True))
    report = changes.report(WORKSPACE, "time_entries")
    assert (report["days"], report["is_complete"]) == (["2025-05-02", "2025-05-03"], False)


@pytest.mark.parametrize(
    "result",
    [
        LoadResult(changed_days=frozenset({(WORKSPACE, date(2025, 5, 1)), (8, date(2025, 5, 1))}), changed_ids=(9,)),
        LoadResult(changed_days=frozenset({(WORKSPACE, date(2025, 5, 1))}), changed_ids=(9,) * MOST_CHANGED_IDS),
    ],
)
def test_ids_of_several_workspaces_or_too_many_are_left_out_of_a_report_that_says_so(result: LoadResult) -> None:
    changes = Changes()
    changes.collect_days(result)
    report = changes.report(WORKSPACE, "time_entries")
    assert (report["ids"], report["days"], report["is_complete"]) == ([], ["2025-05-01"], False)
