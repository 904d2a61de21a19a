"""The body of a report request: its days, filters and rounding, and the time entries that match."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from functools import partial
from operator import attrgetter
from typing import Any
from zoneinfo import ZoneInfo

from airflow_provider_toggl.sandbox.faults import HiddenEntries
from airflow_provider_toggl.sandbox.formats import zone_of
from airflow_provider_toggl.sandbox.routing import ApiRequest
from airflow_provider_toggl.sandbox.workspace.records import TimeEntry
from airflow_provider_toggl.sandbox.workspace.world import ErrorResponse, World

ROUNDING_MINUTES = (0, 1, 5, 6, 10, 12, 15, 30, 60, 240)
NEEDS_PLAN = "Workspace needs to have this feature enabled"

#: Days of a report with only a start or only an end, as recorded.
DEFAULT_DAYS = 7


EntryFilter = Callable[[TimeEntry], bool]


@dataclass(frozen=True)
class ReportQuery:
    """The conditions of a report. ``start`` and ``end`` are included, and belong to the user's time zone."""

    body: Mapping[str, Any]
    zone: ZoneInfo
    start: date
    end: date
    rounding: int
    rounding_minutes: int

    @property
    def range_headers(self) -> dict[str, str]:
        """Return the headers with the days of the report."""
        return {"x-range-start": self.start.isoformat(), "x-range-end": self.end.isoformat()}

    def instants(self) -> tuple[datetime, datetime]:
        """Return the range in UTC; its end is exclusive, and days with a clock change have 23 or 25 hours."""
        first = datetime.combine(self.start, time(), self.zone)
        after = datetime.combine(self.end + timedelta(days=1), time(), self.zone)
        return first.astimezone(timezone.utc), after.astimezone(timezone.utc)


def read_query(request: ApiRequest) -> ReportQuery:
    """Read a report's conditions.

    :raises ErrorResponse: 400 with Toggl's text for an invalid value, 402 for filters that the plan lacks.
    """
    body = request.json_object() if request.raw_body else {}
    if not any(value is not None for value in body.values()):
        raise ErrorResponse(400, "At least one parameter must be set")
    _check_types(body)
    _check_plan(request, body)
    zone = zone_of(request.actor.timezone)
    start, end = _read_range(request, body, zone)
    workspace = request.world.workspace
    rounding = read_choice(body, "rounding", (-1, 0, 1), workspace.rounding)
    minutes = read_choice(body, "rounding_minutes", ROUNDING_MINUTES, workspace.rounding_minutes)
    return ReportQuery(body, zone, start, end, rounding, minutes)


def read_choice(body: Mapping[str, Any], name: str, allowed: Iterable[Any], default: Any) -> Any:
    """Return a value of the body that must be one of those allowed.

    :raises ErrorResponse: 400, naming what is allowed.
    """
    value = body.get(name)
    if value is None:
        return default
    choices = list(allowed)
    if isinstance(value, bool) or value not in choices:
        shown = ", ".join(str(one) for one in choices)
        raise ErrorResponse(400, f"Invalid '{name}' value, allowed values are: '{shown}'")
    return value


def find_entries(request: ApiRequest, query: ReportQuery) -> list[TimeEntry]:
    """Return the time entries of a report, unordered; cached for the next page until the world changes."""
    world, running = request.world, request.settings.report_includes_running
    key = cache_key(request, query, "entries")
    if not request.lag_seconds and key in request.caches:
        cached: list[TimeEntry] = request.caches[key]
        return cached
    first, after = query.instants()
    # An empty list is no filter: clients send empty lists for unused filters.
    used = [name for name in _filters(request) if query.body.get(name) not in (None, [], "")]
    filters = [*visibility_filters(request), *(_FILTERS[name](world, query.body[name]) for name in used)]
    found = [
        entry
        for entry in request.entries().values()
        if entry.deleted_at is None and first <= entry.start < after and (running or not entry.is_running)
    ]
    for matches in filters:
        found = [entry for entry in found if matches(entry)]
    if not request.lag_seconds:
        cache(request, key, found)
    return found


def visibility_filters(request: ApiRequest) -> list[EntryFilter]:
    """Return the filters that a time entry must pass to be visible."""
    filters: list[EntryFilter] = []
    user_id, horizon = _visible_user(request), request.world.retention_horizon()
    if user_id is not None:
        filters.append(lambda entry: entry.user_id == user_id)
    if horizon is not None:
        filters.append(lambda entry: entry.start >= horizon)
    filters.extend(partial(_is_shown, hidden) for hidden in request.hidden_entries)
    return filters


def _visible_user(request: ApiRequest) -> int | None:
    """Return the only user whose time entries are visible; None if all are."""
    return None if request.actor.is_admin or request.settings.report_shows_members == "all" else request.actor.id


def _is_shown(hidden: HiddenEntries, entry: TimeEntry) -> bool:
    return not hidden.hides(entry.id)


def cache_key(request: ApiRequest, query: ReportQuery, *parts: Any) -> tuple[Any, ...]:
    """Return the cache key of a list: the world's version first, then everything that the list depends on."""
    filters = tuple((name, _frozen(query.body.get(name))) for name in _filters(request))
    visible = (_visible_user(request), request.world.retention_horizon(), request.hidden_entries)
    running = request.settings.report_includes_running
    return (request.world.version, query.start, query.end, query.zone.key, running, filters, visible, *parts)


