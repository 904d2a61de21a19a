from __future__ import annotations

from datetime import date, datetime, timezone

import pytest

from airflow_provider_toggl.report.approvals import Sheet, is_waiting

THEN = datetime(2026, 1, 12, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("status", "submitted_at", "waiting"),
    [
        ("submitted", THEN, True),
        # Toggl does not document its words.
        ("Pending", THEN, True),
        (None, THEN, True),
        ("approved", THEN, False),
        ("REJECTED", THEN, False),
        ("open", THEN, False),
        ("submitted", None, False),
    ],
)
def test_a_timesheet_waits_when_it_is_submitted_and_not_decided_on(
    status: str | None, submitted_at: datetime | None, waiting: bool
) -> None:
    assert is_waiting(status, submitted_at) is waiting


def test_a_period_names_a_month_once() -> None:
    def period(begin: date, end: date) -> str:
        return Sheet("Ada", begin, end, 1.0, THEN, 2, "Bob").period

    assert period(date(2026, 1, 5), date(2026, 1, 11)) == "5-11 Jan"
    assert period(date(2025, 12, 29), date(2026, 1, 4)) == "29 Dec-4 Jan"
