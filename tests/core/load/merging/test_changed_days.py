from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date

import pytest
from support.toggl_rows import NOON, WORKSPACE, entries

from airflow_provider_toggl.core.load.engines.contract import Session
from airflow_provider_toggl.core.load.merging import changed_days
from airflow_provider_toggl.core.load.merging.changed_days import DayOffset
from airflow_provider_toggl.core.load.warehouse import Warehouse


def may(day: int) -> date:
    return date(2025, 5, day)


@pytest.fixture
def session(target: Warehouse) -> Iterator[Session]:
    with target.transaction() as session:
        yield session


def record(session: Session, *numbers: int, workspace_id: int = WORKSPACE) -> None:
    changed_days.record_days(session, {(workspace_id, may(number)) for number in numbers}, NOON)


def test_a_day_keeps_only_its_latest_change(session: Session) -> None:
    record(session, 1, 2)
    record(session)
    record(session, 2, workspace_id=8)
    record(session, 2)
    assert changed_days.last_seq(session) == 3
    assert changed_days.find_days(session) == changed_days.ChangedDays((may(1), may(2)), 3)
    assert changed_days.find_days(session, 1, WORKSPACE) == changed_days.ChangedDays((may(2),), 3)
    assert changed_days.find_days(session, 3) == changed_days.ChangedDays((), 3)
    assert changed_days.find_days(session, 2, 8) == changed_days.ChangedDays((), 2)


def test_many_days_at_once_are_recorded(session: Session) -> None:
    many = {(WORKSPACE, date.fromordinal(700_000 + number)) for number in range(1001)}
    changed_days.record_days(session, many, NOON)
    changed_days.record_days(session, many, NOON)
    assert len(changed_days.find_days(session, 1).days) == 1001


def test_days_in_parts_come_once_each_the_oldest_change_first(session: Session) -> None:
    record(session, 1, 2, 3)
    record(session, 9, 2)
    offset, reported = DayOffset(), []
    for _ in range(4):
        pending = changed_days.find_pending_days(session, offset, WORKSPACE, 2)
        reported.append([day.day for day in pending.days])
        offset = pending.offset
    assert reported == [[3, 1], [9, 2], [], []]
    assert (offset.seq, offset.day) == (2, None)
    record(session, 3)
    assert changed_days.find_pending_days(session, offset, WORKSPACE, 2).days == (may(3),)


def test_the_rest_is_counted_and_a_change_reported_in_part_is_continued(session: Session) -> None:
    record(session, 1, 2, 3)
    first = changed_days.find_pending_days(session, DayOffset(), WORKSPACE, 1)
    assert (first.days, first.left, first.offset.day) == ((may(3),), 2, "2025-05-03")
    # The day that was reported changes again: it comes after the others.
    record(session, 3)
    rest = changed_days.find_pending_days(session, first.offset, WORKSPACE, 9)
    assert (rest.days, rest.left) == ((may(2), may(1), may(3)), 0)


def test_days_with_facts_are_found_after_the_entries_of_all_workspaces_were_fetched(
    target: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    target.load([entries(1)])
    fetched: list[tuple[str, int | None]] = []
    with target.transaction() as session:
        monkeypatch.setattr(session, "fetch_workspace", lambda *wanted: fetched.append(wanted))
        assert changed_days.find_fact_days(session) == {(WORKSPACE, may(1))}
    assert fetched == [("time_entries", None)]


def test_a_second_try_begins_where_the_first_one_did_and_another_run_does_not() -> None:
    offset = replace(DayOffset(5), run="a", before=(3, "2025-05-02"))
    assert offset.of_try("a") == DayOffset(3, "2025-05-02")
    assert offset.of_try("b") == offset.of_try(None) == offset
    assert DayOffset().of_try(None) == DayOffset()


def test_each_reader_has_its_own_offset(session: Session) -> None:
    assert changed_days.find_offset(session, "a") == DayOffset()
    offset = DayOffset(4, "2025-05-02", "run", (2, None))
    changed_days.store_offset(session, "a", DayOffset(1), NOON)
    changed_days.store_offset(session, "a", offset, NOON)
    assert (changed_days.find_offset(session, "a"), changed_days.find_offset(session, "b")) == (offset, DayOffset())
