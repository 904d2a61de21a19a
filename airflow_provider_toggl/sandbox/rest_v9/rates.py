"""The endpoints of rates: the history of one object, and setting a rate."""

from __future__ import annotations

from typing import Any

from airflow_provider_toggl.sandbox.formats import seconds_offset, seconds_or_none, units
from airflow_provider_toggl.sandbox.rest_v9.writes.request import MALFORMED, WriteRequest
from airflow_provider_toggl.sandbox.routing import NO_BODY, ApiRequest, ApiResponse, Route
from airflow_provider_toggl.sandbox.workspace.rates import LEVELS, Rate, Rated, level_id, read_mode
from airflow_provider_toggl.sandbox.workspace.world import ErrorResponse, World, get_live

BASE = "/api/v9/workspaces/{workspace_id}/rates"
#: Per hour, in units of the currency. The bound keeps sums within 64 bits.
LARGEST_AMOUNT = 1_000_000

_ID_OF_LEVEL = {
    "task": "planned_task_id",
    "project_user": "project_user_id",
    "project": "project_id",
    "workspace_user": "workspace_user_id",
}


def list_rates(request: ApiRequest) -> ApiResponse:
    """List all rates of one object, deleted ones included unless ``rates_list_deleted`` is false."""
    kind = request.text("type") or "billable_rates"
    _check_access(request, kind)
    record = _find_record(request.world, request.path["level"], request.path_id("level_id"))
    rates = request.world.rates.history(kind, record) if request.path["level"] in LEVELS[kind] else []
    with_deleted = request.settings.rates_list_deleted
    return ApiResponse([v9_rate(rate) for rate in rates if with_deleted or rate.deleted_at is None])


def create_rate(request: ApiRequest) -> ApiResponse:
    """Set a rate, from a time on or by a mode."""
    world, write = request.world, WriteRequest(request.world, request.actor, request.json_object(), request.source)
    # The definition says labor_rates here and labor_costs where rates are read.
    kind = {"labor_rates": "labor_costs"}.get(write.text("type") or "", write.text("type") or "billable_rates")
    _check_access(request, kind)
    level, mode, start = write.text("level") or "", read_mode(write.body.get("mode")), write.time("start")
    record = _find_record(world, level, write.integer("level_id") or 0)
    amount = write.body.get("amount")
    if isinstance(amount, bool) or not isinstance(amount, (int, float)) or not 0 < amount <= LARGEST_AMOUNT:
        raise ErrorResponse(400, MALFORMED)
    if level not in LEVELS[kind] or (start is None and mode is None):
        raise ErrorResponse(400, "Request payload must be informed")
    world.rates.set(
        kind,
        record,
        round(amount * 100),
        mode=mode or "start-today",
        start=start,
        actor=request.actor,
        request=request.source,
    )
    return ApiResponse(NO_BODY, 201)


def v9_rate(rate: Rate) -> dict[str, Any]:
    """Return the JSON of a rate; only the id of its own level is not null."""
    ids = dict.fromkeys(_ID_OF_LEVEL.values()) | {
        name: rate.level_id for level, name in _ID_OF_LEVEL.items() if level == rate.level
    }
    return {
        "id": rate.id,
        "workspace_id": rate.workspace_id,
        **ids,
        "type": rate.kind,
        "amount": units(rate.amount_cents),
        "start": seconds_or_none(rate.start),
        "end": seconds_or_none(rate.end),
        "rate_change_mode": rate.mode,
        "creator_id": rate.creator_id,
        "created_at": seconds_offset(rate.created_at),
        "updated_at": seconds_offset(rate.updated_at),
        "deleted_at": seconds_or_none(rate.deleted_at),
    }


def _check_access(request: ApiRequest, kind: str) -> None:
    if kind not in LEVELS:
        raise ErrorResponse(400, "Request payload must be informed")
    refusal = request.world.rates.refusal(kind)
    if refusal is not None:
        raise ErrorResponse(*refusal)
    if not request.actor.is_admin:
        raise ErrorResponse(403, "User cannot access billable rate(s).")


def _find_record(world: World, level: str, id_: int) -> Rated:
    if level == "workspace" and id_ == world.workspace.id:
        return world.workspace
    if level == "workspace_user":
        found = next((user for user in world.users.values() if level_id(user) == id_), None)
        if found is None:
            raise ErrorResponse(400, "User not found in workspace")
        return found
    if level == "project":
        return get_live(world.projects, id_, 400, "Invalid entity ID")
    if level == "project_user":
        return get_live(world.project_users, id_, 400, "Invalid entity ID")
    if level == "task":
        return get_live(world.tasks, id_, 400, "Task not found in workspace")
    if level == "workspace":
        raise ErrorResponse(400, "Invalid entity ID")
    raise ErrorResponse(400, "Invalid level: it should be workspace, workspace_user, project or project_user")


ROUTES = [
    Route("GET", f"{BASE}/{{level:any}}/{{level_id}}", list_rates, "organization"),
    Route("POST", BASE, create_rate, "organization"),
]
