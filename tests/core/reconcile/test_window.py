"""Verifications without Toggl and without a warehouse: both answer from lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from typing import Any

import pytest
from support.entry_rows import NOON, entry_rows

from airflow_provider_toggl.core.errors import MalformedAnswer
from airflow_provider_toggl.core.extract.summaries import Int64s, WindowTotals
from airflow_provider_toggl.core.extract.windows import Window
from airflow_provider_toggl.core.reconcile import deletion_policy
from airflow_provider_toggl.core.reconcile.access import ShownEntries
from airflow_provider_toggl.core.reconcile.compare import EntryRows, ReportTime, as_ids
from airflow_provider_toggl.core.reconcile.cursor import ReconcileCursor
from airflow_provider_toggl.core.reconcile.deletion_policy import Visibility
from airflow_provider_toggl.core.reconcile.request import ReconcileRequest
from airflow_provider_toggl.core.reconcile.state import RunState
from airflow_provider_toggl.core.reconcile.window import NOT_FOUND, TOTALS_DIFFER, WindowResult, WindowVerification

FIVE_MINUTES = timedelta(minutes=5)
WINDOW = Window(date(2026, 2, 20), date(2026, 3, 10))


@dataclass
class Scene:
    """What the warehouse has, what Toggl has, and how Toggl answers."""

    warehouse: list[int]
    toggl: list[int]
    gives_ids: bool = True
    fails: bool = False
    loads: bool = True
    shown: list[int] | None = None
    asked: list[str] = field(default_factory=list)
    wanted: list[int] | None = None
    marked: list[int] = field(default_factory=list)
    saved: int = 0

    def read_totals(self, window: Window) -> tuple[WindowTotals, ReportTime]:
        self.asked.append("totals")
        ids = as_ids(self.toggl)
        users, projects = as_ids([7] * len(ids)), as_ids([1] * len(ids))
        totals = WindowTotals({(7, 1): 60 * len(ids)}, ids if self.gives_ids else None, users, projects)
        return totals, ReportTime(NOON, FIVE_MINUTES)

    def read_daily_seconds(self, window: Window, user_ids: Sequence[int]) -> tuple[None, ReportTime]:
        self.asked.append("daily seconds")
        return None, ReportTime(NOON, FIVE_MINUTES)

    def read_entries(self, window: Window, filters: Mapping[str, Any]) -> ShownEntries:
        self.asked.append("entries")
        if self.fails:
            raise MalformedAnswer("The answer was cut.")
        self.state.loaded += 1
        self.wanted = filters.get("time_entry_ids")
        exist = self.toggl if self.shown is None else self.shown
        ids = [id_ for id_ in exist if self.wanted is None or id_ in self.wanted]
        if self.loads:
            self.warehouse = sorted({*self.warehouse, *ids})
        return ShownEntries(as_ids(ids), NOON, NOON, is_complete=True)

    def read_visibility(self) -> Visibility:
        self.asked.append("visibility")
        return Visibility(user_id=7, is_admin=True, is_paid=True, retention_days=None)

    def read_other_days(self) -> None:
        assert not self.marked
        self.asked.append("other days")

    def find_rows(self, begin: int, end: int) -> EntryRows:
        return entry_rows(*({"id": id_} for id_ in self.warehouse))

    find_neighbours = find_rows

    def find_outdated(self, begin: int, end: int) -> Int64s:
        return as_ids(())

    def find_live(self, ids: Int64s) -> Int64s:
        return as_ids(())

    def mark_deleted(self, ids: Sequence[int], absent_at: datetime) -> None:
        self.state.loaded += 1
        self.marked += ids
        self.warehouse = [id_ for id_ in self.warehouse if id_ not in self.marked]

    def save_progress(self) -> None:
        self.saved += 1

    def verify(self) -> WindowResult:
        request = ReconcileRequest(workspace_id=1, run_started=NOON)
        self.state = RunState(request, ReconcileCursor(), newest_change=NOON)
        return WindowVerification(self, WINDOW, self.state, timezone.utc, NOON).verify()


@pytest.mark.parametrize("gives_ids", [True, False])
def test_a_window_without_differences_takes_one_request(gives_ids: bool):
    scene = Scene([1, 2, 3], [1, 2, 3], gives_ids=gives_ids)
    verified = scene.verify().verified
    assert scene.asked == ["totals"]
    assert (verified.entries, verified.by_ids, verified.unverified) == (3, gives_ids, {})
    assert verified.verified_at == NOON - FIVE_MINUTES


def test_a_missing_entry_is_read_by_its_id():
    scene = Scene([1, 2], [1, 2, 3])
    assert scene.verify().verified.unverified == {}
    assert scene.asked == ["totals", "entries"]
    assert scene.warehouse == [1, 2, 3]


def test_without_ids_the_days_that_differ_are_read():
    scene = Scene([1, 2], [1, 2, 3], gives_ids=False)
    assert scene.verify().verified.unverified == {}
    assert scene.asked == ["totals", "daily seconds", "entries"]
    assert scene.warehouse == [1, 2, 3]


@pytest.mark.parametrize("gives_ids", [True, False])
def test_a_deletion_is_marked_after_a_probe_and_after_the_other_days_were_read(gives_ids: bool):
    scene = Scene([1, 2, 3], [1, 3], gives_ids=gives_ids)
    assert scene.verify().verified.unverified == {}
    assert scene.marked == [2]
    assert set(scene.wanted or ()) == {1, 2, 3}
    assert scene.asked[-3:] == ["other days", "entries", "visibility"]


def test_an_entry_that_the_probe_shows_stays_live():
    scene = Scene([1, 2, 3], [1, 3], shown=[1, 2, 3])
    scene.verify()
    assert scene.marked == []


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"fails": True}, deletion_policy.INCOMPLETE_ANSWER), ({"shown": []}, deletion_policy.CONTROLS_MISSING)],
)
def test_a_probe_without_evidence_marks_nothing_and_its_reason_is_stored(changes: dict[str, Any], reason: str):
    scene = Scene([1, 2, 3], [1, 3], **changes)
    assert scene.verify().verified.unverified == {reason: 1}
    assert scene.marked == []
    assert scene.saved


def test_a_mass_deletion_is_refused_without_a_probe():
    scene = Scene(list(range(1, 101)), list(range(1, 51)))
    result = scene.verify()
    assert result.refused == (50, 100)
    assert result.verified.unverified == {deletion_policy.NEEDS_APPROVAL: 50}
    assert scene.asked == ["totals", "visibility"]


def test_what_still_differs_is_reported():
    scene = Scene([1, 2], [1, 2, 3], loads=False)
    assert scene.verify().verified.unverified == {NOT_FOUND: 1, TOTALS_DIFFER: 1}
