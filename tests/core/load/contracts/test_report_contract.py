"""The pictures of the weekly report, read from every engine."""

from __future__ import annotations

from datetime import date, datetime, timezone
from typing import Any

from support.toggl_rows import WORKSPACE, decode, report_row

from airflow_provider_toggl.core.load.warehouse import Warehouse
from airflow_provider_toggl.report.pictures import build_pictures
from airflow_provider_toggl.report.weeks import build_report

SUNDAY = date(2026, 1, 11)
NOW = datetime(2026, 1, 14, 12, tzinfo=timezone.utc)


def entry(id_: int, user: int, day: str, hours: int, **fields: Any) -> dict[str, Any]:
    times = {"start": f"{day}T08:00:00Z", "stop": f"{day}T20:00:00Z", "seconds": 3600 * hours}
    return report_row(id_, user_id=user, project_id=20, **{"billable": True, **times, **fields})


def rate(id_: int, kind: str, level: str, amount: float | None, **fields: Any) -> dict[str, Any]:
    common = {"workspace_id": WORKSPACE, "level_id": 1, "currency": "EUR", "type": kind, "level": level}
    return {"id": id_, "amount": amount, **common, **fields}


def sheet(id_: int, member: int, status: str, submitted_at: str | None) -> dict[str, Any]:
    week = {"timesheet_setup_id": id_, "start_date": "2026-01-05", "end_date": "2026-01-11"}
    return {"id": id_, "member_id": member, "approver_id": 10, "status": status, "submitted_at": submitted_at, **week}


def test_every_picture_has_the_figures_of_its_tables(target: Warehouse) -> None:
    members = (
        {"id": 1, "user_id": 10, "name": "Ada", "inactive": False, "working_hours_in_minutes": 480},
        {"id": 2, "user_id": 11, "name": "Bob", "inactive": False, "working_hours_in_minutes": None},
        {"id": 3, "user_id": 12, "name": "Gone", "inactive": True, "working_hours_in_minutes": 480},
    )
    rates = (
        rate(1, "billable_rates", "project", 100, project_id=20, end="2026-01-05T00:00:00Z"),
        rate(2, "billable_rates", "project", 200, project_id=20, start="2026-01-05T00:00:00Z"),
        rate(3, "labor_costs", "workspace_user", 50, user_id=10),
        rate(4, "labor_costs", "workspace_user", None, user_id=11),
        rate(5, "billable_rates", "task", 9, task_id=1, deleted_at="2025-01-01T00:00:00Z"),
    )
    target.load(
        [
            decode(
                "time_entries",
                entry(1, 10, "2025-12-01", 3),
                entry(2, 10, "2026-01-04", 10),
                entry(3, 10, "2026-01-05", 6),
                entry(4, 10, "2026-01-06", 4, billable=False),
                entry(5, 11, "2026-01-11", 1),
            ),
            decode("projects", {"id": 20, "name": "Site", "client_id": 30, "estimated_seconds": 3600 * 20}),
            decode("clients", {"id": 30, "name": "Client"}),
            decode("workspace_users", *members),
            decode("rates", *rates),
            decode(
                "timesheets",
                sheet(1, 10, "submitted", "2026-01-12T12:00:00Z"),
                sheet(2, 11, "open", None),
                sheet(3, 12, "approved", "2026-01-12T12:00:00Z"),
            ),
        ]
    )
    report = build_report(target, WORKSPACE, 2, SUNDAY)
    utilization, budgets, margins, approvals = build_pictures(target, WORKSPACE, report, now=NOW)
    assert utilization.rows == [("Ada", "8", "25%", "15%"), ("Bob", "not set", "0.0 h", "1.0 h")]
    assert budgets.rows == [("Site", "20.0", "24.0", "120%", "-4.0", "13.0", "24.0")]
    assert margins.rows == [("Client", "EUR", "2,400.00", "1,000.00", "1,400 (58%)*")]
    assert "1.0 hours have no known cost" in margins.notes[-1]
    assert approvals.rows == [("Ada", "2026-01-05 to 2026-01-11", "10.0", "2026-01-12 12:00", "2", "Ada")]


def test_an_empty_warehouse_has_a_reason_for_each_picture(target: Warehouse) -> None:
    report = build_report(target, WORKSPACE, 2, SUNDAY)
    pictures = build_pictures(target, WORKSPACE, report)
    assert [picture.draw for picture in pictures] == [None] * 4
    reasons = [" ".join(picture.notes) for picture in pictures]
    assert all(reason.startswith("Left out: ") for reason in reasons)
    for reason, table in zip(reasons, ("workspace_users", "project", "rates", "timesheets"), strict=True):
        assert table in reason
