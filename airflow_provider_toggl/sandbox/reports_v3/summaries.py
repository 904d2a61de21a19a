"""Reports v3: sums. Totals with their graph, the summary by groups, and the summaries of projects."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from operator import attrgetter
from typing import Any

from airflow_provider_toggl.sandbox.reports_v3.query import (
    NEEDS_PLAN,
    ReportQuery,
    find_entries,
    read_choice,
    read_query,
)
from airflow_provider_toggl.sandbox.reports_v3.rows import amount_cents, color_number, rate_of, report_seconds
from airflow_provider_toggl.sandbox.routing import ApiRequest, ApiResponse
from airflow_provider_toggl.sandbox.workspace.records import Project, TimeEntry
from airflow_provider_toggl.sandbox.workspace.world import ErrorResponse, World

_start = attrgetter("start")

RESOLUTIONS = ("day", "week", "month")
GROUPINGS = ("projects", "users", "clients")
SUB_GROUPINGS = ("time_entries", "users", "clients", "projects", "tasks")


def total(call: ApiRequest) -> ApiResponse:
    """Answer the sums of a detailed report, by day, week or month if asked for."""
    query = read_query(call)
    return ApiResponse(_total(call, query), headers=query.range_headers)


def summarize_project(call: ApiRequest) -> ApiResponse:
    """Answer the sums of one project; the plan must be a paid one."""
    if call.settings.plan == "free":
        raise ErrorResponse(402, NEEDS_PLAN)
    project = call.world.projects.get(call.path_id("project_id"))
    if project is None or project.deleted_at is not None:
        raise ErrorResponse(403, "project not found or not accessible")
    query = read_query(call)
    if query.body.get("start_date") is None:
        raise ErrorResponse(400, "The start_date parameter is required")
    return ApiResponse(_total(call, query, project.id), headers=query.range_headers)


def summarize_projects(call: ApiRequest) -> ApiResponse:
    """Answer the seconds of each user in each project."""
    query = read_query(call)
    sums: dict[tuple[int, int], list[int]] = {}
    paid = call.settings.plan != "free"
    count = _counter(call, query)
    for entry in find_entries(call, query):
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


def summarize(call: ApiRequest) -> ApiResponse:
    """Answer the sums of a range by group and sub-group, with the ids of their time entries if asked for."""
    query = read_query(call)
    summary = SummaryReport(
        call,
        query,
        grouping=read_choice(query.body, "grouping", GROUPINGS, "projects"),
        sub_grouping=read_choice(query.body, "sub_grouping", SUB_GROUPINGS, "time_entries"),
        distinguish_rates=bool(query.body.get("distinguish_rates")),
        tells_ids=_ids_where(call) if query.body.get("include_time_entry_ids") else (),
        count=_counter(call, query),
    )
    headers = {"x-grouping": summary.grouping, "x-sub-grouping": summary.sub_grouping, **query.range_headers}
    return ApiResponse({"groups": summary.write()}, headers=headers)


def _ids_where(call: ApiRequest) -> tuple[str, ...]:
    where = call.settings.summary_ids_where
    if not call.settings.summary_gives_ids:
        return ()
    return ("groups", "sub_groups") if where == "both" else (where,)


Count = Callable[[TimeEntry], int]


def _counter(call: ApiRequest, query: ReportQuery) -> Count:
    """Return what gives the seconds that an entry adds to a sum; one that reports show as negative adds nothing."""
    world, rounding, minutes = call.world, query.rounding, query.rounding_minutes

    def count(entry: TimeEntry) -> int:
        # Most entries need no more than this, and sums of a million of them should not take longer.
        if minutes == 0 and entry.duration >= 0:
            return entry.duration
        return max(0, report_seconds(world, entry, rounding, minutes))

    return count


def _total(call: ApiRequest, query: ReportQuery, project_id: int | None = None) -> dict[str, Any]:
    default = _default_resolution(query)
    resolution = read_choice(query.body, "granularity", RESOLUTIONS, None) or read_choice(
        query.body, "resolution", RESOLUTIONS, default
    )
    entries = [entry for entry in find_entries(call, query) if project_id is None or entry.project_id == project_id]
    points: dict[date, list[TimeEntry]] = {day: [] for day in _points(query, resolution)}
    days = set()
    for entry in entries:
        day = entry.start.astimezone(query.zone).date()
        days.add(day)
        points[_point(day, resolution)].append(entry)
    sums = _sums(call, query, entries)
    rates = sums.pop("by_rate")
    return {
        **sums,
        "tracked_days": len(days),
        "rates": [
            {"billable_seconds": seconds, "currency": call.world.workspace.default_currency,
             "hourly_rate_in_cents": int(rate)}
            for rate, seconds in rates.items()
        ],
        "resolution": resolution,
        "graph": [_sums(call, query, found) for found in points.values()] if query.body.get("with_graph") else [],
    }  # fmt: skip


def _sums(call: ApiRequest, query: ReportQuery, entries: Iterable[TimeEntry]) -> dict[str, Any]:
    seconds = amount = 0
    by_rate: dict[str, int] = {}
    count, world, free = _counter(call, query), call.world, call.settings.plan == "free"
    for entry in entries:
        own = count(entry)
        seconds += own
        rate = None if free else rate_of(world, entry)
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
    """Return the first days of all days, weeks or months of the range, empty ones too."""
    days = (query.start + timedelta(days=number) for number in range((query.end - query.start).days + 1))
    return list(dict.fromkeys(_point(day, resolution) for day in days))


def _member(world: World, grouping: str) -> Callable[[TimeEntry], int | None]:
    """Return what gives the id of the group that an entry is in."""
    if grouping == "clients":
        clients = {project.id: project.client_id for project in world.projects.values()}
        return lambda entry: None if entry.project_id is None else clients[entry.project_id]
    return attrgetter({"users": "user_id", "tasks": "task_id", "projects": "project_id"}[grouping])


def _text(entry: TimeEntry) -> str:
    return entry.description or ""


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
    """One summary report, and how its groups are written."""

    call: ApiRequest
    query: ReportQuery
    grouping: str
    sub_grouping: str
    distinguish_rates: bool
    #: Where ids stand: "groups", "sub_groups", both or none.
    tells_ids: tuple[str, ...]
    count: Count

    def write(self) -> list[dict[str, Any]]:
        """Return the groups, by name; the one of entries without (project, client) comes first."""
        world = self.call.world
        groups: dict[int | None, list[TimeEntry]] = {}
        member = _member(world, self.grouping)
        for entry in find_entries(self.call, self.query):
            groups.setdefault(member(entry), []).append(entry)
        ids = sorted(groups, key=lambda id_: (_title(world, self.grouping, id_) or "", id_ or 0))
        return [self._write_group(id_, groups[id_]) for id_ in ids]

    def _write_group(self, id_: int | None, entries: list[TimeEntry]) -> dict[str, Any]:
        world, by_text = self.call.world, self.sub_grouping == "time_entries"
        parts: dict[Any, list[TimeEntry]] = {}
        member = _text if by_text else _member(world, self.sub_grouping)
        for entry in entries:
            rate = rate_of(world, entry) if self.distinguish_rates else None
            parts.setdefault((member(entry), rate), []).append(entry)
        project = world.projects[id_] if self.grouping == "projects" and id_ is not None else None
        written = [self._write_part(own, found, project) for (own, _), found in parts.items()]
        ids = {"ids": [entry.id for entry in entries]} if "groups" in self.tells_ids else {}
        return {"id": id_, **ids, "sub_groups": written, **_colors(project)}

    def _write_part(self, own: Any, entries: list[TimeEntry], project: Project | None) -> dict[str, Any]:
        """Write a sub-group; by time entries it has a title and no id."""
        world, by_text = self.call.world, self.sub_grouping == "time_entries"
        if project is None and self.sub_grouping == "projects" and own is not None:
            project = world.projects[own]
        return {
            "id": None if by_text else own,
            "title": own if by_text else _title(world, self.sub_grouping, own),
            **({"ids": [entry.id for entry in entries]} if "sub_groups" in self.tells_ids else {}),
            "seconds": sum(map(self.count, entries)),
            "local_start": _local_start(min(map(_start, entries)), self.query),
            **_colors(project),
            "ForExport": False,
            "DistinguishRates": self.distinguish_rates,
            "Grouping": self.grouping,
            "SubGrouping": self.sub_grouping,
        }


def _colors(project: Project | None) -> dict[str, str]:
    if project is None:
        return {}
    return {"project_color": color_number(project.color), "project_hex_color": project.color}


def _local_start(start: datetime, query: ReportQuery) -> str:
    """Write a start as Toggl does here: the wall clock of who asks, with a Z that is not true."""
    return start.astimezone(query.zone).strftime("%Y-%m-%dT%H:%M:%SZ")
