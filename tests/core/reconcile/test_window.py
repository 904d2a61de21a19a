"""Verifications without Toggl and without a warehouse: a step is answered from a table."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date, timedelta, timezone
from typing import Any

import pytest
from support.entry_rows import NOON, entry_rows

from airflow_provider_toggl.core.errors import MalformedAnswer
from airflow_provider_toggl.core.extract.summaries import WindowTotals
from airflow_provider_toggl.core.extract.windows import Window
from airflow_provider_toggl.core.reconcile import deletion_policy, steps
from airflow_provider_toggl.core.reconcile.compare import EntryRows, ReportTime, as_ids
from airflow_provider_toggl.core.reconcile.cursor import ReconcileCursor
from airflow_provider_toggl.core.reconcile.deletion_policy import Visibility
from airflow_provider_toggl.core.reconcile.request import ReconcileRequest
from airflow_provider_toggl.core.reconcile.state import RunState
from airflow_provider_toggl.core.reconcile.steps import ShownEntries
from airflow_provider_toggl.core.reconcile.window import NOT_FOUND, TOTALS_DIFFER, WindowResult, WindowVerification

FIVE_MINUTES = timedelta(minutes=5)
WINDOW = Window(date(2026, 2, 20), date(2026, 3, 10))
READS = (steps.ReadTotals, steps.ReadDailySeconds, steps.ReadEntries, steps.ReadVisibility, steps.ReadOtherDays)


@dataclass
class Scene:
    """What the warehouse has, what Toggl has, and how Toggl answers."""

    warehouse: list[int]
    toggl: list[int]
    gives_ids: bool = True
    fails: bool = False
    loads: bool = True
    takes_ids: bool = True
    is_complete: bool = True
    page_size: int = 1000
    shown: list[int] | None = None
    asked: list[Any] = field(default_factory=list)
    marked: list[int] = field(default_factory=list)
    state: RunState = field(init=False)

    def answer(self, step: Any) -> Any:
        self.asked.append(step)
        match step:
            case steps.ReadTotals():
                ids = as_ids(self.toggl)
                users, projects = as_ids([7] * len(ids)), as_ids([1] * len(ids))
                totals = WindowTotals({(7, 1): 60 * len(ids)}, ids, users, projects)
                if not self.gives_ids:
                    totals = replace(totals, ids=None)
                return totals, ReportTime(NOON, FIVE_MINUTES)
            case steps.ReadDailySeconds():
                return None, ReportTime(NOON, FIVE_MINUTES)
            case steps.ReadEntries():
                return self.show(step.filters.get("time_entry_ids"))
            case steps.ReadVisibility():
                return Visibility(user_id=7, is_admin=True, is_paid=True, retention_days=None)
            case steps.QueryRows() | steps.QueryNeighbours():
                return self.rows()
            case steps.QueryOutdated() | steps.QueryLive():
                return as_ids(())
            case steps.MarkDeleted():
                self.marked += step.ids
                self.warehouse = [id_ for id_ in self.warehouse if id_ not in self.marked]
        return None

    def show(self, wanted: list[int] | None) -> ShownEntries:
        if self.fails:
            raise MalformedAnswer("The answer was cut.")
        exist = self.toggl if self.shown is None else self.shown
        ids = [id_ for id_ in exist if wanted is None or id_ in wanted or not self.takes_ids]
        if self.loads:
            self.warehouse = sorted({*self.warehouse, *ids})
        if wanted is None or self.takes_ids:
            return ShownEntries(as_ids(ids), NOON, NOON, is_complete=self.is_complete)
        self.state.update(takes_ids=False)
        return ShownEntries(as_ids(ids), NOON, NOON, has_others=True)

    def rows(self) -> EntryRows:
        return entry_rows(*({"id": id_} for id_ in self.warehouse))

    def verify(self) -> WindowResult:
        request = ReconcileRequest(workspace_id=1, run_started=NOON, page_size=self.page_size)
        state = self.state = RunState(request, ReconcileCursor(), newest_change=NOON)
        verification = WindowVerification(WINDOW, state, timezone.utc, NOON).verify()
        step = next(verification)
        while True:
            try:
                try:
                    result = self.answer(step)
                except MalformedAnswer as error:
                    step = verification.throw(error)
                else:
                    state.loaded += isinstance(step, steps.ReadEntries | steps.MarkDeleted)
                    step = verification.send(result)
            except StopIteration as stop:
                return stop.value  # type: ignore[no-any-return]

    def reads(self) -> list[str]:
        """Return what Toggl was asked for."""
        return [type(step).__name__ for step in self.asked if isinstance(step, READS)]


@pytest.mark.parametrize("gives_ids", [True, False])
def test_a_window_without_differences_takes_one_request(gives_ids: bool):
    scene = Scene([1, 2, 3], [1, 2, 3], gives_ids=gives_ids)
    verified = scene.verify().verified
    assert scene.reads() == ["ReadTotals"]
    assert (verified.entries, verified.by_ids, verified.unverified) == (3, gives_ids, {})
    assert verified.verified_at == NOON - FIVE_MINUTES


def test_a_missing_entry_is_read_by_its_id():
    scene = Scene([1, 2], [1, 2, 3])
    assert scene.verify().verified.unverified == {}
    assert scene.reads() == ["ReadTotals", "ReadEntries"]
    assert scene.warehouse == [1, 2, 3]


def test_without_ids_the_days_that_differ_are_read():
    scene = Scene([1, 2], [1, 2, 3], gives_ids=False)
    assert scene.verify().verified.unverified == {}
    assert scene.reads() == ["ReadTotals", "ReadDailySeconds", "ReadEntries"]
    assert scene.warehouse == [1, 2, 3]


def test_entries_of_an_answer_by_ids_that_was_cut_are_not_read_by_days_too():
    scene = Scene([1, 2], [1, 2, 3], is_complete=False)
    assert scene.verify().verified.unverified == {}
    assert scene.reads() == ["ReadTotals", "ReadEntries"]


def test_days_of_several_pages_that_are_read_as_the_whole_window_need_no_second_summary():
    scene = Scene([1, 2, 3], [1, 2, 3, 4], gives_ids=False, page_size=2)
    assert scene.verify().verified.unverified == {}
    assert scene.reads() == ["ReadTotals", "ReadDailySeconds", "ReadEntries"]


def test_a_deletion_is_probed_by_days_where_reports_ignore_ids():
    scene = Scene([1, 2, 3], [1, 3], takes_ids=False)
    assert scene.verify().verified.unverified == {}
    assert scene.marked == [2]
    probe = next(step for step in reversed(scene.asked) if isinstance(step, steps.ReadEntries))
    assert probe.filters == {"user_ids": (7,)}


@pytest.mark.parametrize("gives_ids", [True, False])
def test_a_deletion_is_marked_after_a_probe_and_after_the_other_days_were_read(gives_ids: bool):
    scene = Scene([1, 2, 3], [1, 3], gives_ids=gives_ids)
    assert scene.verify().verified.unverified == {}
    assert scene.marked == [2]
    probe = next(step for step in reversed(scene.asked) if isinstance(step, steps.ReadEntries))
    assert set(probe.filters["time_entry_ids"]) == {1, 2, 3}
    names = [type(step).__name__ for step in scene.asked]
    assert names.index("ReadOtherDays") < names.index("MarkDeleted")


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
    assert steps.SaveProgress() in scene.asked


def test_a_mass_deletion_is_refused_without_a_probe():
    scene = Scene(list(range(1, 101)), list(range(1, 51)))
    result = scene.verify()
    assert result.refused == (50, 100)
    assert result.verified.unverified == {deletion_policy.NEEDS_APPROVAL: 50}
    assert scene.reads() == ["ReadTotals", "ReadVisibility"]


def test_what_still_differs_is_reported():
    scene = Scene([1, 2], [1, 2, 3], loads=False)
    assert scene.verify().verified.unverified == {NOT_FOUND: 1, TOTALS_DIFFER: 1}
