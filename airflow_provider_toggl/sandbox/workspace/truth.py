"""The records of the sandbox as flat rows, for tests to compare a warehouse with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import fields
from datetime import date, datetime
from operator import itemgetter
from typing import Any

from airflow_provider_toggl.sandbox.formats import (
    audit_record,
    invoice_items,
    micros_z,
    seconds_z,
    timesheet_event,
    units,
)
from airflow_provider_toggl.sandbox.workspace.rates import Rate, level_id
from airflow_provider_toggl.sandbox.workspace.records import (
    Alert,
    AuditRecord,
    Client,
    Currency,
    Expense,
    Goal,
    Group,
    Invoice,
    Organization,
    Project,
    ProjectGroup,
    ProjectPeriod,
    ProjectUser,
    Tag,
    Task,
    TimeEntry,
    TimeEntryConstraints,
    Timesheet,
    TimesheetEvent,
    TimesheetSetup,
    User,
    Workspace,
)
from airflow_provider_toggl.sandbox.workspace.world import Entity, World, amount_cents, live, seen_terms

Row = dict[str, Any]


class UnknownStream(ValueError):
    """There is no such stream."""


def _row(record: Any, /, *without: str, **more: Any) -> Row:
    """Return the fields of a record as JSON values: some left out, some added or replaced."""
    row: Row = {}
    for item in fields(record):
        value = getattr(record, item.name)
        if isinstance(value, datetime):
            value = micros_z(value)
        elif isinstance(value, date):
            value = value.isoformat()
        if item.name not in without:
            row[item.name] = value
    return {**row, **more}


def _time_entry(world: World, entry: TimeEntry) -> Row:
    rate = world.rate_of(entry)
    return _row(
        entry,
        "created_with",
        tag_ids=sorted(entry.tag_ids),
        running=entry.is_running,
        hourly_rate_cents=rate,
        billable_amount_cents=None if rate is None or entry.is_running else amount_cents(entry.duration, rate),
        currency=world.workspace.default_currency,
    )


def _project(world: World, project: Project) -> Row:
    if world.settings.plan == "free":
        paid = ("billable", "hourly_rate_cents", "estimated_seconds", "currency", "fixed_fee", "current_period")
        return _row(project, "recurs_days", **dict.fromkeys(paid))
    rate = world.rates.current_cents("billable_rates", project)
    present = [[one.start_date.isoformat(), one.end_date.isoformat()] for one in world.periods_of(project)[-1:]]
    return _row(
        project,
        "recurs_days",
        hourly_rate_cents=rate,
        currency=world.workspace.default_currency,
        current_period=present[0] if present else None,
    )


def _unchanged(world: World, record: Client | Tag | ProjectGroup) -> Row:  # noqa: ARG001 - one signature for all streams
    return _row(record)


def _task(world: World, task: Task) -> Row:
    return _row(task, tracked_seconds=world.tracked_seconds()[1].get(task.id, 0))


def _user(world: World, user: User) -> Row:
    return _row(user, "token", "created_at", *_TERMS, workspace_id=world.workspace.id)


_TERMS = (
    "rate_cents",
    "rate_changed_at",
    "labor_cost_cents",
    "labor_cost_changed_at",
    "working_hours_in_minutes",
)


def _workspace_user(world: World, user: User) -> Row:
    seen = seen_terms(world, user)
    return {
        "id": user.workspace_user_id,
        "workspace_id": world.workspace.id,
        "user_id": user.id,
        "name": user.fullname,
        "email": user.email,
        "role": "admin" if user.is_admin else "user",
        "inactive": user.inactive,
        "group_ids": sorted(group.id for group in live(world.groups.values()) if user.id in group.user_ids),
        "rate": units(world.rates.current_cents("billable_rates", user)),
        "rate_last_updated": _second(world.rates.changed_at("billable_rates", user)),
        "labor_cost": units(world.rates.current_cents("labor_costs", user)),
        "labor_cost_last_updated": _second(world.rates.changed_at("labor_costs", user)),
        "working_hours_in_minutes": seen.working_hours_in_minutes,
        "timezone": user.timezone,
        "at": micros_z(user.at),
        "deleted_at": _micros(user.deleted_at),
    }


def _timesheet_setup(world: World, setup: TimesheetSetup) -> Row:  # noqa: ARG001 - one signature for all streams
    return _row(setup, approver_ids=[setup.approver_id], periodicity="weekly")


def _timesheet(world: World, sheet: Timesheet) -> Row:
    setup = world.timesheet_setups[sheet.timesheet_setup_id]
    return {
        "id": find_id(sheet),
        "workspace_id": sheet.workspace_id,
        "timesheet_setup_id": sheet.timesheet_setup_id,
        "start_date": sheet.start_date.isoformat(),
        "end_date": sheet.end_date.isoformat(),
        "member_id": sheet.member_id,
        "approver_id": setup.approver_id,
        "status": sheet.status,
        "submitted_at": _second(sheet.submitted_at),
        "approved_or_rejected_at": _second(sheet.decided_at),
        "approved_or_rejected_id": sheet.decided_by,
        "rejection_comment": sheet.rejection_comment,
        "working_hours_in_minutes": sheet.working_hours_in_minutes,
        "timezone": sheet.timezone,
        "at": micros_z(sheet.at),
        "deleted_at": _micros(sheet.deleted_at),
    }


def _organization_user(world: World, user: User) -> Row:
    return {
        "id": user.workspace_user_id,
        "workspace_id": world.workspace.id,
        "organization_id": world.organization.id,
        "user_id": user.id,
        "name": user.fullname,
        "email": user.email,
        "inactive": user.inactive,
        "group_ids": sorted(group.id for group in live(world.groups.values()) if user.id in group.user_ids),
        "at": micros_z(user.at),
        "deleted_at": _micros(user.deleted_at),
    }


def _currency(world: World, currency: Currency) -> Row:  # noqa: ARG001 - one signature for all streams
    return _row(currency, id=find_id(currency))


def find_id(record: Entity | AuditRecord | ProjectPeriod | TimesheetEvent) -> int:
    """Return the id of a record in tables: its own, or a hash of its key where lists have no id."""
    if isinstance(record, Timesheet):
        key = f"{record.timesheet_setup_id}\0{record.start_date}"
    elif isinstance(record, Currency):
        key = f"{record.workspace_id}\0{record.iso_code}"
    elif isinstance(record, ProjectPeriod):
        key = f"{record.project_id}\0{record.start_date}"
    elif isinstance(record, TimeEntryConstraints):
        key = f"{record.workspace_id}"
    elif isinstance(record, AuditRecord):
        key = json.dumps(audit_record(record), sort_keys=True)
    elif isinstance(record, TimesheetEvent):
        sent = json.dumps(timesheet_event(record), sort_keys=True)
        key = f"{record.sheet.timesheet_setup_id}\0{record.sheet.start_date}\0{sent}"
    else:
        return record.id
    return int(hashlib.sha256(key.encode()).hexdigest()[:16], 16) >> 1


def _invoice(world: World, invoice: Invoice) -> Row:  # noqa: ARG001 - one signature for all streams
    items = invoice_items(invoice)
    dates = {"date": invoice.issued_on.isoformat(), "created_at": _second(invoice.created_at)}
    return _row(invoice, "issued_on", items=items, **dates)


def _expense(world: World, expense: Expense) -> Row:  # noqa: ARG001 - one signature for all streams
    return _row(expense, created_at=_second(expense.created_at))


def _goal(world: World, goal: Goal) -> Row:  # noqa: ARG001 - one signature for all streams
    return _row(goal, "tracked_seconds", current_recurrence_tracked_seconds=goal.tracked_seconds)


def _alert(world: World, alert: Alert) -> Row:
    return _row(alert, client_id=world.projects[alert.project_id].client_id)


def _period(world: World, period: ProjectPeriod) -> Row:  # noqa: ARG001 - one signature for all streams
    return _row(period, id=find_id(period))


def _constraints(world: World, constraints: TimeEntryConstraints) -> Row:  # noqa: ARG001 - one signature for all streams
    return _row(constraints, id=find_id(constraints))


def _audit_record(world: World, record: AuditRecord) -> Row:  # noqa: ARG001 - one signature for all streams
    sent = audit_record(record)
    return _row(record, "organization_id", id=find_id(record), created_at=_second(record.at), record=sent)


def _timesheet_event(world: World, event: TimesheetEvent) -> Row:  # noqa: ARG001 - one signature for all streams
    return {
        "id": find_id(event),
        "workspace_id": event.sheet.workspace_id,
        "timesheet_setup_id": event.sheet.timesheet_setup_id,
        "start_date": event.sheet.start_date.isoformat(),
        "member_id": event.sheet.member_id,
        "timesheet_status": event.sheet.status,
        "created_at": _second(event.at),
        "user_id": event.user_id,
        "action": event.action,
        "record": timesheet_event(event),
        "at": micros_z(event.at),
        "deleted_at": None,
    }


def _workspace(world: World, workspace: Workspace) -> Row:
    plan = world.settings.plan
    given = {"premium": plan != "free", "business_ws": plan in ("premium", "enterprise")}
    return _row(workspace, workspace_id=workspace.id, **given)


def _organization(world: World, organization: Organization) -> Row:
    at = micros_z(organization.created_at)
    return _row(organization, created_at=_second(organization.created_at), at=at, workspace_id=world.workspace.id)


def _micros(moment: datetime | None) -> str | None:
    return None if moment is None else micros_z(moment)


def _second(moment: datetime | None) -> str | None:
    return None if moment is None else seconds_z(moment)


def _project_user(world: World, member: ProjectUser) -> Row:
    return _row(member, rate_cents=world.rates.current_cents("billable_rates", member))


def _group(world: World, group: Group) -> Row:  # noqa: ARG001 - one signature for all streams
    return _row(group, user_ids=sorted(group.user_ids))


def _rate(world: World, rate: Rate) -> Row:
    ids: dict[str, int | None] = dict.fromkeys(("user_id", "project_id", "task_id"))
    if rate.level == "project_user":
        member = world.project_users[rate.level_id]
        ids |= {"user_id": member.user_id, "project_id": member.project_id}
    elif rate.level == "workspace_user":
        ids["user_id"] = next(user.id for user in world.users.values() if level_id(user) == rate.level_id)
    elif rate.level in ("project", "task"):
        ids[f"{rate.level}_id"] = rate.level_id
    return {
        "id": rate.id,
        "workspace_id": rate.workspace_id,
        "type": rate.kind,
        "level": rate.level,
        "level_id": rate.level_id,
        **ids,
        "amount": units(rate.amount_cents),
        "currency": world.workspace.default_currency,
        "start": _second(rate.start),
        "end": _second(rate.end),
        "rate_change_mode": rate.mode,
        "creator_id": rate.creator_id,
        "created_at": _second(rate.created_at),
        "at": _micros(rate.updated_at),
        "deleted_at": _second(rate.deleted_at),
    }


#: The streams, with the function that makes their rows.
STREAMS: dict[str, Callable[[World, Any], Row]] = {
    "time_entries": _time_entry,
    "projects": _project,
    "clients": _unchanged,
    "tags": _unchanged,
    "tasks": _task,
    "users": _user,
    "project_users": _project_user,
    "groups": _group,
    "rates": _rate,
    "workspace_users": _workspace_user,
    "timesheet_setups": _timesheet_setup,
    "timesheets": _timesheet,
    "organization_users": _organization_user,
    "currencies": _currency,
    "project_groups": _unchanged,
    "invoices": _invoice,
    "expenses": _expense,
    "goals": _goal,
    "alerts": _alert,
    "time_entry_constraints": _constraints,
    "workspaces": _workspace,
    "organizations": _organization,
    "audit_log": _audit_record,
    "timesheet_history": _timesheet_event,
    "project_periods": _period,
}
#: Streams whose records have another name in the world.
SOURCES = {"workspace_users": "users", "organization_users": "users"}


def truth(world: World, stream: str) -> list[Row]:
    """Return all records of a stream as they are now, ordered by id; deleted ones have ``deleted_at``.

    Rows of the first eight streams have the sandbox's own names, with money in cents; those of the others have the
    columns of the tables.

    Times are RFC 3339 in UTC with ``Z``, ``duration`` is in seconds (negative: running). Fields that the plan lacks are
    None, and streams that it lacks have no rows.

    :raises UnknownStream: there is no such stream.
    """
    if stream not in STREAMS:
        raise UnknownStream(f"No such stream: {stream}. Streams: {', '.join(STREAMS)}.")
    has_stream = {
        "timesheets": world.has_approvals,
        "timesheet_setups": world.has_approvals,
        "timesheet_history": world.has_approvals,
        "goals": world.has_team_goals,
        "alerts": world.has_alerts,
        "audit_log": world.has_audit_log,
    }
    if stream in has_stream and not has_stream[stream]():
        return []
    to_row = STREAMS[stream]
    records: Any = getattr(world, SOURCES.get(stream, stream))
    return sorted((to_row(world, record) for record in records.values()), key=itemgetter("id"))
