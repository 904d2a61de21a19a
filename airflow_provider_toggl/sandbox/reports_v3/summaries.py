"""The sums of Reports v3: totals with a graph, summary reports by group, and summaries of projects."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from operator import attrgetter
from typing import Any

from airflow_provider_toggl.sandbox.reports_v3.query import (
    NEEDS_PLAN,
    ReportQuery,
    find_entries,
    read_choice,
    read_query,
)
from airflow_provider_toggl.sandbox.reports_v3.rows import COLOR_NUMBER, report_seconds
from airflow_provider_toggl.sandbox.routing import ApiRequest, ApiResponse
from airflow_provider_toggl.sandbox.workspace.records import Project, TimeEntry
from airflow_provider_toggl.sandbox.workspace.world import ErrorResponse, World, amount_cents, get_live

RESOLUTIONS = ("day", "week", "month")
GROUPINGS = ("projects", "users", "clients")
LOCAL_START = "%Y-%m-%dT%H:%M:%SZ"
SUB_GROUPINGS = ("time_entries", "users", "clients", "projects", "tasks")


def total(request: ApiRequest) -> ApiResponse:
    """Return the totals of a report, with a graph by day, week or month on request."""
    query = read_query(request)
    return ApiResponse(_total(request, query), headers=query.range_headers)


def summarize_project(request: ApiRequest) -> ApiResponse:
    """Return the totals of one project; only on paid plans."""
    if request.settings.plan == "free":
        raise ErrorResponse(402, NEEDS_PLAN)
    message = "project not found or not accessible"
    project = get_live(request.world.projects, request.path_id("project_id"), 403, message)
    query = read_query(request)
    if query.body.get("start_date") is None:
        raise ErrorResponse(400, "The start_date parameter is required")
    return ApiResponse(_total(request, query, project.id), headers=query.range_headers)


def summarize_projects(request: ApiRequest) -> ApiResponse:
    """Return the seconds of each user in each project."""
    query = read_query(request)
    sums: dict[tuple[int, int], list[int]] = {}
    paid = request.settings.plan != "free"
    count = _counter(request, query)
    for entry in find_entries(request, query):
        if entry.project_id is None:
            continue
        row = sums.setdefault((entry.user_id, entry.project_id), [0, 0])
        seconds = count(entry)
        row[0] += seconds
        row[1] += seconds if entry.billable and paid else 0
    return ApiResponse(
        [
            {"user_id": user_id, "project_id": project_id, "tracked_seconds": tracked, "billable_seconds": billable}
            for (user_id, project_id), (tracked, billable) in sorted(sums.items())
        ],
        headers=query.range_headers,
    )


def summarize(request: ApiRequest) -> ApiResponse:
    """Return the seconds of a range by group and sub-group, with the ids of time entries on request."""
    query = read_query(request)
    summary = SummaryReport(
        request,
        query,
        grouping=read_choice(query.body, "grouping", GROUPINGS, "projects"),
        sub_grouping=read_choice(query.body, "sub_grouping", SUB_GROUPINGS, "time_entries"),
        distinguish_rates=bool(query.body.get("distinguish_rates")),
        ids_in=_places_of_ids(request) if query.body.get("include_time_entry_ids") else (),
        count=_counter(request, query),
    )
    headers = {"x-grouping": summary.grouping, "x-sub-grouping": summary.sub_grouping, **query.range_headers}
    return ApiResponse({"groups": summary.groups()}, headers=headers)


def _places_of_ids(request: ApiRequest) -> tuple[str, ...]:
    where = request.settings.summary_ids_where
    if not request.settings.summary_gives_ids:
        return ()
    return ("groups", "sub_groups") if where == "both" else (where,)


Count = Callable[[TimeEntry], int]


def _counter(request: ApiRequest, query: ReportQuery) -> Count:
    """Return a function that returns the seconds of a time entry in sums: never negative."""
    world, rounding, minutes = request.world, query.rounding, query.rounding_minutes

    def count(entry: TimeEntry) -> int:
        # The fast path, for sums of a million time entries.
        if minutes == 0 and entry.duration >= 0:
            return entry.duration
        return max(0, report_seconds(world, entry, rounding, minutes))

    return count


def _total(request: ApiRequest, query: ReportQuery, project_id: int | None = None) -> dict[str, Any]:
    default = _default_resolution(query)
    resolution = read_choice(query.body, "granularity", RESOLUTIONS, None) or read_choice(
        query.body, "resolution", RESOLUTIONS, default
    )
    entries = [entry for entry in find_entries(request, query) if project_id is None or entry.project_id == project_id]
    points: dict[date, list[TimeEntry]] = {day: [] for day in _points(query, resolution)}
    days = set()
    for entry in entries:
        day = entry.start.astimezone(query.zone).date()
        days.add(day)
        points[_point(day, resolution)].append(entry)
    sums = _sums(request, query, entries)
    rates = sums.pop("by_rate")
    return {
        **sums,
        "tracked_days": len(days),
        "rates": [
            {"billable_seconds": seconds, "currency": request.world.workspace.default_currency,
             "hourly_rate_in_cents": int(rate)}
            for rate, seconds in rates.items()
        ],
        "resolution": resolution,
        "graph": [_sums(request, query, found) for found in points.values()] if query.body.get("with_graph") else [],
    }  # fmt: skip


def _sums(request: ApiRequest, query: ReportQuery, entries: Iterable[TimeEntry]) -> dict[str, Any]:
    seconds = amount = 0
    by_rate: dict[str, int] = {}
    count, world, free = _counter(request, query), request.world, request.settings.plan == "free"
    for entry in entries:
        own = count(entry)
        seconds += own
        rate = None if free else world.rate_of(entry)
        if rate is not None:
            amount += amount_cents(own, rate)
            by_rate[str(rate)] = by_rate.get(str(rate), 0) + own
    return {
        "seconds": seconds,
        "billable_amount_in_cents": None if free else amount,
        "labour_cost_in_cents": None,
        "by_rate": dict(sorted(by_rate.items(), key=lambda pair: int(pair[0]))),
    }


def _default_resolution(query: ReportQuery) -> str:
    days = (query.end - query.start).days
    return "day" if days <= 31 else "week" if days <= 183 else "month"


def _point(day: date, resolution: str) -> date:
    if resolution == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if resolution == "month" else day


def _points(query: ReportQuery, resolution: str) -> list[date]:
    """Return the first days of all days, weeks or months of the range."""
    days = (query.start + timedelta(days=number) for number in range((query.end - query.start).days + 1))
    return list(dict.fromkeys(_point(day, resolution) for day in days))


def _member(world: World, grouping: str) -> Callable[[TimeEntry], Any]:
    """Return a function that returns the group of a time entry: an id, or its description."""
    if grouping == "time_entries":
        return lambda entry: entry.description or ""
    if grouping == "clients":
        clients = {project.id: project.client_id for project in world.projects.values()}
        return lambda entry: None if entry.project_id is None else clients[entry.project_id]
    return attrgetter({"users": "user_id", "tasks": "task_id", "projects": "project_id"}[grouping])


def _title(world: World, grouping: str, id_: int | None) -> str | None:
    if id_ is None:
        return None
    if grouping == "users":
        return world.users[id_].fullname
    tables: dict[str, Any] = {"tasks": world.tasks, "clients": world.clients, "projects": world.projects}
    name: str = tables[grouping][id_].name
    return name


@dataclass(frozen=True)
class SummaryReport:
    """One summary report."""

    request: ApiRequest
    query: ReportQuery
    grouping: str
    sub_grouping: str
    distinguish_rates: bool
    #: Which of "groups" and "sub_groups" have ids.
    ids_in: tuple[str, ...]
    count: Count

    def groups(self) -> list[dict[str, Any]]:
        """Return the groups ordered by name; the group without a project (or client) comes first."""
        world = self.request.world
        groups: dict[int | None, list[TimeEntry]] = {}
        member = _member(world, self.grouping)
        for entry in find_entries(self.request, self.query):
            groups.setdefault(member(entry), []).append(entry)
        ids = sorted(groups, key=lambda id_: (_title(world, self.grouping, id_) or "", id_ or 0))
        return [self._group(id_, groups[id_]) for id_ in ids]

    def _group(self, id_: int | None, entries: list[TimeEntry]) -> dict[str, Any]:
        world = self.request.world
        parts: dict[Any, list[TimeEntry]] = {}
        member = _member(world, self.sub_grouping)
        for entry in entries:
            rate = world.rate_of(entry) if self.distinguish_rates else None
            parts.setdefault((member(entry), rate), []).append(entry)
        project = world.projects[id_] if self.grouping == "projects" and id_ is not None else None
        written = [self._sub_group(own, found, project) for (own, _), found in parts.items()]
        ids = {"ids": [entry.id for entry in entries]} if "groups" in self.ids_in else {}
        return {"id": id_, **ids, "sub_groups": written, **_colors(project)}

    def _sub_group(self, own: Any, entries: list[TimeEntry], project: Project | None) -> dict[str, Any]:
        """Return a sub-group; by time entries it has a title and no id."""
        world, by_text = self.request.world, self.sub_grouping == "time_entries"
        if project is None and self.sub_grouping == "projects" and own is not None:
            project = world.projects[own]
        return {
            "id": None if by_text else own,
            "title": own if by_text else _title(world, self.sub_grouping, own),
            **({"ids": [entry.id for entry in entries]} if "sub_groups" in self.ids_in else {}),
            "seconds": sum(map(self.count, entries)),
            # Toggl writes the local time of the user here, with a wrong Z.
            "local_start": min(entry.start for entry in entries).astimezone(self.query.zone).strftime(LOCAL_START),
            **_colors(project),
            "ForExport": False,
            "DistinguishRates": self.distinguish_rates,
            "Grouping": self.grouping,
            "SubGrouping": self.sub_grouping,
        }


def _colors(project: Project | None) -> dict[str, str]:
    return {"project_color": COLOR_NUMBER, "project_hex_color": project.color} if project else {}
