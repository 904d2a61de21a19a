from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date

import pytest
from support.toggl_rows import NOON, WORKSPACE

from airflow_provider_toggl.core.load import days
from airflow_provider_toggl.core.load.days import Place
from airflow_provider_toggl.core.load.duckdb_target import DuckdbTarget
from airflow_provider_toggl.core.load.session import Session


def may(day: int) -> date:
    return date(2025, 5, day)


@pytest.fixture
def session(target: DuckdbTarget) -> Iterator[Session]:
    with target.transaction() as session:
        yield session


def note(session: Session, *numbers: int, workspace_id: int = WORKSPACE) -> None:
    days.note_days(session, {(workspace_id, may(number)) for number in numbers}, NOON)


def test_a_day_keeps_only_its_latest_change(session: Session) -> None:
    note(session, 1, 2)
    note(session)
    note(session, 2, workspace_id=8)
    note(session, 2)
    assert days.last_seq(session) == 3
    assert days.find_days(session) == days.ChangedDays((may(1), may(2)), 3)
    assert days.find_days(session, 1, WORKSPACE) == days.ChangedDays((may(2),), 3)
    assert days.find_days(session, 2, 8) == days.ChangedDays((), 2)


def test_many_days_at_once_are_noted(session: Session) -> None:
    many = {(WORKSPACE, date.fromordinal(700_000 + number)) for number in range(1001)}
    days.note_days(session, many, NOON)
    days.note_days(session, many, NOON)
    assert len(days.find_days(session, 1).days) == 1001


def test_what_is_told_in_parts_is_told_once_each_the_oldest_change_first(session: Session) -> None:
    note(session, 1, 2, 3)
    note(session, 9, 2)
    place, told = Place(), []
    for _ in range(4):
        untold = days.find_untold(session, place, WORKSPACE, 2)
        told.append([day.day for day in untold.days])
        place = untold.place
    assert told == [[3, 1], [9, 2], [], []]
    assert (place.seq, place.day) == (2, None)
    note(session, 3)
    assert days.find_untold(session, place, WORKSPACE, 2).days == (may(3),)


def test_what_is_left_is_counted_and_a_change_half_told_is_gone_on_with(session: Session) -> None:
    note(session, 1, 2, 3)
    first = days.find_untold(session, Place(), WORKSPACE, 1)
    assert (first.days, first.left, first.place.day) == ((may(3),), 2, "2025-05-03")
    # The day that was told changes again: it comes after the others.
    note(session, 3)
    assert days.find_untold(session, first.place, WORKSPACE, 9).days == (may(2), may(1), may(3))


def test_a_second_try_tells_again_what_the_first_one_told_and_another_run_does_not() -> None:
    told = replace(Place(5), run="a", before=(3, "2025-05-02"))
    assert told.of_try("a") == Place(3, "2025-05-02")
    assert told.of_try("b") == told.of_try(None) == told
    assert Place().of_try(None) == Place()


def test_a_place_is_kept_for_each_reader(session: Session) -> None:
    assert days.find_place(session, "a") == Place()
    place = Place(4, "2025-05-02", "run", (2, None))
    days.store_place(session, "a", Place(1), NOON)
    days.store_place(session, "a", place, NOON)
    assert (days.find_place(session, "a"), days.find_place(session, "b")) == (place, Place())
