"""The JSON of timesheets, invoices, expenses, goals, alerts and groups of projects, as the published definitions say.

Nobody has published a recorded answer of these endpoints.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow_provider_toggl.sandbox.formats import invoice_items, micros_z, seconds_z
from airflow_provider_toggl.sandbox.workspace.records import (
    Alert,
    Expense,
    Goal,
    Invoice,
    ProjectGroup,
    Timesheet,
    TimesheetSetup,
)
from airflow_provider_toggl.sandbox.workspace.world import World

Json = dict[str, Any]


def v9_timesheet_setup(world: World, setup: TimesheetSetup) -> Json:
    """Return the JSON of a timesheet setup."""
    approver, member = world.users[setup.approver_id], world.users[setup.member_id]
    return {
        "id": setup.id,
        "workspace_id": setup.workspace_id,
        "member_id": member.id,
        "member_name": member.fullname,
        "approver_id": approver.id,
        "approver_name": approver.fullname,
        "approvers": [_approver(world, approver.id)],
        "approvers_layers": {"1": [_approver(world, approver.id)]},
        "periodicity": "weekly",
        "start_date": setup.start_date.isoformat(),
        "end_date": None,
        "reminder_day": 5,
        "reminder_time": "16:00",
        "email_reminder_enabled": True,
        "slack_reminder_enabled": False,
        "permissions": [],
    }


def v9_timesheet(world: World, sheet: Timesheet) -> Json:
    """Return the JSON of a timesheet, which has no id."""
    setup = world.timesheet_setups[sheet.timesheet_setup_id]
    decider = None if sheet.decided_by is None else world.users[sheet.decided_by]
    start, end = sheet.start_date.isoformat(), sheet.end_date.isoformat()
    return {
        "timesheet_setup_id": sheet.timesheet_setup_id,
        "workspace_id": sheet.workspace_id,
        "member_id": sheet.member_id,
        "member_name": world.users[sheet.member_id].fullname,
        "start_date": start,
        "end_date": end,
        "period_start": start,
        "period_end": end,
        "period_editable": sheet.status in ("open", "rejected"),
        "period_locked": sheet.status == "approved",
        "periodicity": "weekly",
        "status": sheet.status,
        "submitted_at": None if sheet.submitted_at is None else seconds_z(sheet.submitted_at),
        "approver_id": setup.approver_id,
        "approver_name": world.users[setup.approver_id].fullname,
        "approvers": [_approver(world, setup.approver_id)],
        "approvers_layers": {"1": [_approver(world, setup.approver_id)]},
        "approved_or_rejected_at": None if sheet.decided_at is None else seconds_z(sheet.decided_at),
        "approved_or_rejected_id": sheet.decided_by,
        "approved_or_rejected_name": None if decider is None else decider.fullname,
        "rejection_comment": sheet.rejection_comment,
        "review_layer": 1,
        "reviews": [] if sheet.decided_at is None else [_review(world, sheet)],
        "timezone": sheet.timezone,
        "working_hours_in_minutes": sheet.working_hours_in_minutes,
        "permissions": [],
    }


def _approver(world: World, user_id: int) -> Json:
    user = world.users[user_id]
    return {"user_id": user.id, "name": user.fullname, "active": not user.inactive, "avatar_url": "", "deleted": False}


def _review(world: World, sheet: Timesheet) -> Json:
    return {
        "user_id": sheet.decided_by,
        "name": world.users[sheet.decided_by or 0].fullname,
        "approved": sheet.status == "approved",
        "force_approved": False,
        "rejection_comment": sheet.rejection_comment,
        "review_layer": 1,
        "avatar_url": "",
        "updated_at": seconds_z(sheet.decided_at or sheet.at),
    }


def v9_project_group(world: World, access: ProjectGroup) -> Json:  # noqa: ARG001 - one signature for all functions
    """Return the JSON of a group's access to a project."""
    return {
        "id": access.id,
        "group_id": access.group_id,
        "pid": access.project_id,
        "wid": access.workspace_id,
    }


def v9_invoice(world: World, invoice: Invoice) -> Json:  # noqa: ARG001 - one signature for all functions
    """Return the JSON of an invoice."""
    return {
        "user_invoice_id": invoice.id,
        "workspace_id": invoice.workspace_id,
        "user_id": invoice.user_id,
        "document_id": invoice.document_id,
        "date": invoice.issued_on.isoformat(),
        "due_date": invoice.due_date.isoformat(),
        "currency": invoice.currency,
        "items": invoice_items(invoice),
        "taxes": [],
        "purchase_number": "",
        "payment_terms": "14 days",
        "message": "",
        "billing_address": "",
        "workspace_address": "",
        "workspace_logo": "",
        "created_at": seconds_z(invoice.created_at),
        "updated_at": micros_z(invoice.at),
        "deleted_at": None,
    }