def cache(request: ApiRequest, key: tuple[Any, ...], value: Any) -> None:
    """Cache a list for the following pages, and remove lists of older versions of the world."""
    stale = [old for old in request.caches if old[0] != request.world.version]
    for old in stale or list(request.caches)[:-8]:
        del request.caches[old]
    request.caches[key] = value


def _filters(request: ApiRequest) -> list[str]:
    ignored = "time_entry_ids" if request.settings.report_time_entry_ids == "ignore" else None
    return [name for name in _FILTERS if name != ignored]


def _read_range(request: ApiRequest, body: Mapping[str, Any], zone: ZoneInfo) -> tuple[date, date]:
    start, end = _read_day(body, "start_date"), _read_day(body, "end_date")
    span = timedelta(days=DEFAULT_DAYS - 1)
    if start is None:
        end = end or request.world.now().astimezone(zone).date()
        start = end - span
    end = end or start + span
    if end < start:
        raise ErrorResponse(400, "End date should be greater than Start date")
    days = (end - start).days + (1 if request.settings.report_range_counts == "inclusive" else 0)
    if days > request.settings.report_range_days:
        raise ErrorResponse(400, f"Maximum allowed date range is {request.settings.report_range_days} days")
    return start, end


def _read_day(body: Mapping[str, Any], name: str) -> date | None:
    value = body.get(name)
    if value is None or value == "":
        return None
    try:
        day = date.fromisoformat(value) if re.fullmatch(r"\d{4}-\d\d-\d\d", value) else None
    except (ValueError, TypeError):
        day = None
    if day is None:
        raise ErrorResponse(400, f"Invalid {name} format")
    if not date(2006, 1, 1) <= day <= date(2030, 1, 1):
        raise ErrorResponse(400, f"{name} should be within 2006-01-01 to 2030-01-01")
    return day


def _check_types(body: Mapping[str, Any]) -> None:
    for name in ("user_ids", "group_ids", "client_ids", "project_ids", "task_ids", "tag_ids", "time_entry_ids"):
        value = body.get(name)
        if value is not None and not (
            isinstance(value, list) and all(one is None or _is_integer(one) for one in value)
        ):
            raise ErrorResponse(400, f"Invalid '{name}' value")
    integers = ("first_row_number", "first_id", "first_timestamp", "page_size")
    for name in (*integers, "min_duration_seconds", "max_duration_seconds"):
        if body.get(name) is not None and not _is_integer(body[name]):
            raise ErrorResponse(400, f"Invalid '{name}' value")
    for name in ("billable", "grouped", "hide_amounts", "enrich_response", "with_graph", "include_time_entry_ids"):
        if body.get(name) is not None and not isinstance(body[name], bool):
            raise ErrorResponse(400, f"Invalid '{name}' value, allowed values are: 'true, false'")
    if body.get("description") is not None and not isinstance(body["description"], str):
        raise ErrorResponse(400, "Invalid 'description' value")


def _check_plan(request: ApiRequest, body: Mapping[str, Any]) -> None:
    if request.settings.plan != "free" or not request.settings.report_paid_filters_refused:
        return
    if any(body.get(name) is not None for name in ("billable", "min_duration_seconds", "max_duration_seconds")):
        raise ErrorResponse(402, NEEDS_PLAN)


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _members_of(world: World, ids: list[Any]) -> set[Any]:
    return {user_id for id_ in ids if id_ in world.groups for user_id in world.groups[id_].user_ids}


def _by_client(world: World, ids: list[Any]) -> EntryFilter:
    wanted = set(ids)
    of_project = {project.id: project.client_id for project in world.projects.values()}
    return lambda entry: (of_project[entry.project_id] if entry.project_id is not None else None) in wanted


def _by_tag(ids: list[Any]) -> EntryFilter:
    wanted = set(ids)
    return lambda entry: not wanted.isdisjoint(entry.tag_ids) or (not entry.tag_ids and None in wanted)


def _by_description(text: str) -> EntryFilter:
    wanted = text.casefold()
    return lambda entry: wanted in (entry.description or "").casefold()


def _by(name: str, ids: Iterable[Any]) -> EntryFilter:
    get, wanted = attrgetter(name), set(ids)
    return lambda entry: get(entry) in wanted


#: The filters of a report: each builds a test of time entries from the world and the given value.
_FILTERS: dict[str, Callable[[World, Any], EntryFilter]] = {
    "user_ids": lambda _, ids: _by("user_id", ids),
    "group_ids": lambda world, ids: _by("user_id", _members_of(world, ids)),
    "client_ids": _by_client,
    "project_ids": lambda _, ids: _by("project_id", ids),
    "task_ids": lambda _, ids: _by("task_id", ids),
    "tag_ids": lambda _, ids: _by_tag(ids),
    "time_entry_ids": lambda _, ids: _by("id", ids),
    "description": lambda _, text: _by_description(text),
    "billable": lambda _, billable: _by("billable", [billable]),
    "min_duration_seconds": lambda _, seconds: lambda entry: entry.duration >= seconds,
    "max_duration_seconds": lambda _, seconds: lambda entry: entry.duration <= seconds,
}
