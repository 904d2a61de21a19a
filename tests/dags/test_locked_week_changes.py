"""Which changes the example of locked weeks finds."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime, timezone
from typing import Any

import pytest
from support.repository import load_example

pytestmark = [pytest.mark.airflow, pytest.mark.newest]

MONDAY, SUNDAY = date(2026, 11, 16), date(2026, 11, 22)
INSIDE, OUTSIDE = "2026-11-17T08:00:00Z", "2026-11-24T08:00:00Z"
ANN, BOB = 10, 20


@pytest.fixture(scope="module")
def example() -> Any:
    return load_example("toggl_locked_week_changes")


def instant(day: int, hour: int = 12) -> datetime:
    return datetime(2026, 11, day, hour, tzinfo=timezone.utc)


def sheet(**fields: Any) -> dict[str, Any]:
    known = {"member_id": ANN, "start_date": MONDAY, "end_date": SUNDAY, "timezone": "UTC", "locked_at": instant(23)}
    return {**known, **fields}


def change(kind: str = "updated", **fields: Any) -> dict[str, Any]:
    known = {"time_entry_id": 1, "step": 2, "kind": kind, "changed_at": instant(24), "user_id": ANN}
    known |= {"field": None, "old_value": None, "new_value": None, "changed_by": "Bob", "description": "Fix"}
    if kind == "updated":
        known |= {"field": "description", "old_value": "Fix", "new_value": "Padded"}
    return {**known, "started": datetime(2026, 11, 17, 8, tzinfo=timezone.utc), "duration": 5400, **fields}


def find(example: Any, *rows: dict[str, Any], sheets: Any = None, reported: Any = frozenset()) -> list[str]:
    locks = example.find_locks([sheet()] if sheets is None else sheets, [], {})
    return [row["field"] or row["kind"] for row in example.find_changes(list(rows), locks, reported)]


@pytest.mark.parametrize(("kind", "shown"), [("deleted", "deleted"), ("absent", "absent"), ("updated", "description")])
def test_a_change_after_the_approval_is_found(example: Any, kind: str, shown: str) -> None:
    assert find(example, change(kind)) == [shown]


@pytest.mark.parametrize(
    "fields",
    [
        {"changed_at": instant(22)},
        {"user_id": BOB},
        {"started": instant(23)},
        {"kind": "found", "field": None},
    ],
    ids=["before the approval", "of another person", "of another week", "first known state"],
)
def test_other_changes_are_not(example: Any, fields: dict[str, Any]) -> None:
    assert find(example, change(**fields)) == []


def test_days_are_those_of_the_timesheet_s_zone(example: Any) -> None:
    late = change(started=datetime(2026, 11, 22, 23, 30, tzinfo=timezone.utc))  # Monday in Berlin
    assert find(example, late) == ["description"]
    assert find(example, late, sheets=[sheet(timezone="Europe/Berlin")]) == []


def test_a_reopened_timesheet_locks_nothing(example: Any) -> None:
    assert find(example, change(), sheets=[]) == []


@pytest.mark.parametrize(
    ("moves", "found"),
    [((INSIDE, OUTSIDE), True), ((OUTSIDE, INSIDE), True), ((OUTSIDE, "2026-11-25T08:00:00Z"), False)],
    ids=["out of the week", "into the week", "elsewhere"],
)
def test_an_entry_that_was_moved_is_found_by_both_its_starts(example: Any, moves: Any, found: bool) -> None:
    old, new = moves
    moved = change(field="start", old_value=old, new_value=new, started=example.as_instant(new))
    assert find(example, moved) == (["start"] if found else [])


def test_a_change_counts_by_the_start_that_the_entry_had_then(example: Any) -> None:
    starts_later = {"started": example.as_instant(OUTSIDE)}
    rows = [
        change(step=2, **starts_later),
        change(step=3, field="start", old_value=INSIDE, new_value=OUTSIDE, **starts_later),
        change(step=4, **starts_later, new_value="Free"),
    ]
    assert find(example, *rows) == ["description", "start"]


def test_an_entry_that_was_given_to_another_person_is_found(example: Any) -> None:
    assert find(example, change(field="user_id", old_value=str(ANN), new_value=str(BOB), user_id=BOB)) == ["user_id"]


def test_a_reported_change_is_known_by_its_values_and_not_by_its_time(example: Any) -> None:
    absent = change("absent")
    reported = {(1, example.identify(absent, Counter()))}
    # An event that comes late names who and when.
    from_event = change("deleted", changed_at=instant(25), changed_by="Ann")
    assert find(example, from_event, reported=reported) == []
    again = change("deleted", step=4)
    assert find(example, from_event, change("restored", step=3), again, reported=reported) == ["restored", "deleted"]


def test_an_invoice_locks_the_days_that_it_is_said_to_be_for(example: Any) -> None:
    invoices = [{"document_id": name, "created_at": instant(23)} for name in ("INV-7", "INV-8")]
    (lock,) = example.find_locks([], invoices, {"INV-7": ["2026-11-16", "2026-11-22"]})
    assert (lock.name, lock.first, lock.last) == ("invoice INV-7", MONDAY, SUNDAY)
    (found,) = example.find_changes([change(user_id=BOB)], [lock], set())
    assert found["lock"] == lock


def test_a_change_is_shown_with_names_before_and_after(example: Any) -> None:
    names = {("project_id", "5"): "Old", ("project_id", "6"): "New", ("user_id", str(ANN)): "Ann"}
    moved = change(field="project_id", old_value="5", new_value="6", changed_by=None)
    locks = example.find_locks([sheet()], [], {})
    edited, deleted = (
        example.describe(row, names) for row in example.find_changes([moved, change("deleted", step=3)], locks, set())
    )
    assert (edited["before"], edited["after"], edited["changed_by"]) == ("Old", "New", "unknown")
    assert (deleted["before"], deleted["after"], deleted["person"]) == ("Fix, 1.50 h", "", "Ann")


def test_the_statements_run_in_both_databases(warehouse: Any, example: Any) -> None:
    with warehouse.transaction() as transaction:
        transaction.run(example.CREATE)
        transaction.run_many(example.REMEMBER, [(1, "a" * 64), (2, "b" * 64)])
    for query in (example.SHEETS, example.INVOICES, example.NAMES):
        assert warehouse.query(query).to_pylist() == []
    assert warehouse.query(example.CHANGES, [instant(1)]).to_pylist() == []
    assert warehouse.query(example.REPORTED).num_rows == 2
