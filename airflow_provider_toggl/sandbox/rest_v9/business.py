"""The endpoints of approvals, invoices, expenses, goals, alerts, constraints, currencies and groups of
projects; read only.
"""

from __future__ import annotations

from typing import Any

from airflow_provider_toggl.sandbox.formats import timesheet_event, zone_of
from airflow_provider_toggl.sandbox.rest_v9.serialize.business import (
    v9_alert,
    v9_constraints,
    v9_expense,
    v9_goal,
    v9_invoice,
    v9_project_group,
    v9_timesheet,
    v9_timesheet_setup,
)
from airflow_provider_toggl.sandbox.rest_v9.serialize.entities import v9_entry
from airflow_provider_toggl.sandbox.routing import ApiRequest, ApiResponse, Route
from airflow_provider_toggl.sandbox.workspace.world import ErrorResponse, live

BASE = "/api/v9/workspaces/{workspace_id}"
DEFAULT_TIMESHEETS, MOST_TIMESHEETS = 20, 1000
DEFAULT_INVOICES = 50
DEFAULT_GOALS, MOST_GOALS = 20, 100
NO_APPROVALS = "Approvals are a premium feature"
NO_ACCESS = "User does not have access to this resource"


def list_timesheet_setups(request: ApiRequest) -> ApiResponse:
    """List the timesheet setups, in an envelope."""
    _check_approvals(request)
    rows = live(request.world.timesheet_setups.values())
    return ApiResponse({"data": [v9_timesheet_setup(request.world, setup) for setup in rows]})


def list_timesheets(request: ApiRequest) -> ApiResponse:
    """Return a page of timesheets in an envelope, which a setting puts into an array."""
    _check_approvals(request)
    after, before = request.text("after"), request.text("before")
    members = request.integers("member_ids")
    rows = [
        sheet
        for sheet in live(request.world.timesheets.values())
        if (after is None or sheet.start_date.isoformat() > after)
        and (before is None or sheet.start_date.isoformat() < before)
        and (members is None or sheet.member_id in members)
    ]
    rows.sort(key=lambda sheet: (sheet.start_date, sheet.id))
    size = request.integer("per_page") or DEFAULT_TIMESHEETS
    size = DEFAULT_TIMESHEETS if size > MOST_TIMESHEETS else size
    page = request.integer("page") or 1
    envelope: dict[str, Any] = {
        "data": [v9_timesheet(request.world, sheet) for sheet in rows[(page - 1) * size : page * size]],
        "page": page,
        "per_page": size,
        "total_count": len(rows),
    }
    return ApiResponse([envelope] if request.settings.timesheets_answer == "array" else envelope)


def list_timesheet_history(request: ApiRequest) -> ApiResponse:
    """List what was done to a timesheet, or by a setting the time entries of its week."""
    _check_approvals(request)
    world, key = request.world, (request.path_id("setup_id"), request.path["start_date"])
    sheets = [
        sheet
        for sheet in live(world.timesheets.values())
        if (sheet.timesheet_setup_id, sheet.start_date.isoformat()) == key
    ]
    if not sheets:
        raise ErrorResponse(400, "Invalid date")
    (sheet,) = sheets
    if request.settings.timesheet_history_answer == "events":
        return ApiResponse([timesheet_event(one) for one in world.timesheet_history.values() if one.sheet is sheet])
    zone = zone_of(sheet.timezone)
    entries = [
        entry
        for entry in live(world.time_entries.values())
        if entry.user_id == sheet.member_id
        and sheet.start_date <= entry.start.astimezone(zone).date() <= sheet.end_date
    ]
    return ApiResponse([v9_entry(world, entry) for entry in entries])


def _check_approvals(request: ApiRequest) -> None:
    if not request.world.has_approvals():
        raise ErrorResponse(402, NO_APPROVALS)
    if not request.actor.is_admin:
        raise ErrorResponse(403, NO_ACCESS)


def list_currencies(request: ApiRequest) -> ApiResponse:
    """List the codes of the currencies that the workspace uses."""
    return ApiResponse([currency.iso_code for currency in live(request.world.currencies.values())])


def list_project_groups(request: ApiRequest) -> ApiResponse:
    """List which groups have access to which projects, of all projects or of some."""
    ids = request.integers("project_ids")
    if ids is None and request.settings.project_groups_need_ids:
        raise ErrorResponse(400, "Missing project_ids")
    rows = [one for one in live(request.world.project_groups.values()) if ids is None or one.project_id in ids]
    return ApiResponse([v9_project_group(request.world, access) for access in rows])


def list_invoices(request: ApiRequest) -> ApiResponse:
    """Return a page of invoices, in the order of their creation; for administrators only."""
    if not request.actor.is_admin:
        raise ErrorResponse(403, "Operation Forbidden")
    size, page = request.integer("per_page") or DEFAULT_INVOICES, request.integer("page") or 1
    rows = sorted(live(request.world.invoices.values()), key=lambda invoice: (invoice.created_at, invoice.id))
    return ApiResponse([v9_invoice(request.world, one) for one in rows[(page - 1) * size : page * size]])


def list_expenses(request: ApiRequest) -> ApiResponse:
    """List the expenses: all for administrators, their own for others."""
    rows = [
        expense
        for expense in live(request.world.expenses.values())
        if request.actor.is_admin or expense.user_id == request.actor.id
    ]
    return ApiResponse([v9_expense(request.world, expense) for expense in rows])


def list_goals(request: ApiRequest) -> ApiResponse:
    """Return a page of goals: the requesting user's, or with ``team_goals`` those of everybody."""
    team, active, settings = request.boolean("team_goals"), request.boolean("active"), request.settings
    if team and not request.world.has_team_goals():
        raise ErrorResponse(403, "User has no access to team goals feature")
    if active is None and not settings.goals_list_archived:
        active = True
    own = None if team and settings.team_goals_alone else request.actor.id
    rows = [
        goal
        for goal in live(request.world.goals.values())
        if ((team and goal.team_goal) or goal.user_id == own) and active in (None, goal.active)
    ]
    size, page = min(request.integer("per_page") or DEFAULT_GOALS, MOST_GOALS), request.integer("page") or 1
    return ApiResponse([v9_goal(request.world, goal) for goal in rows[(page - 1) * size : page * size]])


def list_alerts(request: ApiRequest) -> ApiResponse:
    """List the alerts of all projects."""
    if not request.world.has_alerts():
        raise ErrorResponse(402, "Alerts are not part of the plan")
    return ApiResponse([v9_alert(request.world, alert) for alert in live(request.world.alerts.values())])


def read_constraints(request: ApiRequest) -> ApiResponse:
    """Return the constraints of time entries, an object."""
    return ApiResponse(v9_constraints(request.world))


ROUTES = [
    Route("GET", f"{BASE}/timesheet_setups", list_timesheet_setups, "organization"),
    Route("GET", f"{BASE}/timesheets", list_timesheets, "organization"),
    Route(
        "GET",
        f"{BASE}/timesheets/{{setup_id}}/{{start_date:any}}/history",
        list_timesheet_history,
        "organization",
    ),
    Route("GET", f"{BASE}/currencies", list_currencies, "organization"),
    Route("GET", f"{BASE}/project_groups", list_project_groups, "organization"),
    Route("GET", f"{BASE}/invoices", list_invoices, "organization"),
    Route("GET", f"{BASE}/expenses", list_expenses, "organization"),
    Route("GET", f"{BASE}/goals", list_goals, "organization"),
    Route("GET", f"{BASE}/alerts", list_alerts, "organization"),
    Route("GET", f"{BASE}/time_entry_constraints", read_constraints, "organization"),
]