def v9_expense(world: World, expense: Expense) -> Json:
    """Return the JSON of an expense; amounts are in cents, which the definition does not say."""
    is_foreign = expense.currency != world.workspace.default_currency
    return {
        "id": expense.id,
        "workspace_id": expense.workspace_id,
        "user_id": expense.user_id,
        "trip_id": None,
        "date_of_expense": expense.date_of_expense.isoformat(),
        "category": expense.category,
        "description": expense.description,
        "original_description": expense.description,
        "state": expense.state,
        "currency": expense.currency,
        "total_amount": expense.total_amount,
        "total_amount_converted": round(expense.total_amount * 1.25) if is_foreign else expense.total_amount,
        "tax_amount": 0,
        "tax_amount_converted": 0,
        "exchange_rate": 1.25 if is_foreign else 1,
        "exchange_rate_timestamp": seconds_z(expense.created_at),
        "service_provider": "Somebody Ltd",
        "service_provider_country": "GB" if is_foreign else "US",
        "receipt_no": str(expense.id),
        "download_url": f"https://example.com/receipts/{expense.id}?signature=made-up",
        "comment": "",
        "created_at": seconds_z(expense.created_at),
        "updated_at": micros_z(expense.at),
        "deleted_at": None,
        "timezone": world.users[expense.user_id].timezone,
    }


def v9_goal(world: World, goal: Goal) -> Json:
    """Return the JSON of a goal; the words of its status and comparison are invented."""
    today = world.now().date()
    monday = today - timedelta(days=today.weekday())
    return {
        "goal_id": goal.id,
        "workspace_id": goal.workspace_id,
        "user_id": goal.user_id,
        "user_name": world.users[goal.user_id].fullname,
        "creator_user_id": goal.creator_user_id,
        "creator_user_name": world.users[goal.creator_user_id].fullname,
        "name": goal.name,
        "icon": "",
        "active": goal.active,
        "team_goal": goal.team_goal,
        "status": "in_progress" if goal.tracked_seconds < goal.target_seconds else "completed",
        "comparison": "gte",
        "target_seconds": goal.target_seconds,
        "billable": False,
        "project_ids": goal.project_ids,
        "task_ids": [],
        "tag_ids": [],
        "tags": [],
        "recurrence": "weekly",
        "start_date": goal.start_date.isoformat(),
        "end_date": "",
        "current_recurrence_start_date": monday.isoformat(),
        "current_recurrence_end_date": (monday + timedelta(days=6)).isoformat(),
        "current_recurrence_tracked_seconds": goal.tracked_seconds,
        "last_completed_recurrence_end_date": (monday - timedelta(days=1)).isoformat(),
        "last_notified_at": "",
        "streak": 1,
        "permissions": [],
    }


def v9_alert(world: World, alert: Alert) -> Json:
    """Return the JSON of an alert, with details of its project; the words of source and threshold are invented."""
    project = world.projects[alert.project_id]
    client = world.clients.get(project.client_id or 0)
    return {
        "id": alert.id,
        "wid": alert.workspace_id,
        "project_id": project.id,
        "project_name": project.name,
        "project_color": project.color,
        **({} if client is None else {"client_id": client.id, "client_name": client.name}),
        "billable": project.billable,
        "isPrivate": project.is_private,
        "isFixedFee": False,
        "estimatedHours": (project.estimated_seconds or 0) // 3600,
        "object_type": 1,
        "source_kind": "estimate",
        "threshold_type": "percentage",
        "threshold": alert.thresholds[0],
        "thresholds": alert.thresholds,
        "receivers": len(alert.receiver_users),
        "receiver_roles": alert.receiver_roles,
        "receiver_users": alert.receiver_users,
        "receiver_users_name": [world.users[id_].fullname for id_ in alert.receiver_users],
        "receiver_groups": [],
        "errors": [],
    }


def v9_constraints(world: World) -> Json:
    """Return the JSON of the constraints of time entries."""
    (constraints,) = world.time_entry_constraints.values()
    return {
        name: getattr(constraints, name)
        for name in (
            "time_entry_constraints_enabled",
            "description_present",
            "project_present",
            "task_present",
            "tag_present",
        )
    }
